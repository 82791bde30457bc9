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
    /// When its first message was sealed or opened here, as a count.
    pub(super) begun: u8,
    /// When the other side's part began, as a count.
    pub(super) answered: u8,
    /// When it was confirmed, as a count.
    pub(super) confirmed: u8,
    /// Sending moved to it when it was confirmed.
    pub(super) took_over: bool,
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
    /// Counts what the entries tell the order of.
    pub(super) count: u8,
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
            let flags = u8::from(entry.took_over) << 1 | u8::from(entry.unanswered);
            let counts = [entry.begun, entry.answered, entry.confirmed, flags];
            fold.add(u64::from(u32::from_be_bytes(counts)));
        }
        fold.add(u64::MAX);
        for envelope in &self.envelopes {
            fold.add(envelope.1);
        }
        for item in &self.outbox {
            fold.add(u64::from(item.envelope) << 1 | 1);
        }
        let small = [self.count, self.life, self.begun, self.written];
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
        let last = |at: &usize| (self.entries[*at].took_over, self.entries[*at].confirmed);
        if let Some(at) = confirmed.max_by_key(last) {
            return Some(at);
        }
        let ours = (0..self.entries.len()).rev().find(|at| self.entries[*at].session.initiator);
        let mut theirs = (0..self.entries.len()).filter(|at| !self.entries[*at].session.initiator);
        let theirs = theirs.find(able);
        if rules.has(Planted::ClaimedBeforeOwn) { theirs.or(ours) } else { ours.or(theirs) }
    }

    fn rank(&self, at: usize, rules: &Rules) -> u8 {
        rules.ranks[usize::from(self.entries[at].session.name)]
    }

    /// Whether sending moves to a session that is just confirmed.
    fn takes_over(&self, at: usize, rules: &Rules) -> bool {
        let Some(current) = self.sending(rules).filter(|at| self.entries[*at].confirmed > 0) else {
            return true;
        };
        // Whether who began the one had the other then.
        let is_after = |new: usize, old: usize| {
            let (new, old) = (&self.entries[new], &self.entries[old]);
            let same = new.session.initiator == old.session.initiator;
            let since = if same { old.begun } else { old.answered };
            since > 0 && new.begun > since
        };
        let lower = self.rank(at, rules) < self.rank(current, rules);
        is_after(at, current)
            || !is_after(current, at) && (lower || rules.has(Planted::LastConfirmedSends))
    }

    /// The session beside the one that sends that owes an empty message.
    pub(super) fn probe_due(&self, rules: &Rules) -> Option<usize> {
        let sending = self.sending(rules)?;
        if rules.has(Planted::ProbesBesideConfirmedOnly) && self.entries[sending].confirmed == 0 {
            return None;
        }
        (0..self.entries.len()).rev().find(|at| {
            let entry = &self.entries[*at];
            let answers = entry.unanswered && !rules.has(Planted::AnsweredWhereItSends);
            *at != sending && (entry.session.owes_progress() || (entry.confirmed > 0 && answers))
        })
    }

    pub(super) fn next_count(&mut self) -> u8 {
        self.count += 1;
        self.count
    }

    /// Puts a session in the place of its predecessor, or at the end.
    pub(super) fn replace(&mut self, session: Session, rules: &Rules) -> usize {
        let (confirmed, heard) = (session.is_confirmed(), !session.is_unanswered());
        let at = self.entry(session.name).unwrap_or(self.entries.len());
        let session = Shared::new(session);
        match self.entries.get_mut(at) {
            Some(entry) => entry.session = session,
            None => {
                let begun = self.next_count();
                let (answered, confirmed, took_over, unanswered) = (0, 0, false, false);
                let entry = Entry { session, begun, answered, confirmed, took_over, unanswered };
                self.entries.push(entry);
            }
        }
        if heard && self.entries[at].session.initiator && self.entries[at].answered == 0 {
            self.entries[at].answered = self.next_count();
        }
        if confirmed && self.entries[at].confirmed == 0 {
            self.entries[at].took_over = self.takes_over(at, rules);
            self.entries[at].confirmed = self.next_count();
        }
        at
    }

    /// Drops the sessions that are too many and returns their names.
    pub(super) fn evict(&mut self, rules: &Rules) -> Vec<u8> {
        let sending = self.sending(rules);
        let name = |at: &usize| self.entries[*at].session.name;
        // All but the last few; the one that sends stays and takes a place.
        let surplus = |mut kind: Vec<usize>, places: usize| {
            let sends = kind.iter().position(|at| Some(*at) == sending);
            let places = places - usize::from(sends.map(|at| kind.remove(at)).is_some());
            kind.truncate(kind.len().saturating_sub(places));
            kind
        };
        let (mut confirmed, unconfirmed): (Vec<usize>, Vec<usize>) =
            (0..self.entries.len()).partition(|at| self.entries[*at].confirmed > 0);
        confirmed.sort_by_key(|at| self.entries[*at].confirmed);
        let mut gone = surplus(confirmed, 3);
        if rules.has(Planted::UnconfirmedEvictsConfirmed) && unconfirmed.len() > 1 {
            gone.extend((0..self.entries.len()).rev().skip(2));
        } else {
            let ours = |at: &usize| self.entries[*at].session.initiator;
            let (ours, theirs): (Vec<_>, Vec<_>) = unconfirmed.iter().partition(|at| ours(at));
            gone.extend(surplus(ours, 2).into_iter().chain(surplus(theirs, 2)));
        }
        let gone: Vec<u8> = gone.iter().map(name).collect();
        self.entries.retain(|entry| !gone.contains(&entry.session.name));
        self.outbox.retain(|item| !gone.contains(&item.session));
        gone
    }
}
