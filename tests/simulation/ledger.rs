//! What must hold, written down as it happens: what the store said that it has, what it delivered, what was shown.

use std::collections::{BTreeMap, HashMap, HashSet};

use chopmark_core::time::Timestamp;
use chopmark_mailbox::store::{StoreAnswer, StoreRequest};
use chopmark_wire::relay::{Epoch, Hour, MessageId, TtlClass};

/// A message by who wrote it and its number.
pub(super) type Name = (usize, u32);

/// A message that the store has, or has a tombstone of.
#[derive(Clone, Copy, Debug)]
struct Kept {
    until: Hour,
    /// Its time has come at some moment: it may be gone, and be kept anew.
    over: bool,
}

/// What the store has, as far as its answers say.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadow {
    kept: HashMap<MessageId, Kept>,
    /// Of batches of which nobody knows what became of them, with the earliest end of their time.
    perhaps: HashMap<MessageId, Hour>,
}

/// The books of a run.
#[derive(Default)]
pub(super) struct Ledger {
    names: HashMap<MessageId, Name>,
    shadow: Shadow,
    /// What the relay's clock shows.
    hour: u64,
    /// Messages whose time came in some life of the store.
    over: HashSet<MessageId>,
    /// Of all envelopes.
    bytes: usize,
    numbers: HashMap<(usize, Epoch, u64), MessageId>,
    deliveries: HashMap<(Epoch, MessageId), u64>,
    /// What the application of an owner was shown of each sender, in this order.
    shown: BTreeMap<usize, Vec<u32>>,
    pub(super) stored: u64,
    pub(super) repeated: u64,
    pub(super) redelivered: u64,
    pub(super) expired: u64,
    /// The store was put back to an older state.
    pub(super) restored: bool,
    /// A batch failed and the relay went on: what stood behind it may have been done before what was in it.
    pub(super) overtaken: bool,
}

/// What a deposit asks for, as far as the books need it.
pub(super) type Asked = Option<(MessageId, TtlClass)>;

pub(super) fn asked(request: &StoreRequest) -> Asked {
    match request {
        StoreRequest::Deposit { id, ttl, .. } => Some((*id, *ttl)),
        _ => None,
    }
}

impl Ledger {
    pub(super) fn written(&mut self, id: MessageId, name: Name, bytes: usize) {
        self.bytes += bytes;
        self.names.insert(id, name);
    }

    pub(super) fn name(&self, id: &MessageId) -> Name {
        *self.names.get(id).expect("the relay made a message up")
    }

    /// The relay's clock shows this.
    pub(super) fn clock(&mut self, now: Timestamp) {
        let hour = Hour::of(now);
        if hour.0 != self.hour {
            self.hour = hour.0;
            self.expire();
        }
    }

    fn expire(&mut self) {
        let hour = Hour(self.hour);
        for (id, until) in &self.shadow.perhaps {
            if *until <= hour {
                self.over.insert(*id);
            }
        }
        for (id, kept) in &mut self.shadow.kept {
            if kept.until <= hour && !kept.over {
                kept.over = true;
                self.expired += 1;
                self.over.insert(*id);
            }
        }
    }

    /// A batch is on the disk, and these are its answers.
    pub(super) fn applied(&mut self, now: Timestamp, asked: &[Asked], answers: &[StoreAnswer]) {
        assert_eq!(asked.len(), answers.len(), "a request without an answer");
        self.clock(now);
        for (asked, answer) in asked.iter().zip(answers) {
            let (Some((id, ttl)), StoreAnswer::Stored { arrived }) = (asked, answer) else {
                continue;
            };
            let name = self.name(id);
            let mut until = Hour::of(now).plus(ttl.hours());
            let known = self.shadow.kept.get(id).copied();
            match (arrived, known) {
                (Some(_), Some(kept)) => {
                    assert!(kept.over, "{name:?} is kept twice: its id was forgotten too early");
                    self.stored += 1;
                }
                (Some(_), None) => self.stored += 1,
                (None, None) => {
                    let perhaps = self.shadow.perhaps.get(id);
                    until = *perhaps
                        .unwrap_or_else(|| panic!("{name:?} was answered `Stored` and is nowhere"));
                    self.repeated += 1;
                }
                (None, Some(_)) => {
                    self.repeated += 1;
                    continue;
                }
            }
            self.shadow.kept.insert(*id, Kept { until, over: false });
        }
    }

    /// Nobody knows what became of a batch.
    pub(super) fn unsure(&mut self, now: Timestamp, asked: &[Asked]) {
        for (id, ttl) in asked.iter().flatten() {
            let until = Hour::of(now).plus(ttl.hours());
            let earliest = self.shadow.perhaps.entry(*id).or_insert(until);
            *earliest = (*earliest).min(until);
        }
        self.expire();
    }

    pub(super) fn shadow(&self) -> Shadow {
        self.shadow.clone()
    }

    /// The store is what it was when this was taken.
    pub(super) fn restore(&mut self, shadow: Shadow) {
        self.shadow = shadow;
        self.restored = true;
        self.expire();
    }

    /// A delivery, as it comes out of the client's half.
    pub(super) fn delivered(&mut self, owner: usize, epoch: Epoch, seq: u64, id: MessageId) {
        let name = self.name(&id);
        let before = *self.numbers.entry((owner, epoch, seq)).or_insert(id);
        assert_eq!(before, id, "number {seq} of mailbox {owner} was given twice");
        match self.deliveries.insert((epoch, id), seq) {
            Some(other) if other != seq => {
                assert!(
                    self.over.contains(&id),
                    "{name:?} is delivered as number {other} and as number {seq}"
                );
            }
            Some(_) => self.redelivered += 1,
            None => {}
        }
    }

    /// Numbers that the owner never saw lie below a delivery.
    pub(super) fn gap(&self, owner: usize, from: u64, to: u64) {
        let excused = self.restored || !self.over.is_empty();
        assert!(excused, "mailbox {owner} never delivered what lies between {from} and {to}");
    }

    /// The application shows a message. `straight`: nothing ever made its sender go back.
    pub(super) fn show(&mut self, name: Name, straight: bool) {
        let shown = self.shown.entry(name.0).or_default();
        assert!(!shown.contains(&name.1), "{name:?} is shown twice");
        let behind = shown.iter().max().is_some_and(|last| *last > name.1);
        // What was over and came once more comes late.
        let straight = straight && !self.overtaken && self.over.is_empty();
        assert!(!(straight && behind), "{name:?} comes after {:?}", shown.last());
        shown.push(name.1);
    }

    /// What the store may take of the disk, in bytes: what was ever kept here, each with its records, and a little.
    pub(super) fn disk_bound(&self) -> usize {
        self.bytes + 400 * self.names.len() + 8_192
    }

    pub(super) fn is_over(&self, id: &MessageId) -> bool {
        self.over.contains(id)
    }

    pub(super) fn shown(&self) -> usize {
        self.shown.values().map(Vec::len).sum()
    }
}
