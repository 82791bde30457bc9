//! One run: a relay, the owners of mailboxes, those who deposit in them, and what goes wrong, all of it drawn from a seed.

mod rest;
mod trouble;

use std::collections::BTreeMap;

use chopmark_wire::relay::{CapabilityKind, Rate, RelayHash, TtlClass};

use super::{
    disk::{LogDisk, Trouble},
    fault::{self, Fault},
    ledger::{Ledger, Shadow},
    network::{Brought, End, Event, LinkId, Network},
    owner::Owner,
    relay::{Fared, Node, identity},
    sender::Sender,
};

/// What one run did.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) faults: BTreeMap<&'static str, u64>,
    pub(super) stored: u64,
    pub(super) shown: u64,
    pub(super) repeated: u64,
    pub(super) redelivered: u64,
    pub(super) expired: u64,
}

/// Everything of one run.
pub(super) struct World {
    network: Network,
    relay: Relay,
    owners: BTreeMap<usize, Owner>,
    senders: BTreeMap<usize, Sender>,
    ledger: Ledger,
    plan: Vec<Fault>,
    healed: bool,
}

/// The relay's machine.
struct Relay {
    node: Option<Node>,
    /// What is on its disk while nothing runs on it.
    disk: LogDisk,
    backup: Option<(LogDisk, Shadow)>,
    life: u64,
    hash: RelayHash,
    /// Whether the machine goes down with the process at the next trouble.
    power: bool,
    /// What is on its disk is a backup's.
    restored: bool,
    disk_delay: u64,
}

/// Faults happen within this time, in milliseconds.
const TROUBLED: u64 = 8 * 60_000;
/// By then everything must have come to rest.
const PATIENCE: u64 = 72 * 3_600_000;

impl World {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut network = Network::new(seed, 16, trace);
        let (mut owners, mut senders) = (BTreeMap::new(), BTreeMap::new());
        let count = 1 + network.below(2) as usize;
        for client in 0..count {
            let mut owner = Owner::new(client);
            for n in 0..1 + network.below(3) as usize {
                let sender = 2 + 4 * client + n;
                let kind = match network.below(4) {
                    0 => CapabilityKind::Knock,
                    _ => CapabilityKind::Private,
                };
                let rate = match network.below(4) {
                    0 => Rate::new(8, 30).unwrap(),
                    _ => Rate::PRIVATE,
                };
                owner.senders.push((sender, kind, rate));
                let window = match network.below(8) {
                    0 => 100,
                    _ => 1 + network.below(16) as usize,
                };
                let ttl = match network.below(3) {
                    0 => TtlClass::Day,
                    1 => TtlClass::Week,
                    _ => TtlClass::Month,
                };
                senders.insert(sender, Sender::new(sender, window, ttl));
            }
            owners.insert(client, owner);
        }
        let plan = Fault::plan(&mut network);
        let relay = Relay {
            node: None,
            disk: LogDisk::new(),
            backup: None,
            life: 0,
            hash: identity().descriptor.relay_id().short(),
            power: false,
            restored: false,
            disk_delay: 0,
        };
        let ledger = Ledger::default();
        Self { network, relay, owners, senders, ledger, plan, healed: false }
    }

    /// Runs until everything is at rest, and checks that it is right.
    pub(super) fn run(mut self) -> Report {
        self.schedule();
        while let Some(event) = self.network.next(PATIENCE) {
            self.event(event);
            if self.healed && self.at_rest() {
                break;
            }
        }
        let expired = self.ledger.expired;
        assert!(self.at_rest(), "not at rest after hours of peace: {}", self.restless());
        self.rest();
        Report {
            faults: self.network.faults,
            stored: self.ledger.stored,
            shown: self.ledger.shown() as u64,
            repeated: self.ledger.repeated,
            redelivered: self.ledger.redelivered,
            expired,
        }
    }

    fn schedule(&mut self) {
        let network = &mut self.network;
        network.after(0, Event::Start);
        network.after(60_000, Event::Sweep);
        for client in self.owners.keys() {
            network.after(100, Event::WakeClient(*client));
        }
        for sender in self.senders.keys() {
            for _ in 0..3 + network.below(4) {
                // A few at once, now and then many.
                let many = if network.one_in(40) { 100 } else { 0 };
                let (at, burst) = (network.below(TROUBLED), 1 + network.below(8) + many);
                (0..burst).for_each(|_| network.after(at, Event::Write(*sender)));
            }
        }
        network.drop_one_in = [0, 0, 200, 40][network.below(4) as usize];
        for number in 0..self.plan.len() {
            let at = 2_000 + network.below(TROUBLED - 2_000);
            network.after(at, Event::Fault(number));
        }
        network.after(TROUBLED, Event::Heal);
    }

    fn event(&mut self, event: Event) {
        let Self { network, relay, owners, senders, ledger, .. } = self;
        match event {
            Event::Arrive(link, End::Relay) => {
                match (network.arrive(link, End::Relay), &mut relay.node) {
                    (Brought::Bytes(bytes), Some(node)) => node.bytes(link, bytes, network),
                    (Brought::Close, Some(node)) => node.gone(link, network),
                    _ => {}
                }
            }
            Event::Arrive(link, End::Client) => self.arrive(link),
            Event::Learn(link, End::Relay) => match &mut relay.node {
                Some(node) => node.gone(link, network),
                None => {
                    network.forget(link, End::Relay);
                }
            },
            Event::Learn(link, End::Client) => self.client_learns(link),
            Event::Dialed(link) => {
                let accepted = relay.node.as_mut().is_some_and(|node| node.accept(link, network));
                let accepted = accepted.then_some(relay.hash);
                for owner in owners.values_mut() {
                    owner.dialed(link, accepted, network);
                }
                for sender in senders.values_mut() {
                    sender.dialed(link, accepted, network);
                }
            }
            Event::WakeRelay(link) => {
                if let Some(node) = &mut relay.node {
                    node.wake(link, network);
                }
            }
            Event::WakeClient(client) => {
                if let Some(owner) = owners.get_mut(&client) {
                    owner.wake(network);
                } else if let Some(sender) = senders.get_mut(&client) {
                    sender.wake(network);
                }
            }
            Event::Write(sender) => {
                senders.get_mut(&sender).unwrap().write(network, ledger);
            }
            Event::Commit(owner) => {
                owners.get_mut(&owner).unwrap().commit(network, ledger, senders);
            }
            Event::Heard(sender, number) => senders.get_mut(&sender).unwrap().heard(number),
            Event::Told(sender) => senders.get_mut(&sender).unwrap().told(network),
            Event::Batch(life) => self.batch(life),
            Event::Sweep => {
                network.after(60_000, Event::Sweep);
                if let Some(node) = relay.node.as_mut().filter(|node| node.idle())
                    && node.sweep(network, ledger) == Fared::Stopped
                {
                    self.down();
                }
            }
            Event::Start => self.start(),
            Event::Drained(life) => {
                if relay.node.as_ref().is_some_and(|node| node.life == life) {
                    self.down();
                }
            }
            Event::Fault(number) => self.fault(self.plan[number]),
            Event::Heal => self.heal(),
        }
    }

    fn arrive(&mut self, link: LinkId) {
        let client = self.network.client(link);
        let brought = self.network.arrive(link, End::Client);
        let Some(client) = client else { return };
        match brought {
            Brought::Bytes(bytes) => {
                if let Some(owner) = self.owners.get_mut(&client) {
                    owner.bytes(link, &bytes, &mut self.network, &mut self.ledger);
                } else if let Some(sender) = self.senders.get_mut(&client) {
                    sender.bytes(link, &bytes, &mut self.network);
                }
                if let Some(node) = &mut self.relay.node {
                    node.wake(link, &mut self.network);
                }
            }
            Brought::Close => self.client_learns(link),
            Brought::Nothing => {}
        }
    }

    fn client_learns(&mut self, link: LinkId) {
        let Some(client) = self.network.client(link) else { return };
        self.network.forget(link, End::Client);
        if let Some(owner) = self.owners.get_mut(&client) {
            owner.gone(link, &mut self.network);
        } else if let Some(sender) = self.senders.get_mut(&client) {
            sender.gone(link, &mut self.network);
        }
    }

    fn start(&mut self) {
        let Self { network, relay, .. } = self;
        if relay.node.is_some() {
            return;
        }
        relay.life += 1;
        let disk = std::mem::take(&mut relay.disk);
        let mut node = Node::start(disk, relay.life, network);
        node.disk_delay = relay.disk_delay;
        if std::mem::take(&mut relay.restored) {
            node.renew(network);
        }
        relay.node = Some(node);
        network.say(|| "the relay starts".to_owned());
    }

    fn batch(&mut self, life: u64) {
        let Self { network, relay, ledger, .. } = self;
        let Some(node) = relay.node.as_mut().filter(|node| node.life == life) else { return };
        if node.batch(network, ledger) == Fared::Stopped {
            return self.down();
        }
        let bytes = node.disk().live_bytes();
        let bound = ledger.disk_bound();
        assert!(bytes <= bound, "{bytes} bytes on the disk, where {bound} are enough");
    }
}
