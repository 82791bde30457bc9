//! The relay's process: the real connections and the real shelf, with a writer and a list of subscribers as the node has
//! them, on a disk and a network that misbehave.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use chopmark_core::{secret::Secret, signature::SigningKey, time::Timestamp};
use chopmark_mailbox::{
    RelayConnection,
    relay::{Identity, Input, Output, Ticket},
    store::{MailboxStore as _, StoreAnswer, StoreRequest},
};
use chopmark_relay::store::{Shelf, StoreError};
use chopmark_wire::relay::{Descriptor, EndReason, Epoch, MailboxId, limits};
use rand::Rng as _;

use super::{
    disk::LogDisk,
    ledger::{Asked, Ledger, asked},
    network::{End, Event, LinkId, Network},
};

/// What a relay says of itself.
pub(super) fn identity() -> Arc<Identity> {
    let key = SigningKey::from_secret(&Secret::new([9; 32]));
    let descriptor = Descriptor {
        identity: key.verifying_key(),
        not_before: Timestamp::ZERO,
        not_after: Timestamp::ZERO,
        addresses: Vec::new(),
        certificates: [None, None],
        forwarding: None,
        window_messages: 64,
        window_bytes: 262_144,
        retention_hours: 720,
    };
    Arc::new(Identity { key, descriptor })
}

/// A running relay.
pub(super) struct Node {
    identity: Arc<Identity>,
    shelf: Shelf<LogDisk>,
    connections: BTreeMap<LinkId, Connection>,
    subscribers: HashMap<MailboxId, LinkId>,
    queue: VecDeque<Job>,
    /// With the disk.
    batch: Vec<Job>,
    /// Which life this is: what was due in another one is not for us.
    pub(super) life: u64,
    pub(super) draining: bool,
    /// How much longer the disk takes than it should.
    pub(super) disk_delay: u64,
}

type Job = (LinkId, Ticket, StoreRequest);

struct Connection {
    machine: RelayConnection,
    mailbox: Option<MailboxId>,
    inbox: VecDeque<Bytes>,
    answers: VecDeque<(Ticket, Option<StoreAnswer>)>,
    arrived: bool,
    ended: Option<EndReason>,
    drain: bool,
    /// Since when the client takes nothing off.
    stuck: Option<u64>,
    under_way: usize,
    woken_at: u64,
}

/// What a batch did to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fared {
    Well,
    /// The store stopped, as it must when nobody knows what is on the disk.
    Stopped,
}

/// What quinn buffers of a stream for a client that does not read.
const SEND_WINDOW: usize = 384 * 1024;
/// How long a client may take to read.
const WRITE_TIME: u64 = 30_000;
const BATCH: usize = 1024;
/// The most that waits for a client: its window, the answers of all it may have asked, and what was being written.
const UNREAD_MAX: usize = SEND_WINDOW + limits::WINDOW_BYTES + 2 * limits::FRAME_BYTES_MAX;

impl Node {
    pub(super) fn start(disk: LogDisk, life: u64, network: &mut Network) -> Self {
        let mut epoch = [0; 16];
        network.rng.fill_bytes(&mut epoch);
        let shelf = Shelf::open(disk, || Epoch(epoch)).expect("a healthy disk opens");
        Self {
            identity: identity(),
            shelf,
            connections: BTreeMap::new(),
            subscribers: HashMap::new(),
            queue: VecDeque::new(),
            batch: Vec::new(),
            life,
            draining: false,
            disk_delay: 0,
        }
    }

    /// The store begins another life, as after a restore.
    pub(super) fn renew(&mut self, network: &mut Network) {
        let mut epoch = [0; 16];
        network.rng.fill_bytes(&mut epoch);
        self.shelf.renew_epoch(Epoch(epoch)).expect("a healthy disk takes it");
    }

    pub(super) fn disk(&mut self) -> &mut LogDisk {
        self.shelf.disk_mut()
    }

    pub(super) fn idle(&self) -> bool {
        self.queue.is_empty() && self.batch.is_empty()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// A handshake is over.
    pub(super) fn accept(&mut self, link: LinkId, network: &mut Network) -> bool {
        if self.draining {
            return false;
        }
        let Some((_, binding)) = network.accept(link) else { return false };
        let machine = RelayConnection::new(self.identity.clone(), binding, network.relay_time());
        let connection = Connection {
            machine,
            mailbox: None,
            inbox: VecDeque::new(),
            answers: VecDeque::new(),
            arrived: false,
            ended: None,
            drain: false,
            stuck: None,
            under_way: 0,
            woken_at: 0,
        };
        self.connections.insert(link, connection);
        self.pump(link, network);
        true
    }

    pub(super) fn bytes(&mut self, link: LinkId, bytes: Bytes, network: &mut Network) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.inbox.push_back(bytes);
            self.pump(link, network);
        }
    }

    /// The client took bytes off, or some time passed.
    pub(super) fn wake(&mut self, link: LinkId, network: &mut Network) {
        let Some(connection) = self.connections.get_mut(&link) else { return };
        if connection.stuck.is_some_and(|since| since + WRITE_TIME <= network.now) {
            return self.end(link, network);
        }
        if connection.machine.wake_at().is_some_and(|due| due <= network.relay_time()) {
            connection.machine.handle(network.relay_time(), Input::Tick);
        }
        self.pump(link, network);
    }

    /// The connection is gone.
    pub(super) fn gone(&mut self, link: LinkId, network: &mut Network) {
        if network.forget(link, End::Relay) {
            self.leave(link);
        }
    }

    fn end(&mut self, link: LinkId, network: &mut Network) {
        self.leave(link);
        network.close(link, End::Relay);
    }

    fn leave(&mut self, link: LinkId) {
        if let Some(mailbox) = self.connections.remove(&link).and_then(|it| it.mailbox)
            && self.subscribers.get(&mailbox) == Some(&link)
        {
            self.subscribers.remove(&mailbox);
        }
    }

    pub(super) fn drain(&mut self, network: &mut Network) {
        self.draining = true;
        let all: Vec<_> = self.connections.keys().copied().collect();
        for link in all {
            if let Some(connection) = self.connections.get_mut(&link) {
                connection.drain = true;
            }
            self.pump(link, network);
        }
    }

    /// Everything that one connection can do now: what the task around it does.
    fn pump(&mut self, link: LinkId, network: &mut Network) {
        loop {
            let now = network.relay_time();
            let Some(connection) = self.connections.get_mut(&link) else { return };
            if network.unread(link) > SEND_WINDOW {
                if connection.stuck.is_none() {
                    connection.stuck = Some(network.now);
                    network.after(WRITE_TIME, Event::WakeRelay(link));
                }
                return;
            }
            connection.stuck = None;
            if self.outputs(link, network) {
                return self.end(link, network);
            }
            let Some(connection) = self.connections.get_mut(&link) else { return };
            let input = if let Some(reason) = connection.ended.take() {
                Input::Ended(reason)
            } else if std::mem::take(&mut connection.arrived) {
                Input::Arrived
            } else if let Some((ticket, answer)) = connection.answers.pop_front() {
                connection.under_way -= 1;
                answer.map_or(Input::Failed, |answer| Input::Answered { ticket, answer })
            } else if std::mem::take(&mut connection.drain) {
                Input::Drain
            } else if !connection.inbox.is_empty() && connection.machine.wants_bytes() {
                let bytes = connection.inbox.pop_front().unwrap_or_default();
                connection.machine.handle(now, Input::Bytes(&bytes));
                continue;
            } else {
                break;
            };
            connection.machine.handle(now, input);
        }
        let Some(connection) = self.connections.get_mut(&link) else { return };
        if let Some(due) = connection.machine.wake_at() {
            let wait =
                due.as_millis().saturating_sub(network.relay_time().as_millis()).min(3_600_000);
            let at = network.now + wait.max(1);
            // A timer that is set for sooner looks again.
            if connection.woken_at <= network.now || at < connection.woken_at {
                connection.woken_at = at;
                network.after(wait.max(1), Event::WakeRelay(link));
            }
        }
    }

    /// Does what the machine wants done; answers whether it wants the connection closed.
    fn outputs(&mut self, link: LinkId, network: &mut Network) -> bool {
        let mut close = false;
        loop {
            let Some(connection) = self.connections.get_mut(&link) else { return false };
            let Some(output) = connection.machine.poll() else { break };
            match output {
                Output::Send(frame) => network.send(link, End::Relay, &frame),
                Output::Store { ticket, request } => {
                    connection.under_way += 1;
                    // SPEC §6.8 [bounded-in-flight]: what was asked, and one read for the subscriber.
                    let most = limits::REQUESTS_IN_FLIGHT_MAX + 1;
                    assert!(connection.under_way <= most, "{} under way", connection.under_way);
                    self.queue.push_back((link, ticket, request));
                    self.begin(network);
                }
                Output::Subscribed(mailbox) => {
                    connection.mailbox = Some(mailbox);
                    let before = self.subscribers.insert(mailbox, link);
                    if let Some(before) = before.filter(|before| *before != link) {
                        network.count("two subscribers");
                        if let Some(other) = self.connections.get_mut(&before) {
                            other.ended = Some(EndReason::Superseded);
                            self.pump(before, network);
                        }
                    }
                }
                Output::Close(reason) => {
                    network.say(|| format!("relay closes {link}: {reason:?}"));
                    close = true;
                }
                _ => {}
            }
        }
        let unread = network.unread(link);
        assert!(unread <= UNREAD_MAX, "{unread} bytes wait for a client that does not read");
        close
    }

    fn begin(&mut self, network: &mut Network) {
        if self.batch.is_empty() && !self.queue.is_empty() {
            let count = self.queue.len().min(BATCH);
            self.batch = self.queue.drain(..count).collect();
            let time = 1 + self.disk_delay + network.below(12);
            network.after(time, Event::Batch(self.life));
        }
    }

    /// The batch meets the disk. What fails stops the node, as in the real one; want of space does not.
    pub(super) fn batch(&mut self, network: &mut Network, ledger: &mut Ledger) -> Fared {
        let now = network.relay_time();
        ledger.clock(now);
        let mut whose = Vec::new();
        let mut requests = Vec::new();
        for (link, ticket, request) in std::mem::take(&mut self.batch) {
            whose.push((link, ticket));
            requests.push(request);
        }
        let asked: Vec<Asked> = requests.iter().map(asked).collect();
        let answers = match self.shelf.apply(now, requests) {
            Ok(answers) => {
                for (asked, answer) in asked.iter().zip(&answers) {
                    if let Some((id, _)) = asked {
                        network.say(|| format!("store: {:?} {answer:?}", ledger.name(id)));
                    }
                }
                ledger.applied(now, &asked, &answers);
                answers.into_iter().map(Some).collect()
            }
            Err(StoreError::Full) => {
                network.count("disk full");
                ledger.overtaken = true;
                ledger.unsure(now, &asked);
                vec![None; whose.len()]
            }
            Err(_) => {
                ledger.unsure(now, &asked);
                return Fared::Stopped;
            }
        };
        let mut changed = Vec::new();
        for ((link, ticket), answer) in whose.into_iter().zip(answers) {
            if let Some(StoreAnswer::Stored { arrived: Some(mailbox) }) = &answer
                && let Some(hears) = self.subscribers.get(mailbox).copied()
                && let Some(connection) = self.connections.get_mut(&hears)
            {
                connection.arrived = true;
                changed.push(hears);
            }
            if let Some(connection) = self.connections.get_mut(&link) {
                connection.answers.push_back((ticket, answer));
                changed.push(link);
            }
        }
        for link in changed {
            self.pump(link, network);
        }
        self.begin(network);
        Fared::Well
    }

    pub(super) fn sweep(&mut self, network: &Network, ledger: &mut Ledger) -> Fared {
        ledger.clock(network.relay_time());
        loop {
            match self.shelf.sweep(network.relay_time()) {
                Ok(true) => {}
                Ok(false) | Err(StoreError::Full) => return Fared::Well,
                Err(_) => return Fared::Stopped,
            }
        }
    }

    /// Is anything waiting in this mailbox?
    pub(super) fn waiting(&mut self, now: Timestamp, mailbox: MailboxId) -> usize {
        let read = StoreRequest::Read { mailbox, after: 0, messages: 64, bytes: usize::MAX / 4 };
        match self.shelf.apply(now, vec![read]).unwrap().remove(0) {
            StoreAnswer::Messages(messages) => messages.len(),
            other => panic!("{other:?}"),
        }
    }
}
