//! One session under test, B, and the peer that holds the other half of its keys.

use std::{collections::BTreeSet, sync::OnceLock};

use chopmark_core::{
    session::{Acknowledged, BUCKETS, Event, OpenError, Position, SealError, Session},
    time::{DAY, Timestamp},
};
use rand_chacha::ChaCha20Rng;

use super::{
    device::Device,
    machine::{Came, Machine},
    message::{Header, Text},
    peer::Peer,
};
use crate::{
    party::{self, DEVICE, Party},
    seed::Seed,
};

pub(super) struct Scene {
    pub(super) bob: Device,
    pub(super) peer: Peer,
    pub(super) machine: Machine,
    pub(super) now: Timestamp,
    pub(super) introduced: bool,
    rng: ChaCha20Rng,
    /// What B opened, by chain of the peer.
    pub(super) opened: Vec<BTreeSet<u32>>,
    /// How many messages B sealed, by chain of its own.
    lengths: Vec<u32>,
    /// Which of them the peer opened.
    got: Vec<BTreeSet<u32>>,
    /// Replies on their way: the position, the kind of object, the acknowledgement, the bytes.
    pub(super) replies: Vec<(Position, u8, Acknowledged, Vec<u8>)>,
    /// B gave keys up: what it acknowledges does not move any more.
    stuck: bool,
}

/// Two people who never change.
fn people() -> &'static (Party, Party) {
    static PEOPLE: OnceLock<(Party, Party)> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        let mut rng = Seed::fixed(11).rng();
        (Party::new(&mut rng), Party::new(&mut rng))
    })
}

impl Scene {
    /// The peer wrote once; B opened it and waits for the peer's manifest.
    pub(super) fn new(begin: u8) -> Self {
        static BEGINNINGS: OnceLock<Vec<(Peer, Vec<u8>)>> = OnceLock::new();
        let beginnings = BEGINNINGS.get_or_init(|| {
            let (a, b) = people();
            [true, false].map(|one_time| met(a, b, one_time)).into()
        });
        let (peer, state) = &beginnings[usize::from(begin) % beginnings.len()];
        let mut bob = Device::new(Session::import(state).expect("its own state"));
        bob.opened.insert(Position { chain: 0, n: 0 });
        let mut machine = Machine::new(party::NOW);
        machine.opens(true, 0, Came::Nothing, party::NOW);
        Self {
            bob,
            peer: peer.clone(),
            machine,
            now: party::NOW,
            introduced: false,
            rng: Seed::fixed(12).rng(),
            opened: vec![BTreeSet::from([0])],
            lengths: Vec::new(),
            got: Vec::new(),
            replies: Vec::new(),
            stuck: false,
        }
    }

    /// B verified the peer's manifest.
    pub(super) fn introduce(&mut self) {
        let entry = people().0.manifest.device(DEVICE).expect("its device");
        let other = people().1.manifest.device(DEVICE).expect("its device");
        let wrong = self.bob.session.introduce(&people().0.account, other);
        assert!(wrong.is_err(), "introduced by another's entry");
        self.bob.is_unchanged("a wrong entry");
        self.bob.session.introduce(&people().0.account, entry).expect("its own entry");
        self.bob.store();
        self.machine.introduced();
        self.introduced = true;
    }

    /// What an honest peer acknowledges.
    pub(super) fn acknowledgement(&self) -> (u64, u32) {
        let first_missing = |chain: usize| (0..).find(|n| !self.got[chain].contains(n));
        let last = self.peer.heard.len().saturating_sub(1);
        for chain in 0..self.peer.heard.len() {
            let missing = first_missing(chain).expect("a set ends");
            if chain == last || missing < self.lengths[chain] {
                return (chain as u64, missing);
            }
        }
        (0, 0)
    }

    /// A text as an honest peer writes it, padded to the smallest bucket that holds it.
    pub(super) fn text(&self, length: usize, object: (u8, Vec<u8>)) -> Vec<u8> {
        let content = vec![0x5a; length];
        let text = Text { acknowledged: self.acknowledgement(), content, object };
        self.padded(text.encode())
    }

    pub(super) fn padded(&self, mut text: Vec<u8>) -> Vec<u8> {
        let room = BUCKETS.into_iter().find(|bucket| self.peer.room(*bucket) >= text.len());
        text.resize(self.peer.room(room.expect("it fits")), 0);
        text
    }

    /// An honest message: at the end of the peer's last chain, `skipped` messages later than it might be.
    pub(super) fn say(&mut self, skipped: u32, length: usize, object: (u8, Vec<u8>), came: Came) {
        self.peer.step();
        let line = self.peer.sent.len() - 1;
        let n = self.peer.sent[line].next.saturating_add(skipped).min(u32::MAX - 1);
        if n < self.peer.sent[line].next {
            return;
        }
        self.peer.sent[line].next = n + 1;
        let text = self.text(length, object);
        self.hear(line, n, None, &text, came);
    }

    /// B hears a message that is honest enough to be opened, at any place.
    pub(super) fn hear(
        &mut self,
        line: usize,
        n: u32,
        header: Option<Header>,
        text: &[u8],
        came: Came,
    ) {
        let header = header.unwrap_or_else(|| self.peer.header(line, n));
        let envelope = self.peer.envelope(line, n, &header, text);
        let position = Position { chain: line as u64, n };
        let said = text[..12].to_vec();
        let said = (
            u64::from_be_bytes(said[..8].try_into().expect("8")),
            u32::from_be_bytes(said[8..].try_into().expect("4")),
        );
        let received = match self.bob.open(&envelope, self.now, false) {
            Ok(received) => received,
            Err(error) => {
                assert!(self.bob.gave_up(position), "{position:?} does not open: {error}");
                return;
            }
        };
        assert_eq!(received.position, position);
        let begins = line == self.opened.len();
        if begins {
            self.opened.push(BTreeSet::new());
        }
        assert!(self.opened[line].insert(n), "{position:?} is opened twice");
        let refused = self.machine.opens(begins, header.epoch, came, self.now);
        let event = |event: &Event| received.events.contains(event);
        assert_eq!(event(&Event::KemObjectRefused), refused, "{came:?} in {:?}", self.machine);
        let sent = self.lengths.len().checked_sub(1).map(|at| (at as u64, self.lengths[at]));
        let beyond = said != (0, 0) && sent.is_none_or(|sent| said > sent);
        assert_eq!(event(&Event::AcknowledgedBeyondSent), beyond, "{said:?} of {sent:?}");
        let told = received.acknowledged.map(|told| (told.chain, told.count));
        assert_eq!(told, Some(said).filter(|said| *said != (0, 0) && !beyond));
        self.stuck |= received.events.iter().any(|event| matches!(event, Event::Evicted { .. }));
        assert_eq!(self.bob.epoch(), self.machine.epoch);
    }

    /// B must refuse this, for one of these reasons, and stay as it is.
    pub(super) fn refuse(&mut self, envelope: &[u8], reasons: &[OpenError]) {
        match self.bob.open(envelope, self.now, true) {
            Ok(_) => panic!("opened what is to be refused: {reasons:?}"),
            Err(error) => assert!(reasons.contains(&error), "{error:?} is none of {reasons:?}"),
        }
    }

    /// B writes; the message waits for the peer.
    pub(super) fn reply(&mut self, length: usize, crash: bool) {
        let acknowledged = self.bob.session.acknowledgement();
        let sealed = self.bob.seal(&vec![0xb0; length], self.now, &mut self.rng, crash);
        if !self.introduced {
            assert_eq!(sealed.err(), Some(SealError::PeerUnknown), "a reply to a stranger");
            return;
        }
        let Some(letter) = sealed.expect("it fits") else { return };
        let (kind, bucket) = self.machine.seals(length, self.now);
        assert_eq!(letter.envelope.len(), bucket, "{:?}", self.machine);
        assert_eq!(self.bob.epoch(), self.machine.epoch);
        let chain = usize::try_from(letter.position.chain).expect("few");
        if chain == self.lengths.len() {
            self.lengths.push(0);
            self.got.push(BTreeSet::new());
        }
        assert_eq!((chain + 1, letter.position.n), (self.lengths.len(), self.lengths[chain]));
        self.lengths[chain] += 1;
        let expected = self.expected_acknowledgement();
        if !self.stuck {
            assert_eq!(acknowledged, expected, "what B acknowledges");
        }
        self.replies.push((letter.position, kind, acknowledged, letter.envelope));
    }

    /// The first message of the peer that B did not open.
    fn expected_acknowledgement(&self) -> Acknowledged {
        let last = self.opened.len() - 1;
        for (chain, opened) in self.opened.iter().enumerate() {
            let count = (0..).find(|n| !opened.contains(n)).expect("a set ends");
            if chain == last || count < self.peer.sent[chain].next {
                return Acknowledged { chain: chain as u64, count };
            }
        }
        Acknowledged::NOTHING
    }

    /// The peer reads one of B's replies.
    pub(super) fn read(&mut self, at: usize) {
        if self.replies.is_empty() {
            return;
        }
        let (position, kind, acknowledged, envelope) = self.replies.remove(at % self.replies.len());
        let (chain, header, text) = self.peer.open(&envelope);
        assert_eq!((chain as u64, header.n), (position.chain, position.n));
        let before = chain.checked_sub(1).map_or(0, |before| self.lengths[before]);
        assert_eq!(header.pn, before, "the length of the chain before");
        assert_eq!(text.object.0, kind, "which object rides");
        assert_eq!(text.acknowledged, (acknowledged.chain, acknowledged.count));
        assert!(text.content.iter().all(|byte| *byte == 0xb0));
        self.got[chain].insert(header.n);
        self.peer.take(&header, &text.object);
    }

    /// An honest turn of both, everything delivered.
    pub(super) fn exchange(&mut self) {
        let object = self.peer.object();
        let came = came(&object);
        self.say(0, 20, object, came);
        if !self.introduced {
            self.introduce();
        }
        self.reply(20, false);
        self.read(self.replies.len().saturating_sub(1));
    }

    pub(super) fn wait(&mut self, how_long: u8) {
        let millis = match how_long {
            0..=199 => u64::from(how_long) * 60_000,
            _ => u64::from(how_long - 199) * DAY.as_secs() * 1_000,
        };
        self.now = Timestamp(self.now.0 + millis);
    }
}

/// What B sees in an honest object.
pub(super) fn came(object: &(u8, Vec<u8>)) -> Came {
    match object.0 {
        1 => Came::Key { valid: true },
        2 => Came::Ciphertext { right: true },
        _ => Came::Nothing,
    }
}

/// The peer's first message, and B's state after it.
fn met(a: &Party, b: &Party, one_time: bool) -> (Peer, Vec<u8>) {
    let mut peer = Peer::begin(a, b, one_time, Seed::fixed(13).rng());
    peer.step();
    peer.sent[0].next = 1;
    let mut text = Text { acknowledged: (0, 0), content: b"hello".into(), object: (0, vec![]) };
    let mut bytes = text.encode();
    bytes.resize(peer.room(BUCKETS[1]), 0);
    let header = peer.header(0, 0);
    let envelope = peer.envelope(0, 0, &header, &bytes);
    let one_time = one_time.then_some(&b.one_time);
    let opened = Session::respond(&b.own(), &b.signed, one_time, &envelope, party::NOW);
    let opened = opened.expect("the handshake of the specification");
    text.content.clear();
    assert_eq!(&opened.message.content[..], b"hello");
    (peer, opened.session.export().to_vec())
}
