//! Who deposits: the real client half, under an outbox that keeps everything until the application at the other end has
//! it. What was answered `Stored` is not deposited again, unless the relay began another life.

use std::collections::BTreeMap;

use bytes::Bytes;
use chopmark_core::secret::Secret;
use chopmark_mailbox::{Input, Output, SenderConnection, SenderEvent};
use chopmark_wire::relay::{
    Capability, Deposit, MessageId, Refusal, RelayHash, RequestId, TtlClass, Urgency,
};
use rand::Rng as _;

use super::{
    ledger::Ledger,
    network::{End, Event, LinkId, Network},
};

/// A sender: one capability of one mailbox.
pub(super) struct Sender {
    pub(super) client: usize,
    outbox: Vec<Item>,
    talks: Vec<Talk>,
    dialing: Vec<LinkId>,
    hold: u64,
    window: usize,
    /// Nothing ever made it go back: what it wrote arrives in the order in which it was written.
    pub(super) straight: bool,
    ttl: TtlClass,
}

struct Item {
    id: MessageId,
    envelope: Bytes,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Stored,
    /// The application at the other end has it.
    Heard,
}

struct Talk {
    link: LinkId,
    machine: SenderConnection,
    in_flight: BTreeMap<RequestId, usize>,
    /// The next to be deposited here.
    next: usize,
    /// Deposits again what is stored.
    again: bool,
    refused: bool,
}

pub(super) fn capability(client: usize) -> Capability {
    Capability::new(Secret::new([client as u8 + 100; 32]))
}

impl Sender {
    pub(super) fn new(client: usize, window: usize, ttl: TtlClass) -> Self {
        Self {
            client,
            outbox: Vec::new(),
            talks: Vec::new(),
            dialing: Vec::new(),
            hold: 0,
            window,
            straight: true,
            ttl,
        }
    }

    /// The application writes something.
    pub(super) fn write(&mut self, network: &mut Network, ledger: &mut Ledger) {
        let length = match network.below(24) {
            0 => 65_536,
            1..3 => 16_384,
            3..6 => 4_096,
            _ => 2_048,
        };
        let mut envelope = vec![0; length];
        network.rng.fill_bytes(&mut envelope[..32]);
        let envelope = Bytes::from(envelope);
        let id = MessageId::of(&envelope);
        ledger.written(id, (self.client, self.outbox.len() as u32), length);
        self.outbox.push(Item { id, envelope, stage: Stage::Waiting });
        self.pump(network);
    }

    /// Every message is with the application, or stored and over.
    pub(super) fn content(&self, ledger: &Ledger) -> bool {
        self.outbox.iter().all(|item| match item.stage {
            Stage::Heard => true,
            Stage::Stored => ledger.is_over(&item.id),
            Stage::Waiting => false,
        })
    }

    /// What is not as it should be.
    pub(super) fn wanting(&self, ledger: &Ledger) -> String {
        let wanting = self.outbox.iter().enumerate().filter(|(_, item)| match item.stage {
            Stage::Heard => false,
            Stage::Stored => !ledger.is_over(&item.id),
            Stage::Waiting => true,
        });
        let wanting: Vec<_> = wanting.map(|(n, item)| format!("{n} {:?}", item.stage)).collect();
        format!("sender {}: {}", self.client, wanting.join(", "))
    }

    /// The application at the other end has it.
    pub(super) fn heard(&mut self, number: u32) {
        self.outbox[number as usize].stage = Stage::Heard;
    }

    /// The relay began another life: what nobody has acknowledged is deposited again.
    pub(super) fn told(&mut self, network: &mut Network) {
        for item in self.outbox.iter_mut().filter(|item| item.stage == Stage::Stored) {
            item.stage = Stage::Waiting;
            self.straight = false;
        }
        self.talks.iter_mut().for_each(|talk| talk.next = 0);
        self.pump(network);
    }

    pub(super) fn wake(&mut self, network: &mut Network) {
        let now = network.client_time(self.client);
        let mut silent = Vec::new();
        for talk in &mut self.talks {
            if talk.machine.handle(now, Input::Tick).is_err() {
                silent.push(talk.link);
            }
        }
        for link in silent {
            network.say(|| format!("sender {}: the relay is silent", self.client));
            self.hang_up(link, network);
        }
        self.pump(network);
    }

    /// Deposits everything that is not acknowledged on one more connection, beside what is under way.
    pub(super) fn duplicate(&mut self, network: &mut Network) {
        if self.talks.len() + self.dialing.len() < 3 {
            self.dialing.push(network.dial(self.client));
        }
    }

    pub(super) fn dialed(
        &mut self,
        link: LinkId,
        accepted: Option<RelayHash>,
        network: &mut Network,
    ) {
        let Some(at) = self.dialing.iter().position(|it| *it == link) else { return };
        self.dialing.remove(at);
        let Some((_, relay)) = network.client(link).zip(accepted) else {
            network.forget(link, End::Client);
            return self.later(2_000, network);
        };
        let (now, binding) = (network.client_time(self.client), network.binding(link));
        self.talks.push(Talk {
            link,
            machine: SenderConnection::new(relay, binding, now),
            in_flight: BTreeMap::new(),
            next: 0,
            again: !self.talks.is_empty(),
            refused: false,
        });
        self.pump(network);
    }

    pub(super) fn bytes(&mut self, link: LinkId, bytes: &[u8], network: &mut Network) {
        let now = network.client_time(self.client);
        let Some(talk) = self.talks.iter_mut().find(|talk| talk.link == link) else { return };
        if let Err(error) = talk.machine.handle(now, Input::Bytes(bytes)) {
            panic!("sender {} closes on the relay: {error}", self.client);
        }
        let (mut sends, mut gone, mut hold) = (Vec::new(), false, 0);
        while let Some(output) = talk.machine.poll() {
            match output {
                Output::Send(bytes) => sends.push(bytes),
                Output::Event(SenderEvent::Stored { id }) => {
                    let item = talk.in_flight.remove(&id).expect("an answer to nothing");
                    network.say(|| format!("sender {}: {item} is stored", self.client));
                    if self.outbox[item].stage == Stage::Waiting {
                        self.outbox[item].stage = Stage::Stored;
                    }
                }
                Output::Event(SenderEvent::Refused { id, refusal }) => {
                    network.say(|| format!("sender {} is refused: {refusal:?}", self.client));
                    talk.in_flight.remove(&id);
                    talk.refused = true;
                    self.straight = false;
                    hold = match refusal {
                        Refusal::Later { .. } => 1_800_000,
                        Refusal::Unavailable { .. } | Refusal::NotAccepted => 60_000,
                        other => panic!("{other:?}"),
                    };
                }
                Output::Event(SenderEvent::GoAway(_)) => gone = true,
                Output::Event(_) | _ => {}
            }
        }
        for bytes in sends {
            network.send(link, End::Client, &bytes);
        }
        if hold > 0 {
            self.later(hold, network);
        }
        if gone {
            self.hang_up(link, network);
        }
        self.pump(network);
    }

    /// Deposits what waits, in order, as much as the window has room for.
    fn pump(&mut self, network: &mut Network) {
        let (held, now) = (network.now < self.hold, network.client_time(self.client));
        let waiting = self.outbox.iter().any(|item| item.stage == Stage::Waiting);
        if !held && waiting && self.talks.is_empty() && self.dialing.is_empty() {
            self.dialing.push(network.dial(self.client));
        }
        let window = self.window;
        let ttl = self.ttl;
        for talk in &mut self.talks {
            if !held && talk.refused && talk.in_flight.is_empty() {
                (talk.refused, talk.next) = (false, 0);
            }
            while !held && !talk.refused && talk.in_flight.len() < window {
                let Some(item) = self.outbox.get(talk.next) else { break };
                let wanted = match item.stage {
                    Stage::Waiting => true,
                    Stage::Stored => talk.again,
                    Stage::Heard => false,
                };
                if wanted {
                    let deposit = Deposit {
                        capability: capability(self.client),
                        ttl,
                        urgency: Urgency::Normal,
                        envelope: item.envelope.clone(),
                    };
                    network.say(|| {
                        format!("sender {} deposits {} on {}", self.client, talk.next, talk.link)
                    });
                    talk.in_flight.insert(talk.machine.deposit(now, deposit), talk.next);
                }
                talk.next += 1;
            }
            while let Some(output) = talk.machine.poll() {
                match output {
                    Output::Send(bytes) => network.send(talk.link, End::Client, &bytes),
                    other => panic!("{other:?} without an input"),
                }
            }
            network.wake(self.client, talk.machine.wake_at());
        }
    }

    /// The connection is gone.
    pub(super) fn gone(&mut self, link: LinkId, network: &mut Network) {
        self.dialing.retain(|it| *it != link);
        self.talks.retain(|talk| talk.link != link);
        self.later(0, network);
    }

    fn hang_up(&mut self, link: LinkId, network: &mut Network) {
        self.talks.retain(|talk| talk.link != link);
        network.close(link, End::Client);
        self.later(0, network);
    }

    /// The process dies; its outbox does not.
    pub(super) fn die(&mut self, network: &mut Network) {
        self.talks.clear();
        self.dialing.clear();
        network.client_died(self.client);
        self.later(1_000, network);
    }

    fn later(&mut self, hold: u64, network: &mut Network) {
        let delay = hold + 100 + network.below(2_000);
        self.hold = self.hold.max(network.now + delay);
        network.after(delay, Event::WakeClient(self.client));
    }
}
