//! All sessions with one device of a contact: which one sends, which one opens, which ones are kept.
//!
//! Several exist when both sides begin at once, when one side lost its state, or when a session was begun anew. Content
//! goes out on one of them, by rules that lead both sides to the same one; everything that still arrives on the
//! others is opened. SPEC §5.8.

mod slots;
#[cfg(test)]
mod tests;

use core::fmt;
use std::sync::Arc;

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use crate::{
    codec::{DecodeError, Reader, Writer},
    handshake::{InitBlock, InitId, WrongEntry},
    identity::{AccountId, DeviceEntry},
    session::{OpenError, Opened, Role, SealError, Sealed, Session, SessionId, Status},
    time::Timestamp,
};

/// The sessions with one device of a contact. Like a [`Session`] it is a value: sealing and opening return the next.
///
/// Cloning copies no key: sessions are shared, and each is wiped with its last holder.
#[derive(Clone, Default)]
pub struct Sessions {
    /// In the order in which they were begun or answered here.
    entries: Vec<Entry>,
    /// Counts confirmations.
    confirmations: u64,
}

#[derive(Clone)]
struct Entry {
    session: Arc<Session>,
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

/// A message that one of the sessions opened.
#[non_exhaustive]
pub struct OpenedByOne {
    /// The sessions after this message.
    pub sessions: Sessions,
    /// What was opened, and the next state of the session that did, which is in `sessions` too.
    pub opened: Opened,
    /// Sending moved to another session: content that is not acknowledged is to be sealed again there.
    pub moved: bool,
    /// Sessions that had to go because there were too many. Their first messages are replays from now on.
    pub dropped: Vec<SessionId>,
}

impl Sessions {
    /// No sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a session that was begun or answered, or puts back one that was introduced. Returns the names of those that
    /// had to go to make room; `session` itself may be among them.
    pub fn insert(&mut self, session: Session) -> Vec<SessionId> {
        self.replace(Arc::new(session));
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
            let mut session = kept.session.duplicate();
            match session.introduce(account, entry) {
                Ok(()) => {
                    kept.session = Arc::new(session);
                    true
                }
                Err(wrong) => {
                    result = Err(wrong);
                    false
                }
            }
        });
        result
    }

    /// Ends every session that `keep` does not want: with a device that its account removed, say.
    pub fn retain(&mut self, keep: impl Fn(&Session) -> bool) {
        self.entries.retain(|entry| keep(&entry.session));
    }

    /// The session on which content goes out, if there is one.
    pub fn sending(&self) -> Option<&Session> {
        slots::sending(&self.entries).map(|entry| &*entry.session)
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
        self.entries.iter().map(|entry| &*entry.session)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Seals content on the session that sends.
    ///
    /// # Errors
    /// [`SealError::NoSession`] if there is none, else as [`Session::seal`].
    pub fn seal(
        &self,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Sealed<Self>, SealError> {
        let session = self.sending().ok_or(SealError::NoSession)?;
        Ok(self.after(session.seal(content, now, rng)?))
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
        &self,
        id: SessionId,
        probe: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Sealed<Self>, SealError> {
        let session = self.find(id).ok_or(SealError::NoSession)?;
        Ok(self.after(session.seal(probe, now, rng)?))
    }

    /// Opens an envelope with the session that it is for, found by its init block or by trial.
    ///
    /// # Errors
    /// [`OpenError::NotForThisSession`] if it is for none of them; else that of the session it is for.
    pub fn open(&self, envelope: &[u8], now: Timestamp) -> Result<OpenedByOne, OpenError> {
        let opened = match InitBlock::peek(envelope) {
            Some(peeked) => self
                .of_handshake(peeked.id)
                .ok_or(OpenError::NotForThisSession)
                .and_then(|session| session.open(envelope, now)),
            None => self.open_by_trial(envelope, now),
        }?;
        let before = self.sending().map(Session::id);
        let elsewhere = before != Some(opened.session.id());
        let mut sessions = self.clone();
        if let Some(entry) = sessions.replace(Arc::new(opened.session.duplicate())) {
            entry.unanswered |= elsewhere && !opened.content.is_empty();
        }
        let dropped = sessions.evict();
        let moved = before != sessions.sending().map(Session::id);
        Ok(OpenedByOne { sessions, opened, moved, dropped })
    }

    fn open_by_trial(&self, envelope: &[u8], now: Timestamp) -> Result<Opened, OpenError> {
        let first = self.sending().map(Session::id);
        let others = self.iter().rev().filter(|session| Some(session.id()) != first);
        for session in self.sending().into_iter().chain(others) {
            match session.open(envelope, now) {
                Err(OpenError::NotForThisSession) => {}
                result => return result,
            }
        }
        Err(OpenError::NotForThisSession)
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
            let session = Arc::new(Session::import(reader.var32(bytes.len())?)?);
            entries.push(Entry { session, confirmed, unanswered });
        }
        reader.finish()?;
        Ok(Self { entries, confirmations })
    }

    fn after(&self, sealed: Sealed<Session>) -> Sealed<Self> {
        sealed.map(|session| {
            let mut next = self.clone();
            if let Some(entry) = next.replace(Arc::new(session)) {
                entry.unanswered = false;
            }
            next.evict();
            next
        })
    }

    /// Puts a session in the place of its predecessor, or at the end.
    fn replace(&mut self, session: Arc<Session>) -> Option<&mut Entry> {
        let confirmed = session.status() == Status::Confirmed;
        let id = session.id();
        let entry = match self.entries.iter().position(|entry| entry.session.id() == id) {
            Some(at) => self.entries.get_mut(at)?,
            None => {
                let session = Arc::clone(&session);
                self.entries.push(Entry { session, confirmed: 0, unanswered: false });
                self.entries.last_mut()?
            }
        };
        entry.session = session;
        if confirmed && entry.confirmed == 0 {
            self.confirmations = self.confirmations.saturating_add(1);
            entry.confirmed = self.confirmations;
        }
        Some(entry)
    }

    fn evict(&mut self) -> Vec<SessionId> {
        let surplus = slots::surplus(&self.entries);
        self.entries.retain(|entry| !surplus.contains(&entry.session.id()));
        surplus
    }
}

const EXPORT_VERSION: u8 = 1;

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for OpenedByOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedByOne")
            .field("opened", &self.opened)
            .field("moved", &self.moved)
            .finish_non_exhaustive()
    }
}
