//! All sessions with one device of a contact: which one sends, which one opens, which ones are kept.
//!
//! Several exist when both sides begin at once, when one side lost its state, or when a session was begun anew. Content
//! goes out on one of them, by rules that lead both sides to the same one; everything that still arrives on the
//! others is opened. What we wrote on a session of ours moves to no other one before that is confirmed. SPEC §5.8.

mod slots;
#[cfg(test)]
mod tests;

use core::{fmt, time::Duration};

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use crate::{
    codec::{DecodeError, Reader, Writer},
    handshake::{InitId, WrongEntry},
    identity::{AccountId, DeviceEntry},
    ratchet::{Parts, opening, sealing},
    session::{
        Incoming, OpenError, Opened, Outgoing, Position, Role, SealError, Sealed, Session,
        SessionId, Status, stored::Stored,
    },
    time::{DAY, Timestamp},
};

/// The sessions with one device of a contact. Like a [`Session`] it changes when a message is committed, and is stored
/// whole.
#[derive(Default)]
pub struct Sessions {
    /// In the order in which they were begun or answered here.
    entries: Vec<Entry>,
    /// Counts what the entries tell the order of.
    count: u64,
    /// What is in memory may be ahead of the store.
    stale: bool,
}

struct Entry {
    session: Session,
    /// When its first message was sealed or opened here, as a count.
    begun: u64,
    /// When the other side's part began, as a count: our first message on the peer's, the peer's first on ours. 0 before.
    answered: u64,
    /// When it was confirmed, as a count: 0 if it is not.
    confirmed: u64,
    /// Whether sending moved to it when it was confirmed.
    took_over: bool,
    /// Whether content was opened on it since it sealed last.
    unanswered: bool,
}

impl Entry {
    fn is_confirmed(&self) -> bool {
        self.confirmed > 0
    }

    /// All of its counts that are set.
    fn counts(&mut self) -> impl Iterator<Item = &mut u64> {
        [&mut self.begun, &mut self.answered, &mut self.confirmed]
            .into_iter()
            .filter(|count| **count > 0)
    }

    /// Whether an empty message is due while another session sends.
    fn owes_a_probe(&self) -> bool {
        // SPEC §5.8 [answered-where-it-came].
        self.session.owes_progress() || (self.is_confirmed() && self.unanswered)
    }
}

impl Sessions {
    /// No sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a session that was begun or answered, or puts back one that was introduced. Returns the names of those that
    /// had to go to make room; `session` itself may be among them.
    pub fn insert(&mut self, session: Session) -> Vec<SessionId> {
        let id = session.id();
        match self.entry(id) {
            Some(entry) => entry.session = session,
            None => {
                let begun = self.next_count();
                let (answered, confirmed, took_over, unanswered) = (0, 0, false, false);
                let entry = Entry { session, begun, answered, confirmed, took_over, unanswered };
                self.entries.push(entry);
            }
        }
        self.note_status(id);
        self.evict()
    }

    /// Gives every session that the peer began and that still waits for it the peer's verified device entry. See
    /// [`Session::introduce`].
    ///
    /// # Errors
    /// [`WrongEntry`] if the handshake of one of them bound another entry: that session was removed, the others were
    /// introduced. Store the sessions either way.
    pub fn introduce(
        &mut self,
        account: &AccountId,
        entry: &DeviceEntry,
    ) -> Result<(), WrongEntry> {
        let mut result = Ok(());
        self.entries.retain_mut(|kept| {
            if !kept.session.awaits_introduction() {
                return true;
            }
            let introduced = kept.session.introduce(account, entry);
            result = introduced.and(result);
            introduced.is_ok()
        });
        result
    }

    /// Ends the sessions that the peer began and that were not confirmed for 32 days, but the one that sends; their names.
    pub fn expire(&mut self, now: Timestamp) -> Vec<SessionId> {
        // SPEC §5.8 [unconfirmed-expires].
        let sending = self.sending().map(Session::id);
        let is_over = |entry: &Entry| {
            entry.session.role() == Role::Responder
                && !entry.is_confirmed()
                && Some(entry.session.id()) != sending
                && now.saturating_since(entry.session.created()) >= UNCONFIRMED_KEPT
        };
        let (over, kept) = core::mem::take(&mut self.entries).into_iter().partition(is_over);
        self.entries = kept;
        Vec::into_iter(over).map(|entry| entry.session.id()).collect()
    }

    /// Ends every session that `keep` does not want: with a device that its account removed, say.
    pub fn retain(&mut self, keep: impl Fn(&Session) -> bool) {
        self.entries.retain(|entry| keep(&entry.session));
    }

    /// The session on which content goes out, if there is one.
    pub fn sending(&self) -> Option<&Session> {
        slots::sending(&self.entries).map(|entry| &entry.session)
    }

    /// The session with this name.
    pub fn find(&self, id: SessionId) -> Option<&Session> {
        self.iter().find(|session| session.id() == id)
    }

    /// The session that grew from this handshake. What the client's map of handshakes knows and this does not is a
    /// replay (SPEC §4.5).
    pub fn of_handshake(&self, init: InitId) -> Option<&Session> {
        self.iter().find(|session| session.init_id() == init)
    }

    /// All sessions, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Session> {
        self.entries.iter().map(|entry| &entry.session)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Seals content on the session that sends. See [`Session::seal`].
    ///
    /// # Errors
    /// [`SealError::NoSession`] if there is none, else as [`Session::seal`].
    pub fn seal(
        &mut self,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Sealed<'_, Self>, SealError> {
        let id = self.sending().ok_or(SealError::NoSession)?.id();
        self.seal_on(id, content, now, rng)
    }

    /// A session beside the one that sends, which needs an empty message: to get on if it is not confirmed, to answer if
    /// the peer sends its content there. Call [`Self::seal_probe`] for it until there is none.
    pub fn probe_due(&self) -> Option<SessionId> {
        let sending = self.sending()?.id();
        let due = |entry: &&Entry| entry.session.id() != sending && entry.owes_a_probe();
        self.entries.iter().rev().find(due).map(|entry| entry.session.id())
    }

    /// Seals a message without a content for a person on the session with this name: empty, or what the first messages of
    /// a session that we began have to bring.
    ///
    /// # Errors
    /// [`SealError::NoSession`] if there is none of this name, else as [`Session::seal`].
    pub fn seal_probe(
        &mut self,
        id: SessionId,
        probe: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Sealed<'_, Self>, SealError> {
        self.seal_on(id, probe, now, rng)
    }

    fn seal_on(
        &mut self,
        id: SessionId,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Sealed<'_, Self>, SealError> {
        if self.stale {
            return Err(SealError::Stale);
        }
        let entry = self.entry(id).ok_or(SealError::NoSession)?;
        let ahead = entry.session.look_ahead_sealing(content, now, rng)?;
        Ok(Sealed::new(self, id, ahead))
    }

    /// Opens an envelope with the session that it is for, found by its init block or by trial. See [`Session::open`].
    ///
    /// # Errors
    /// [`OpenError::NotForThisSession`] if it is for none of them; else that of the session it is for.
    pub fn open(&mut self, envelope: &[u8], now: Timestamp) -> Result<Opened<'_, Self>, OpenError> {
        if self.stale {
            return Err(OpenError::Stale);
        }
        let parts = Parts::of(envelope).ok_or(OpenError::NotAnEnvelope)?;
        let (id, located) = self.locate(&parts).ok_or(OpenError::NotForThisSession)?;
        let entry = self.entry(id).ok_or(OpenError::NotForThisSession)?;
        let ahead = entry.session.look_ahead_opening(located, &parts)?;
        Ok(Opened::new(self, id, ahead, now))
    }

    /// The session that an envelope is for: the one that sends is tried first, then the newest.
    fn locate(&self, parts: &Parts<'_>) -> Option<(SessionId, opening::Located)> {
        let init = parts.init_id();
        let first = self.sending().map(Session::id);
        let others = self.iter().rev().filter(|session| Some(session.id()) != first);
        self.sending()
            .into_iter()
            .chain(others)
            .find_map(|session| session.locate(parts, init).map(|located| (session.id(), located)))
    }

    /// The entry of a session for which there is a guard.
    fn held(&mut self, id: SessionId) -> &mut Entry {
        let Some(entry) = self.entry(id) else {
            unreachable!("a guard holds the set, so no session was taken from it");
        };
        entry
    }

    fn entry(&mut self, id: SessionId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.session.id() == id)
    }

    /// The whole set, to be stored sealed: secret, versioned (SPEC §5.10).
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(8192);
        writer.u8(EXPORT_VERSION).u64(self.count);
        writer.u8(u8::try_from(self.entries.len()).unwrap_or(u8::MAX));
        for entry in &self.entries {
            let session = entry.session.export();
            writer.u64(entry.begun).u64(entry.answered).u64(entry.confirmed);
            writer.flag(entry.took_over).flag(entry.unanswered);
            writer.u32(u32::try_from(session.len()).unwrap_or(u32::MAX)).bytes(&session);
        }
        writer.finish_secret()
    }

    /// Reads what [`Self::export`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else; authenticity is the store's business.
    pub fn import(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            EXPORT_VERSION => {}
            other => return Err(DecodeError::Unknown(other)),
        }
        let count = reader.u64()?;
        let mut entries = Vec::new();
        for _ in 0..reader.u8()? {
            let (begun, answered, confirmed) = (reader.u64()?, reader.u64()?, reader.u64()?);
            let (took_over, unanswered) = (reader.flag()?, reader.flag()?);
            let session = Session::import(reader.var32(bytes.len())?)?;
            entries.push(Entry { session, begun, answered, confirmed, took_over, unanswered });
        }
        reader.finish()?;
        Ok(Self { entries, count, stale: false })
    }

    /// Notes that the session with this name is answered by the peer, and that it is confirmed, once that is so.
    fn note_status(&mut self, id: SessionId) {
        let Some(entry) = self.entry(id) else { return };
        let (status, ours) = (entry.session.status(), entry.session.role() == Role::Initiator);
        let (known, counted) = (entry.answered > 0, entry.is_confirmed());
        if !known && (status == Status::Confirmed || (ours && status != Status::Opening)) {
            let answered = self.next_count();
            self.held(id).answered = answered;
        }
        if status == Status::Confirmed && !counted {
            let took_over = slots::takes_over(&self.entries, id);
            let confirmed = self.next_count();
            let entry = self.held(id);
            (entry.confirmed, entry.took_over) = (confirmed, took_over);
        }
    }

    /// A count above all others, so that no two are equal. When there is no number left all are counted anew, in their
    /// order: SPEC §1.5 [counters-never-wrap].
    fn next_count(&mut self) -> u64 {
        if self.count == u64::MAX {
            let mut counts: Vec<_> = self.entries.iter_mut().flat_map(Entry::counts).collect();
            counts.sort();
            let (mut before, mut count) = (0, 0);
            for slot in counts {
                let seen = core::mem::replace(&mut before, *slot) == *slot;
                count = if seen { count } else { count + 1 };
                *slot = count;
            }
            self.count = count;
        }
        self.count = self.count.saturating_add(1);
        self.count
    }

    fn evict(&mut self) -> Vec<SessionId> {
        let mut dropped = Vec::new();
        while let Some(surplus) = slots::surplus(&self.entries) {
            self.entries.retain(|entry| entry.session.id() != surplus);
            dropped.push(surplus);
        }
        dropped
    }
}

impl Stored for Sessions {
    fn stale(&mut self) -> &mut bool {
        &mut self.stale
    }

    fn apply_sealed(&mut self, session: SessionId, ahead: sealing::Ahead) -> Outgoing {
        let entry = self.held(session);
        let outgoing = entry.session.apply_sealed(session, ahead);
        entry.unanswered = false;
        let (ours, known) = (entry.session.role() == Role::Initiator, entry.answered > 0);
        if ours && outgoing.position == FIRST {
            let begun = self.next_count();
            self.held(session).begun = begun;
        }
        if !ours && !known {
            let answered = self.next_count();
            self.held(session).answered = answered;
        }
        self.note_status(session);
        self.evict();
        outgoing
    }

    fn apply_opened(
        &mut self,
        session: SessionId,
        ahead: opening::Ahead,
        now: Timestamp,
    ) -> Incoming {
        let before = self.sending().map(Session::id);
        let entry = self.held(session);
        let mut incoming = entry.session.apply_opened(session, ahead, now);
        entry.unanswered |= !incoming.content.is_empty();
        self.note_status(session);
        incoming.dropped = self.evict();
        incoming.moved = before != self.sending().map(Session::id);
        incoming
    }
}

const EXPORT_VERSION: u8 = 2;

/// The first message of who begins a session.
const FIRST: Position = Position { chain: 0, n: 0 };

/// So long a session that the peer began is kept while it is not confirmed: as long as a prekey at most.
const UNCONFIRMED_KEPT: Duration = Duration::from_secs(32 * DAY.as_secs());

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
