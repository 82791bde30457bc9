//! A relay's half of its protocol, under clients that say anything, a store that answers when it likes, and any clock.
//!
//! Whatever happens: the relay speaks first and proves itself; a connection asks the store only for what its role and its
//! owner's key allow, and for no more at once than its bounds; nothing is answered that the store did not say; deliveries
//! come in order, to who subscribed, and never beyond the window; after the end there is nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use chopmark_core::{
    secret::Secret,
    signature::SigningKey,
    time::{HOUR, Timestamp},
};
use chopmark_mailbox::{
    RelayConnection,
    relay::{Bounds, Identity, Input, Output, Ticket},
    store::{MailboxStore as _, StoreAnswer, StoreRequest, model::Model},
};
use chopmark_wire::relay::{
    Answer, Auth, Capability, CapabilityKind, ChannelBinding, Deposit, Descriptor, EndReason,
    Epoch, Fetch, FetchId, FromClient, FromRelay, Grant, Handle, Hour, LinkUse, MailboxId, Notice,
    Publish, Rate, Request, RequestId, Reserved, TtlClass, Urgency,
};

use super::script::Script;

/// The most operations that are done: an input is to be small.
const OPERATIONS: usize = 200;
/// Connections at once, owners and capabilities.
const CONNECTIONS: usize = 4;
const OWNERS: u8 = 3;
const CAPABILITIES: u8 = 4;
const BEGIN: Timestamp = Timestamp(1_000_000_000_000);

/// A relay with a few connections, driven by `data`: operations with their operands.
pub fn relay_session(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new(script.u8());
    for _ in 0..OPERATIONS {
        let Some(operation) = script.operation() else { break };
        world.step(operation, &mut script);
    }
    world.end();
}

struct World {
    identity: Arc<Identity>,
    bounds: Arc<Bounds>,
    store: Model,
    now: Timestamp,
    ends: Vec<End>,
    made: u8,
}

/// One connection, and what is known of it from outside.
struct End {
    machine: RelayConnection,
    binding: ChannelBinding,
    /// With the store.
    asked: VecDeque<(Ticket, StoreRequest)>,
    /// Stored or Fetched that the store has said and the client has not heard yet.
    owed: usize,
    proved: bool,
    closed: bool,
    /// The owner whose proof was good; nobody is a sender.
    owner: Option<MailboxId>,
    decided: bool,
    subscribed: bool,
    cursor: u64,
    window: BTreeMap<u64, usize>,
    number: u64,
    /// Bytes went in of which nobody knows what they say: its window and its role are no longer looked at.
    blind: bool,
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_secret(&Secret::new([n; 32]))
}

impl World {
    fn new(small: u8) -> Self {
        let key = key(100);
        let descriptor = Descriptor {
            identity: key.verifying_key(),
            not_before: BEGIN,
            not_after: BEGIN.saturating_add(HOUR),
            addresses: Vec::new(),
            certificates: [None, None],
            forwarding: None,
            window_messages: 64,
            window_bytes: 262_144,
            retention_hours: 720,
        };
        let mut bounds = Bounds::default();
        if small & 1 == 1 {
            (bounds.requests, bounds.window_messages, bounds.window_bytes) = (3, 2, 65_536);
        }
        if small & 2 == 2 {
            (bounds.frames_burst, bounds.frames_per_second) = (5, 1);
        }
        let mut world = Self {
            identity: Arc::new(Identity { key, descriptor }),
            bounds: Arc::new(bounds),
            store: Model::new(Epoch([5; 16])),
            now: BEGIN,
            ends: Vec::new(),
            made: 0,
        };
        (0..CONNECTIONS).for_each(|at| world.open(at));
        world
    }

    fn open(&mut self, at: usize) {
        self.made = self.made.wrapping_add(1);
        let binding = ChannelBinding([self.made; 32]);
        let (identity, bounds) = (Arc::clone(&self.identity), Arc::clone(&self.bounds));
        let end = End {
            machine: RelayConnection::with_bounds(identity, bounds, binding, self.now),
            binding,
            asked: VecDeque::new(),
            owed: 0,
            proved: false,
            closed: false,
            owner: None,
            decided: false,
            subscribed: false,
            cursor: 0,
            window: BTreeMap::new(),
            number: 0,
            blind: false,
        };
        if at < self.ends.len() {
            self.ends[at] = end;
        } else {
            self.ends.push(end);
        }
        self.drain(at);
    }

    fn step(&mut self, operation: u8, script: &mut Script<'_>) {
        let at = usize::from(operation >> 4) % CONNECTIONS;
        match operation & 15 {
            0 => self.open(at),
            1 => self.auth(at, script),
            2..=5 => {
                let request = request(script);
                let frame = self.frame(at, request);
                self.say(at, &frame, script.u8());
            }
            6 => {
                let count = 1 + script.below(64);
                let from = u64::from(script.u8());
                let seqs: Vec<u64> = (0..count as u64).map(|n| from + n).collect();
                let end = &mut self.ends[at];
                if end.machine.wants_bytes() {
                    end.window.retain(|seq, _| !seqs.contains(seq));
                }
                self.say(at, &FromClient::Ack(seqs).encode(), 0);
            }
            // Anything at all, but for the acks that it may hold: those are not counted.
            7 => {
                let length = script.below(40);
                let bytes: Vec<u8> = (0..length).map(|_| script.u8()).collect();
                self.ends[at].blind |= length > 0;
                self.say(at, &bytes, 0);
            }
            8..=10 => self.answer(at, 1 + script.below(8)),
            11 => {
                // In another order than asked: what one of them says does not hang on the others.
                let end = &mut self.ends[at];
                let by = script.below(end.asked.len());
                end.asked.rotate_left(by);
                self.answer(at, 1);
            }
            12 => {
                self.now = self.now.saturating_add(Duration::from_millis(script.u16().into()));
                self.input(at, Input::Tick);
            }
            13 => match script.u8() % 4 {
                0 => self.input(at, Input::Failed),
                1 => self.input(at, Input::Drain),
                2 => {
                    self.input(at, Input::Ended(EndReason::Superseded));
                }
                // A clock that was set back.
                _ => self.now = BEGIN,
            },
            14 => {
                if let Some(due) = self.ends[at].machine.wake_at() {
                    self.now = self.now.max(due);
                    self.input(at, Input::Tick);
                    let again = self.ends[at].machine.wake_at();
                    assert!(again.is_none_or(|again| again > due), "it wants to be woken again");
                }
            }
            _ => self.input(at, Input::Arrived),
        }
    }

    fn auth(&mut self, at: usize, script: &mut Script<'_>) {
        let (owner, how) = (1 + script.u8() % OWNERS, script.u8() % 8);
        let end = &mut self.ends[at];
        let relay = self.identity.descriptor.relay_id();
        let elsewhere = ChannelBinding([0xee; 32]);
        let binding = if how == 7 { &elsewhere } else { &end.binding };
        let mut auth = Auth::sign(&key(owner), binding, &relay);
        if how == 6 {
            auth.owner = key(owner % OWNERS + 1).verifying_key();
        }
        if how < 6 && !end.decided && end.machine.wants_bytes() {
            end.owner = Some(MailboxId::of(&key(owner).verifying_key()));
        }
        let frame = self.frame(at, Request::Auth(auth));
        self.say(at, &frame, 0);
    }

    fn frame(&mut self, at: usize, request: Request) -> Bytes {
        let end = &mut self.ends[at];
        end.number += 1;
        let id = RequestId::new(end.number).expect("not zero");
        FromClient::Request { id, request }.encode()
    }

    /// Bytes on the stream, in two pieces, while the machine takes any.
    fn say(&mut self, at: usize, bytes: &[u8], cut: u8) {
        let (first, second) = bytes.split_at(usize::from(cut).min(bytes.len()));
        for piece in [first, second] {
            if piece.is_empty() {
                continue;
            }
            if self.ends[at].machine.wants_bytes() {
                self.ends[at].decided = true;
                self.input(at, Input::Bytes(piece));
            } else {
                // Half a frame went in, and what follows is no longer what it says.
                self.ends[at].blind |= !first.is_empty();
            }
        }
    }

    fn input(&mut self, at: usize, input: Input<'_>) {
        self.ends[at].machine.handle(self.now, input);
        self.drain(at);
    }

    /// Lets the store do some of what a connection asked.
    fn answer(&mut self, at: usize, count: usize) {
        for _ in 0..count {
            let Some((ticket, request)) = self.ends[at].asked.pop_front() else { return };
            let mut answers = self.store.apply(self.now, vec![request]).expect("a model");
            let answer = answers.remove(0);
            if matches!(answer, StoreAnswer::Stored { .. } | StoreAnswer::Fetched { .. }) {
                self.ends[at].owed += 1;
            }
            self.input(at, Input::Answered { ticket, answer });
        }
    }

    fn drain(&mut self, at: usize) {
        let (bounds, end) = (Arc::clone(&self.bounds), &mut self.ends[at]);
        while let Some(output) = end.machine.poll() {
            assert!(!end.closed, "something after the end: {output:?}");
            match output {
                Output::Send(frame) => end.heard(&frame, &bounds),
                Output::Store { ticket, request } => {
                    end.may_ask(&request);
                    end.asked.push_back((ticket, request));
                    // A read goes beside the requests.
                    assert!(end.asked.len() <= bounds.requests + 1, "too much at once");
                }
                Output::Close(_) => end.closed = true,
                _ => {}
            }
        }
        if end.closed {
            assert!(!end.machine.wants_bytes() && end.machine.wake_at().is_none());
        }
    }

    /// Everything is answered at last, or the connection is over.
    fn end(&mut self) {
        for at in 0..CONNECTIONS {
            for _ in 0..1000 {
                if self.ends[at].asked.is_empty() {
                    break;
                }
                self.answer(at, 1);
            }
            let end = &self.ends[at];
            assert!(end.closed || end.asked.is_empty(), "it asks for ever");
            assert!(end.closed || end.owed == 0, "{} answers are missing", end.owed);
        }
    }
}

impl End {
    /// A connection's role, and its owner, decide what it may ask.
    fn may_ask(&self, request: &StoreRequest) {
        use StoreRequest as Ask;
        if self.blind {
            return;
        }
        match request {
            Ask::Deposit { .. } | Ask::Probe { .. } | Ask::Fetch { .. } => {
                assert!(self.owner.is_none(), "an owner deposits");
            }
            Ask::Create { mailbox, .. }
            | Ask::Grant { mailbox, .. }
            | Ask::Revoke { mailbox, .. }
            | Ask::Publish { mailbox, .. }
            | Ask::Subscribe { mailbox }
            | Ask::Read { mailbox, .. }
            | Ask::Ack { mailbox, .. }
            | Ask::Delete { mailbox } => {
                assert_eq!(Some(*mailbox), self.owner, "somebody else's mailbox");
            }
            other => panic!("asked {other:?}"),
        }
    }

    fn heard(&mut self, frame: &Bytes, bounds: &Bounds) {
        let frame = FromRelay::decode(&frame.slice(4..)).expect("a frame of ours");
        match frame {
            FromRelay::Notice(Notice::Info(_)) => {
                assert!(!std::mem::replace(&mut self.proved, true), "two proofs");
            }
            _ if !self.proved => panic!("something before the proof: {frame:?}"),
            FromRelay::Notice(Notice::Deliver(it)) => {
                if self.blind {
                    return;
                }
                assert!(self.subscribed, "a delivery without a subscription");
                assert!(it.seq > self.cursor, "a delivery out of order");
                self.cursor = it.seq;
                self.window.insert(it.seq, it.envelope.len());
                let bytes: usize = self.window.values().sum();
                assert!(self.window.len() <= bounds.window_messages, "beyond the window");
                assert!(bytes <= bounds.window_bytes, "beyond the window");
            }
            FromRelay::Notice(Notice::Ended(_)) => self.subscribed = false,
            FromRelay::Answer { answer: Answer::Subscribed { .. }, .. } => {
                // Whatever was asked for, it begins anew.
                (self.subscribed, self.cursor) = (true, 0);
                self.window.clear();
            }
            FromRelay::Answer { answer: Answer::Stored | Answer::Fetched { .. }, .. } => {
                self.owed = self.owed.checked_sub(1).expect("the store did not say so");
            }
            _ => {}
        }
    }
}

/// A request of any kind with operands from the script.
fn request(script: &mut Script<'_>) -> Request {
    let capability = Capability::new(Secret::new([script.u8() % CAPABILITIES; 32]));
    match script.u8() % 16 {
        0 => Request::Create { token: None },
        1 | 2 => Request::Grant(Grant {
            capability: capability.hash(),
            handle: Handle([script.u8(); 8]),
            kind: script.one_of(&[CapabilityKind::Private, CapabilityKind::Knock]),
            expires: script.one_of(&[None, None, Some(Hour::of(BEGIN).plus(1))]),
            rate: script.one_of(&[Rate::PRIVATE, Rate::KNOCK]),
        }),
        3 => Request::Revoke(capability.hash()),
        4 => Request::Publish(Publish {
            knock: capability.hash(),
            link: script.one_of(&[LinkUse::OneTime, LinkUse::Reusable]),
            bundle: vec![7; 1 + script.below(64)].into(),
            one_time: (0..script.below(33)).map(|n| vec![7; n + 1].into()).collect(),
            replace_one_time: script.flag(),
        }),
        5 | 6 => Request::Subscribe { after: u64::from(script.u8() / 32) },
        7 => Request::Delete,
        8..=12 => {
            let mut envelope = vec![0; script.one_of(&[2048, 2048, 65_536])];
            envelope[0] = script.u8();
            Request::Deposit(Deposit {
                capability,
                ttl: script.one_of(&[TtlClass::Month, TtlClass::Day]),
                urgency: Urgency::default(),
                envelope: envelope.into(),
            })
        }
        13 => Request::Probe(capability),
        14 => Request::Fetch(Fetch { knock: capability, id: FetchId([script.u8() % 4; 16]) }),
        _ => Request::Reserved(script.one_of(&[Reserved::Log, Reserved::Token])),
    }
}
