//! The owner of a mailbox: the real client half, under an application that commits before it acks, dies, and remembers no
//! more than it committed. Its rules are those of the SDK's inbox.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chopmark_core::{secret::Secret, signature::SigningKey};
use chopmark_mailbox::{Input, Output, OwnerConnection, OwnerEvent};
use chopmark_wire::relay::{
    CapabilityKind, Deliver, Epoch, Grant, Handle, MailboxId, MessageId, Rate, Refusal, RelayHash,
    RequestId,
};

use super::{
    ledger::Ledger,
    network::{End, Event, LinkId, Network},
    sender::{Sender, capability},
};

/// An owner.
pub(super) struct Owner {
    /// Which client this is.
    pub(super) client: usize,
    pub(super) mailbox: MailboxId,
    /// The clients that deposit here, and what they may.
    pub(super) senders: Vec<(usize, CapabilityKind, Rate)>,
    kept: Kept,
    talk: Option<Talk>,
    dialing: Option<LinkId>,
    patience: u64,
}

/// What is on the owner's disk.
#[derive(Default)]
struct Kept {
    epoch: Option<Epoch>,
    seq: u64,
    anew: bool,
    granted: BTreeSet<usize>,
    seen: HashSet<MessageId>,
}

struct Talk {
    link: LinkId,
    machine: OwnerConnection,
    asked: BTreeMap<RequestId, usize>,
    created: RequestId,
    subscribed: RequestId,
    started_over: bool,
    /// Delivered and not committed.
    unsaved: Vec<Deliver>,
}

pub(super) fn key(client: usize) -> SigningKey {
    SigningKey::from_secret(&Secret::new([client as u8 + 1; 32]))
}

impl Owner {
    pub(super) fn new(client: usize) -> Self {
        Self {
            client,
            mailbox: MailboxId::of(&key(client).verifying_key()),
            senders: Vec::new(),
            kept: Kept::default(),
            talk: None,
            dialing: None,
            patience: 0,
        }
    }

    pub(super) fn grant(&self, sender: usize) -> Grant {
        let (_, kind, rate) = self.senders.iter().find(|it| it.0 == sender).unwrap();
        let handle = Handle([sender as u8; 8]);
        Grant {
            capability: capability(sender).hash(),
            handle,
            kind: *kind,
            expires: None,
            rate: *rate,
        }
    }

    /// Everything that is granted is known to be.
    pub(super) fn content(&self) -> bool {
        self.kept.granted.len() == self.senders.len()
            && self.talk.as_ref().is_some_and(|it| it.unsaved.is_empty() && it.asked.is_empty())
    }

    pub(super) fn wake(&mut self, network: &mut Network) {
        if let Some(talk) = &mut self.talk {
            let now = network.client_time(self.client);
            if talk.machine.handle(now, Input::Tick).is_err() {
                network.say(|| format!("owner {}: the relay is silent", self.client));
                return self.hang_up(network);
            }
            self.ask(network);
        } else if self.dialing.is_none() && network.now >= self.patience {
            self.dialing = Some(network.dial(self.client));
        }
        self.pump(network);
    }

    pub(super) fn dialed(
        &mut self,
        link: LinkId,
        accepted: Option<RelayHash>,
        network: &mut Network,
    ) {
        if self.dialing != Some(link) {
            return;
        }
        self.dialing = None;
        let Some((_, relay)) = network.client(link).zip(accepted) else {
            network.forget(link, End::Client);
            return self.later(network);
        };
        let now = network.client_time(self.client);
        let binding = network.binding(link);
        let mut machine = OwnerConnection::new(relay, binding, key(self.client), now);
        let (created, subscribed) = (machine.create(now), machine.subscribe(now, 0));
        self.talk = Some(Talk {
            link,
            machine,
            asked: BTreeMap::new(),
            created,
            subscribed,
            started_over: false,
            unsaved: Vec::new(),
        });
        self.ask(network);
        self.pump(network);
    }

    /// Asks for what it owes the relay.
    fn ask(&mut self, network: &Network) {
        let now = network.client_time(self.client);
        let owed: Vec<_> = self.senders.iter().map(|it| it.0).collect();
        for sender in owed {
            let grant = self.grant(sender);
            let Some(talk) = &mut self.talk else { return };
            let asked = talk.asked.values().any(|it| *it == sender);
            if !asked && !self.kept.granted.contains(&sender) {
                talk.asked.insert(talk.machine.grant(now, grant), sender);
            }
        }
    }

    pub(super) fn bytes(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        network: &mut Network,
        ledger: &mut Ledger,
    ) {
        let Some(talk) = self.talk.as_mut().filter(|talk| talk.link == link) else { return };
        if let Err(error) =
            talk.machine.handle(network.client_time(self.client), Input::Bytes(bytes))
        {
            panic!("owner {} closes on the relay: {error}", self.client);
        }
        self.events(network, ledger);
        self.pump(network);
    }

    fn events(&mut self, network: &mut Network, ledger: &mut Ledger) {
        let mut sends = Vec::new();
        while let Some(talk) = &mut self.talk {
            let Some(output) = talk.machine.poll() else { break };
            match output {
                Output::Send(bytes) => sends.push((talk.link, bytes)),
                Output::Event(OwnerEvent::Delivered(deliver)) => {
                    let epoch = self.kept.epoch.expect("delivered before subscribed");
                    let id = MessageId::of(&deliver.envelope);
                    ledger.delivered(self.client, epoch, deliver.seq, id);
                    if talk.unsaved.is_empty() {
                        let delay = network.below(250);
                        network.after(delay, Event::Commit(self.client));
                    }
                    talk.unsaved.push(deliver);
                }
                Output::Event(OwnerEvent::Subscribed { epoch, head, .. }) => {
                    if !self.subscribed(epoch, head, network) {
                        return self.hang_up(network);
                    }
                }
                Output::Event(OwnerEvent::Done { id }) => {
                    if let Some(sender) = talk.asked.remove(&id) {
                        self.kept.granted.insert(sender);
                    }
                }
                Output::Event(OwnerEvent::Refused { id, refusal }) => {
                    network.say(|| format!("owner {} is refused: {refusal:?}", self.client));
                    assert_ne!(refusal, Refusal::Conflict, "nobody else has these capabilities");
                    if id == talk.created || id == talk.subscribed {
                        return self.hang_up(network);
                    }
                    talk.asked.remove(&id);
                    network.after(60_000, Event::WakeClient(self.client));
                }
                Output::Event(OwnerEvent::Ended(_) | OwnerEvent::GoAway(_)) => {
                    return self.hang_up(network);
                }
                Output::Event(_) | _ => {}
            }
        }
        for (link, bytes) in sends {
            network.send(link, End::Client, &bytes);
        }
    }

    /// SPEC §6.7: on another life of the relay's store everything starts over. `false`: that happens too often.
    fn subscribed(&mut self, epoch: Epoch, head: u64, network: &mut Network) -> bool {
        let Some(talk) = &mut self.talk else { return false };
        let known = self.kept.epoch.is_none_or(|known| known == epoch);
        self.kept.epoch = Some(epoch);
        if known && head >= self.kept.seq {
            return true;
        }
        if talk.started_over {
            return false;
        }
        network.say(|| format!("owner {} sees another life of the store", self.client));
        talk.started_over = true;
        (self.kept.seq, self.kept.anew) = (0, true);
        self.kept.granted.clear();
        talk.asked.clear();
        talk.subscribed = talk.machine.subscribe(network.client_time(self.client), 0);
        for (sender, ..) in &self.senders {
            let delay = 1_000 + network.below(30_000);
            network.after(delay, Event::Told(*sender));
        }
        self.ask(network);
        true
    }

    /// Commits what was delivered, and acks it after that.
    pub(super) fn commit(
        &mut self,
        network: &mut Network,
        ledger: &mut Ledger,
        senders: &BTreeMap<usize, Sender>,
    ) {
        let Some(talk) = &mut self.talk else { return };
        let mut safe = Vec::new();
        for deliver in std::mem::take(&mut talk.unsaved) {
            let seq = deliver.seq;
            safe.push(seq);
            if seq <= self.kept.seq {
                continue;
            }
            if !self.kept.anew && seq != self.kept.seq + 1 {
                ledger.gap(self.client, self.kept.seq, seq);
            }
            (self.kept.seq, self.kept.anew) = (seq, false);
            let id = MessageId::of(&deliver.envelope);
            let (sender, number) = ledger.name(&id);
            assert_eq!(deliver.handle, Handle([sender as u8; 8]), "another's handle");
            if self.kept.seen.insert(id) {
                ledger.show((sender, number), senders[&sender].straight);
                let delay = 50 + network.below(20_000);
                network.after(delay, Event::Heard(sender, number));
            }
        }
        if network.one_in(3) {
            safe.reverse();
        }
        if network.one_in(2) {
            safe.iter().for_each(|seq| talk.machine.ack(&[*seq]));
        } else {
            talk.machine.ack(&safe);
        }
        self.pump(network);
    }

    fn pump(&mut self, network: &mut Network) {
        let Some(talk) = &mut self.talk else { return };
        while let Some(output) = talk.machine.poll() {
            match output {
                Output::Send(bytes) => network.send(talk.link, End::Client, &bytes),
                other => panic!("{other:?} without an input"),
            }
        }
        network.wake(self.client, talk.machine.wake_at());
    }

    /// The connection is gone.
    pub(super) fn gone(&mut self, link: LinkId, network: &mut Network) {
        if self.dialing == Some(link) {
            self.dialing = None;
            self.later(network);
        } else if self.talk.as_ref().is_some_and(|talk| talk.link == link) {
            self.talk = None;
            self.later(network);
        }
    }

    fn hang_up(&mut self, network: &mut Network) {
        if let Some(talk) = self.talk.take() {
            network.close(talk.link, End::Client);
        }
        self.later(network);
    }

    /// The process dies: what was delivered and not committed is delivered again.
    pub(super) fn die(&mut self, network: &mut Network) {
        (self.talk, self.dialing) = (None, None);
        network.client_died(self.client);
        self.later(network);
    }

    fn later(&mut self, network: &mut Network) {
        let delay = 200 + network.below(3_000);
        self.patience = network.now + delay;
        network.after(delay, Event::WakeClient(self.client));
    }
}
