//! All sessions with one device of a contact: which one sends, which one opens, which ones are kept.
//!
//! Several exist when both sides begin at once, when one side lost its state, or when a session was begun anew. Content
//! goes out on one of them, by rules that lead both sides to the same one; everything that still arrives on the
//! others is opened. SPEC §5.8.

mod slots;
#[cfg(test)]
mod tests;

use core::fmt;

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use crate::{
    codec::{DecodeError, Reader, Writer},
    handshake::{InitId, WrongEntry},
    identity::{AccountId, DeviceEntry},
    ratchet::{Parts, opening, sealing},
    session::{
        Incoming, OpenError, Opened, Outgoing, Role, SealError, Sealed, Session, SessionId, Status,
        stored::Stored,
    },
    time::Timestamp,
};

/// The sessions with one device of a contact. Like a [`Session`] it changes when a message is committed, and is stored
/// whole.
#[derive(Default)]
pub struct Sessions {
    /// In the order in which they were begun or answered here.
    entries: Vec<Entry>,
    /// Counts confirmations.
    confirmations: u64,
    /// What is in memory may be ahead of the store.
    stale: bool,
}

struct Entry {
    session: Session,
    /// When it was confirmed, as a count: 0 if it is not.
    confirmed: u64,
    /// Whether content was opened on it, while another session sent, since it sealed last.
    unanswered: bool,
}

impl Entry {
    /// Whether an empty message is due while another session sends.
    fn owes_a_probe(&self) -> bool {
        // SPEC §5.8 [answered-where-it-came].
        self.session.owes_progress() || (self.confirmed > 0 && self.unanswered)
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
            None => self.entries.push(Entry { session, confirmed: 0, unanswered: false }),
        }
        self.count_confirmation(id);
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

    /// A session beside a confirmed one that sends, which needs an empty message: to get on if it is not confirmed, to
    /// answer if the peer sends its content there. Call [`Self::seal_probe`] for it until there is none.
    pub fn probe_due(&self) -> Option<SessionId> {
        let sending = self.sending().filter(|sending| sending.status() == Status::Confirmed)?.id();
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
        writer.u8(EXPORT_VERSION).u64(self.confirmations);
        writer.u8(u8::try_from(self.entries.len()).unwrap_or(u8::MAX));
        for entry in &self.entries {
            let session = entry.session.export();
            writer.u64(entry.confirmed).flag(entry.unanswered);
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
        let confirmations = reader.u64()?;
        let mut entries = Vec::new();
        for _ in 0..reader.u8()? {
            let (confirmed, unanswered) = (reader.u64()?, reader.flag()?);
            let session = Session::import(reader.var32(bytes.len())?)?;
            entries.push(Entry { session, confirmed, unanswered });
        }
        reader.finish()?;
        Ok(Self { entries, confirmations, stale: false })
    }

    /// Notes that the session with this name is confirmed, if it is.
    fn count_confirmation(&mut self, id: SessionId) {
        let confirmed = |entry: &Entry| entry.session.status() == Status::Confirmed;
        if self.entry(id).is_some_and(|entry| confirmed(entry) && entry.confirmed == 0) {
            let next = self.next_confirmation();
            if let Some(entry) = self.entry(id) {
                entry.confirmed = next;
            }
        }
    }

    /// The count of a confirmation: above all others, so that no two are equal. When there is no number left the sessions
    /// are counted anew, in their order: SPEC §1.5 [counters-never-wrap].
    fn next_confirmation(&mut self) -> u64 {
        if self.confirmations == u64::MAX {
            let mut confirmed: Vec<_> =
                self.entries.iter_mut().filter(|entry| entry.confirmed > 0).collect();
            confirmed.sort_by_key(|entry| entry.confirmed);
            self.confirmations = 0;
            for (entry, count) in confirmed.into_iter().zip(1..) {
                entry.confirmed = count;
                self.confirmations = count;
            }
        }
        self.confirmations = self.confirmations.saturating_add(1);
        self.confirmations
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
        self.count_confirmation(session);
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
        entry.unanswered |= before != Some(session) && !incoming.content.is_empty();
        self.count_confirmation(session);
        incoming.dropped = self.evict();
        incoming.moved = before != self.sending().map(Session::id);
        incoming
    }
}

const EXPORT_VERSION: u8 = 1;

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
