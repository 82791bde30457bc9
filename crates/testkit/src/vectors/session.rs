//! Whole conversations, step by step, with all randomness given. SPEC §5.
//!
//! [`Conversation`] runs one step; the [`transcripts`](super::transcripts) that write the cases run it as well.

use std::collections::BTreeMap;

use chopmark_core::{
    codec::Reader,
    handshake::RespondError,
    hazmat::{handshake, sending},
    identity::DeviceEntry,
    session::{Event, OpenError, SealError, Session, Status},
    time::Timestamp,
};
use rand_core::TryCryptoRng;

use super::{
    Outcome, Outputs, Vector, crafted,
    device::{Device, Prekeys},
    draws::Draws,
    sealing::{self, Message},
    sha256, transcripts,
};

/// What a step may draw, in this order.
pub(super) const DRAWS: [&str; 4] = ["ratchet private key", "ML-KEM seed", "m", "hedge"];

pub(super) fn cases() -> Vec<Vector> {
    let mut cases = transcripts::cases();
    cases.extend(crafted::cases());
    cases
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let mut conversation = Conversation::begin(vector);
    let mut outputs = Outputs::new()
        .with_bytes("session id", conversation.begun().id().as_bytes())
        .with_bytes("init id", conversation.begun().init_id().as_bytes());
    for number in 1..1000 {
        let key = |key: &str| format!("{number:02} {key}");
        let Some(command) = vector.find(&key("do")) else { break };
        let given = ["content", "envelope", "entry"].map(|name| {
            let name = key(name);
            vector.find(&name).map(|_| vector.bytes(&name))
        });
        let [content, envelope, entry] = given;
        let length = key("content length");
        let long = vector.find(&length).map(|_| vec![b'x'; vector.number(&length)]);
        let content = content.or(envelope).or(long).unwrap_or_default();
        let given = DRAWS.iter().filter(|draw| vector.find(&key(draw)).is_some());
        let given: Vec<Vec<u8>> = given.map(|draw| vector.bytes(&key(draw))).collect();
        let given: Vec<&[u8]> = given.iter().map(Vec::as_slice).collect();
        let mut draws = Draws::of(&given);
        let step = Step { number, command, content, entry };
        for (name, value) in conversation.run(&step, &mut draws).lines() {
            outputs = outputs.with(&key(name), value);
        }
        assert!(draws.is_spent(), "{}: a draw of step {number} is left", vector.name);
    }
    Ok(conversation.end(outputs))
}

/// One step of a transcript.
pub(super) struct Step<'a> {
    pub(super) number: usize,
    pub(super) command: &'a str,
    pub(super) content: Vec<u8>,
    pub(super) entry: Option<Vec<u8>>,
}

/// Two devices, what they hold and what was sealed.
pub(super) struct Conversation {
    devices: [Device; 2],
    prekeys: Prekeys,
    now: Timestamp,
    sessions: [Option<Session>; 2],
    kept: [Option<Session>; 2],
    envelopes: BTreeMap<usize, Vec<u8>>,
}

impl Conversation {
    /// A begins, with the randomness that the vector gives.
    pub(super) fn begin(vector: &Vector) -> Self {
        let devices = [Device::of(vector, "A"), Device::of(vector, "B")];
        let prekeys = Prekeys::of(vector);
        let now = Timestamp(vector.number("now"));
        let [a, b] = &devices;
        let draws = ["EK private key", "m of ct1", "m of ct2"].map(|key| vector.bytes(key));
        let mut draws = Draws::of(&draws.each_ref().map(Vec::as_slice));
        let entry = b.entry();
        let begun = handshake::begin(&a.own(), &b.responder(&entry, &prekeys), now, &mut draws);
        let sessions = [Some(begun.expect("good keys")), None];
        let (kept, envelopes) = ([None, None], BTreeMap::new());
        Self { devices, prekeys, now, sessions, kept, envelopes }
    }

    fn begun(&self) -> &Session {
        self.sessions[0].as_ref().expect("A began")
    }

    /// Runs one step, with randomness from `rng`.
    pub(super) fn run(
        &mut self,
        step: &Step<'_>,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Outputs {
        let words: Vec<&str> = step.command.split(' ').collect();
        let who = |word: &str| usize::from(word == "B");
        let number = |word: &str| word.parse::<usize>().expect("a number");
        match words.as_slice() {
            ["seal", party] => self.seal(who(party), step, rng),
            ["open", party, envelope, change @ ..] => {
                let mut bytes = self.envelopes[&number(envelope)].clone();
                match change {
                    ["altered", "at", at] => bytes[number(at)] ^= 1,
                    ["cut"] => drop(bytes.pop()),
                    _ => {}
                }
                self.open(who(party), &bytes)
            }
            ["deliver", party] => self.open(who(party), &step.content),
            ["introduce", "B"] => self.introduce(step.entry.as_deref()),
            ["wait", time] => {
                self.now.0 += number(time) as u64;
                Outputs::new()
            }
            ["skip", party, n] => {
                let session = self.sessions[who(party)].as_mut().expect("a session");
                assert!(sending::skip_to(session, n.parse().expect("an index")), "it is ahead");
                Outputs::new()
            }
            ["keep", party] => {
                let session = self.sessions[who(party)].as_ref().expect("a session");
                self.kept[who(party)] = Some(sealing::copy(session));
                Outputs::new()
            }
            ["swap", party] => {
                core::mem::swap(&mut self.sessions[who(party)], &mut self.kept[who(party)]);
                Outputs::new()
            }
            _ => panic!("step {}", step.command),
        }
    }

    fn seal(
        &mut self,
        party: usize,
        step: &Step<'_>,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Outputs {
        let session = self.sessions[party].as_mut().expect("a session");
        match sealing::seal(session, &step.content, self.now, rng) {
            Ok((envelope, message)) => {
                let outputs = Outputs::new()
                    .with("envelope length", envelope.len())
                    .with_bytes("sha256 of the envelope", &sha256(&envelope));
                self.envelopes.insert(step.number, envelope);
                noted(outputs, &message)
            }
            Err(error) => Outputs::new().with(
                "refused",
                match error {
                    SealError::PeerUnknown => "not introduced",
                    SealError::TooLong { .. } => "too long",
                    _ => panic!("{error}"),
                },
            ),
        }
    }

    fn open(&mut self, party: usize, envelope: &[u8]) -> Outputs {
        let opened = match self.sessions[party].as_mut() {
            Some(session) => sealing::open(session, envelope, self.now).map_err(open_refused),
            None => self.answer(envelope).map_err(respond_refused),
        };
        match opened {
            Ok(message) => {
                let outputs = Outputs::new().with_bytes("content", &message.content);
                let outputs = match message.acknowledged {
                    Some(said) => {
                        outputs.with("acknowledged", format!("{} {}", said.chain, said.count))
                    }
                    None => outputs.with("acknowledged", "nothing"),
                };
                noted(outputs, &message)
            }
            Err(word) => Outputs::new().with("refused", word),
        }
    }

    fn answer(&mut self, envelope: &[u8]) -> Result<Message, RespondError> {
        let (own, signed) = (self.devices[1].own(), &self.prekeys.signed);
        let one_time = self.prekeys.one_time.as_ref();
        let (session, message) = sealing::answer(&own, signed, one_time, envelope, self.now)?;
        self.sessions[1] = Some(session);
        Ok(message)
    }

    fn introduce(&mut self, entry: Option<&[u8]>) -> Outputs {
        let [a, _] = &self.devices;
        let entry = entry.map_or_else(
            || a.entry(),
            |bytes| DeviceEntry::read(&mut Reader::new(bytes)).expect("an entry"),
        );
        let session = self.sessions[1].as_mut().expect("a session");
        match session.introduce(&a.account, &entry) {
            Ok(()) => Outputs::new(),
            Err(_) => Outputs::new().with("refused", "wrong entry"),
        }
    }

    fn end(&self, outputs: Outputs) -> Outputs {
        ["A", "B"].iter().zip(&self.sessions).fold(outputs, |outputs, (name, session)| {
            let (status, epoch) = session.as_ref().map_or(("none", 0), |session| {
                let status = match session.status() {
                    Status::Opening => "Opening",
                    Status::Unconfirmed => "Unconfirmed",
                    Status::Confirmed => "Confirmed",
                };
                (status, session.epoch())
            });
            let outputs = outputs.with(&format!("{name} status"), status);
            outputs.with(&format!("{name} epoch"), epoch)
        })
    }
}

/// Which message it was, and what else happened.
fn noted(outputs: Outputs, message: &Message) -> Outputs {
    let (chain, n) = (message.position.chain, message.position.n);
    let outputs = outputs.with("message", format!("{chain} {n}"));
    message.events.iter().fold(outputs, |outputs, event| match event {
        Event::Confirmed => outputs.with("event", "confirmed"),
        Event::EpochMixed { epoch } => outputs.with("mixed", epoch),
        Event::Evicted { chain, below } => outputs.with("given up", format!("{chain} {below}")),
        Event::KemObjectRefused => outputs.with("event", "object refused"),
        Event::AcknowledgedBeyondSent => outputs.with("event", "acknowledged beyond sent"),
        _ => panic!("an unknown event"),
    })
}

fn open_refused(error: OpenError) -> &'static str {
    match error {
        OpenError::NotAnEnvelope => "not an envelope",
        OpenError::NotForThisSession => "not for this session",
        OpenError::AlreadyOpened { .. } => "replayed",
        OpenError::GivenUp => "given up",
        OpenError::Forged => "forged",
        OpenError::NonContributory => "invalid key",
        OpenError::PeerMisbehaved => "misbehaved",
        OpenError::PeerRolledBack => "fell back",
        OpenError::PeerForked => "forked",
        OpenError::OwnRolledBack => "own state fell back",
        _ => panic!("{error}"),
    }
}

fn respond_refused(error: RespondError) -> &'static str {
    match error {
        RespondError::NotAnEnvelope => "not an envelope",
        RespondError::NoInitBlock => "malformed",
        RespondError::WrongPrekey => "wrong prekey",
        RespondError::NonContributory => "invalid key",
        RespondError::Forged => "forged",
        _ => "misbehaved",
    }
}
