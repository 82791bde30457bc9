//! One side: its sessions with the other (SPEC §5.8), what it keeps until that is acknowledged (§5.9), and what its user saw.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::planted::{Planted, Rules};
use super::session::{Envelope, Session};
use super::term::Fold;

/// A value that is shared between states and hashed once.
#[derive(Clone, Debug)]
pub(super) struct Shared<T>(Arc<T>, u64);

impl<T: Hash> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        let mut fold = Fold::new();
        value.hash(&mut fold);
        let print = fold.end();
        Self(Arc::new(value), print)
    }
}

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) session: Shared<Session>,
    /// When it was confirmed, as a count.
    pub(super) confirmed: u8,
    pub(super) unanswered: bool,
}

/// An envelope that is deposited again until it is covered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Index among the envelopes of this party.
    pub(super) envelope: u8,
    pub(super) session: u8,
    pub(super) position: (u8, u8),
    pub(super) content: u8,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Party {
    pub(super) entries: Vec<Entry>,
    pub(super) confirmations: u8,
    /// Names of the handshakes that were answered: one bit each.
    pub(super) answered: u32,
    /// The peer's manifest is known.
    pub(super) knows: bool,
    /// How often the device lost everything.
    pub(super) life: u8,
    /// How many sessions it began.
    pub(super) begun: u8,
    /// Everything it ever released. The network may deliver each at any time, at any number of times, or never.
    pub(super) envelopes: Vec<Shared<Envelope>>,
    pub(super) outbox: Vec<Item>,
    /// Contents that the user wrote: numbers 1 to this.
    pub(super) written: u8,
    /// Contents that were acknowledged, one bit each.
    pub(super) done: u64,
    /// Contents that went down with the device.
    pub(super) gone: u64,
    /// Envelopes of the peer that were opened and committed, one bit each.
    pub(super) opened: u128,
    /// Contents of the peer that the user saw.
    pub(super) seen: u64,
    /// Messages written by the fair continuation.
    pub(super) extras: u8,
    /// Crashes that left something outside; names what is drawn after them.
    pub(super) leaks: u8,
}

impl Party {
    pub(super) fn fold(&self, fold: &mut Fold) {
        for entry in &self.entries {
            fold.add(entry.session.1);
            fold.add(u64::from(entry.confirmed) << 1 | u64::from(entry.unanswered));
        }
        fold.add(u64::MAX);
        for envelope in &self.envelopes {
            fold.add(envelope.1);
        }
        for item in &self.outbox {
            fold.add(u64::from(item.envelope) << 1 | 1);
        }
        let small = [self.confirmations, self.life, self.begun, self.written];
        let others = [self.knows.into(), self.extras, self.leaks, 0];
        fold.write(&small);
        fold.write(&others);
        let opened = [self.opened as u64, (self.opened >> 64) as u64];
        for mask in
            [u64::from(self.answered), self.done, self.gone, self.seen].iter().chain(&opened)
        {
            fold.add(*mask);
        }
    }

    pub(super) fn entry(&self, name: u8) -> Option<usize> {
        self.entries.iter().position(|entry| entry.session.name == name)
    }

    /// Where content goes.
    pub(super) fn sending(&self, rules: &Rules) -> Option<usize> {
        let able = |at: &usize| !self.entries[*at].session.kem.awaits_entry();
        if rules.has(Planted::ContentBesideConfirmed) {
            return (0..self.entries.len()).rev().find(able);
        }
        let confirmed = (0..self.entries.len()).filter(|at| self.entries[*at].confirmed > 0);
        if let Some(at) = confirmed.max_by_key(|at| self.entries[*at].confirmed) {
            return Some(at);
        }
        let newest = |initiator| {
            let ours = |at: &usize| self.entries[*at].session.initiator == initiator;
            (0..self.entries.len()).rev().find(|at| ours(at) && able(at))
        };
        let rank = |at: usize| rules.ranks[usize::from(self.entries[at].session.name)];
        match (newest(true), newest(false)) {
            (Some(ours), Some(theirs))
                if rank(theirs) < rank(ours) && !rules.has(Planted::GlareByRole) =>
            {
                Some(theirs)
            }
            (Some(ours), _) => Some(ours),
            (None, theirs) => theirs,
        }
    }

    /// The session beside the one that sends that owes an empty message.
    pub(super) fn probe_due(&self, rules: &Rules) -> Option<usize> {
        let sending = self.sending(rules).filter(|at| self.entries[*at].session.is_confirmed())?;
        (0..self.entries.len()).rev().find(|at| {
            let entry = &self.entries[*at];
            let answers = entry.unanswered && !rules.has(Planted::AnsweredWhereItSends);
            *at != sending && (entry.session.owes_progress() || (entry.confirmed > 0 && answers))
        })
    }

    /// Puts a session in the place of its predecessor, or at the end.
    pub(super) fn replace(&mut self, session: Session) -> usize {
        let confirmed = session.is_confirmed();
        let at = self.entry(session.name).unwrap_or(self.entries.len());
        let session = Shared::new(session);
        match self.entries.get_mut(at) {
            Some(entry) => entry.session = session,
            None => self.entries.push(Entry { session, confirmed: 0, unanswered: false }),
        }
        if confirmed && self.entries[at].confirmed == 0 {
            self.confirmations += 1;
            self.entries[at].confirmed = self.confirmations;
        }
        at
    }

    /// Drops the sessions that are too many and returns their names.
    pub(super) fn evict(&mut self, rules: &Rules) -> Vec<u8> {
        let name = |at: &usize| self.entries[*at].session.name;
        let (mut confirmed, unconfirmed): (Vec<usize>, Vec<usize>) =
            (0..self.entries.len()).partition(|at| self.entries[*at].confirmed > 0);
        confirmed.sort_by_key(|at| std::cmp::Reverse(self.entries[*at].confirmed));
        let mut surplus: Vec<u8> = confirmed.iter().skip(3).map(name).collect();
        if rules.has(Planted::UnconfirmedEvictsConfirmed) && unconfirmed.len() > 1 {
            surplus.extend((0..self.entries.len()).rev().skip(2).map(|at| name(&at)));
        } else {
            surplus.extend(unconfirmed.iter().rev().skip(2).map(name));
        }
        self.entries.retain(|entry| !surplus.contains(&entry.session.name));
        self.outbox.retain(|item| !surplus.contains(&item.session));
        surplus
    }
}
