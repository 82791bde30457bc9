//! A session: one device of ours and one of a peer's, their handshake and their ratchet.
//!
//! [`Session::seal`] and [`Session::open`] change nothing: each returns a guard that borrows the session and holds the
//! message. [`Sealed::commit`] and [`Opened::commit`] apply it in place and store; what is sealed reaches the network
//! through there only. A session knows no clock, no disk and nothing of what it carries. SPEC §5.8.
//!
//! Architecture invariant: what is in memory is used only while it is what the store has. When a store fails, every later
//! call is refused until the session is loaded again.

mod error;
mod event;
mod opened;
#[cfg(test)]
pub(crate) mod pair;
mod sealed;
#[cfg(test)]
mod simulation;
mod state;
pub(crate) mod stored;
#[cfg(test)]
mod tests;

use core::{fmt, time::Duration};

pub use crate::ratchet::{Acknowledged, BUCKETS, Envelope, MAX_CONTENT, OVERHEAD, Position};
pub use error::{OpenError, SealError};
pub use event::Event;
pub use opened::{Answered, Incoming, Opened};
use rand_core::TryCryptoRng;
pub use sealed::{Outgoing, Sealed};

use stored::Stored;

use crate::{
    handshake::{
        self, InitBlock, InitId, InitiateError, Own, PeerIdentity, Prekey, PrekeySecret,
        RespondError, WrongEntry,
    },
    identity::{AccountId, DeviceEntry},
    prekey::{OneTimePrekeySecret, SignedPrekeySecret, VerifiedBundle},
    ratchet::{
        Binding, Draft, KemEpoch, Parts, Ratchet,
        opening::{self, Committed},
        sealing,
    },
    secret::on_wiped_stack,
    time::{DAY, Timestamp},
};

/// A session with one device of a peer.
pub struct Session {
    id: SessionId,
    role: Role,
    peer: PeerIdentity,
    init: InitId,
    /// Rides in front of every message until the first reply.
    init_block: Option<Box<[u8; InitBlock::LENGTH]>>,
    created: Timestamp,
    /// What is in memory may be ahead of the store.
    stale: bool,
    /// All keys, in a box: a session that moves leaves none behind.
    ratchet: Box<Ratchet>,
    draft: Box<Draft>,
}

/// A session's name, the same on both sides and known to nobody else: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The id with these bytes, as they were stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// Who began the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}

/// How far a session has come (SPEC §5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// We began it and the peer never answered: every message carries the init block.
    Opening,
    /// Both sides sent, or the peer did; the initiator is authenticated in the classical world only.
    Unconfirmed,
    /// KEM epoch 1 or a later one is mixed in: both sides are authenticated post-quantum.
    Confirmed,
}

/// How long an unanswered session is tried before a fresh bundle should be fetched and a new session begun.
pub const UNANSWERED: Duration = Duration::from_secs(14 * DAY.as_secs());

impl Session {
    /// Begins a session with the device that a verified bundle is for. It is `Opening`; store it before it seals.
    ///
    /// # Errors
    /// [`InitiateError`]: no session was begun.
    pub fn initiate(
        own: &Own<'_>,
        bundle: &VerifiedBundle,
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Self, InitiateError> {
        let signed = bundle.signed_prekey();
        let signed = Prekey { id: signed.id(), dh: signed.dh(), kem: signed.kem() };
        let one_time = bundle.one_time_prekey().map(|prekey| Prekey {
            id: prekey.id(),
            dh: prekey.dh(),
            kem: prekey.kem(),
        });
        let (account, entry) = (*bundle.account(), bundle.device());
        on_wiped_stack(|| {
            Self::initiate_with(own, account, entry, &signed, one_time.as_ref(), now, rng)
        })
    }

    /// Answers a first message with the private prekeys that [`InitBlock::peek`] names, and opens it.
    ///
    /// The peer's identity, [`Session::peer`] of the session in the result, is a claim: its X25519 key is proven, that
    /// it belongs to the account is not. The content brings the manifest; when that is verified, call
    /// [`Session::introduce`] on the new session, which cannot seal before. The caller keeps a map from
    /// [`Session::init_id`] to the session and asks it *before* this: known means only that session, known and gone
    /// means a replay. Session, map entry, content and the deletion of the one-time prekey are one transaction
    /// (SPEC §4.5).
    ///
    /// # Errors
    /// [`RespondError`]: no session exists and the prekeys are as they were.
    pub fn respond(
        own: &Own<'_>,
        signed: &SignedPrekeySecret,
        one_time: Option<&OneTimePrekeySecret>,
        envelope: &[u8],
        now: Timestamp,
    ) -> Result<Answered, RespondError> {
        let signed = PrekeySecret { id: signed.id(), dh: signed.dh(), kem: signed.kem() };
        let one_time = one_time.map(|secret| PrekeySecret {
            id: secret.id(),
            dh: secret.dh(),
            kem: secret.kem(),
        });
        on_wiped_stack(|| Self::respond_with(own, &signed, one_time.as_ref(), envelope, now))
    }

    /// Begins a session with keys that were verified.
    pub(crate) fn initiate_with(
        own: &Own<'_>,
        account: AccountId,
        entry: &DeviceEntry,
        signed: &Prekey<'_>,
        one_time: Option<&Prekey<'_>>,
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Self, InitiateError> {
        let (block, keys) = handshake::initiate(own, account, entry, signed, one_time, rng)?;
        let kem = KemEpoch::initiator(own.keys.kem().clone(), now);
        Ok(Self {
            id: keys.session,
            role: Role::Initiator,
            peer: PeerIdentity::of(account, entry),
            init: block.id(),
            init_block: Some(block.encode()),
            created: now,
            stale: false,
            draft: Box::default(),
            ratchet: Ratchet::initiator(keys.root, *signed.dh, keys.header_a, keys.header_b, kem),
        })
    }

    /// Answers a first message with private prekeys.
    pub(crate) fn respond_with(
        own: &Own<'_>,
        signed: &PrekeySecret<'_>,
        one_time: Option<&PrekeySecret<'_>>,
        envelope: &[u8],
        now: Timestamp,
    ) -> Result<Answered, RespondError> {
        let parts = Parts::of(envelope).ok_or(RespondError::NotAnEnvelope)?;
        let block = parts.init.ok_or(RespondError::NoInitBlock)?;
        let block = InitBlock::decode(block).map_err(|_| RespondError::NoInitBlock)?;
        let (claimed, keys) = handshake::respond(own, signed, one_time, &block)?;
        let kem = KemEpoch::responder(now);
        let mut session = Self {
            id: keys.session,
            role: Role::Responder,
            peer: claimed,
            init: block.id(),
            init_block: None,
            created: now,
            stale: false,
            draft: Box::default(),
            ratchet: Ratchet::responder(keys.root, signed.dh, keys.header_a, keys.header_b, kem),
        };
        let located = session.ratchet.locate(&parts).ok_or(RespondError::Forged)?;
        let ahead = session.look_ahead_opening(located, &parts).map_err(|error| match error {
            OpenError::PeerMisbehaved => RespondError::PeerMisbehaved,
            OpenError::NonContributory => RespondError::NonContributory,
            _ => RespondError::Forged,
        })?;
        let message = session.apply_opened(session.id, ahead, now);
        Ok(Answered { session, message })
    }

    /// Gives a session that the peer began the peer's device entry, out of the manifest of `account` that was verified.
    ///
    /// Until then [`Self::seal`] refuses. Doing it twice changes nothing; for a session that we began the entry was
    /// in the bundle. Store the session afterwards.
    ///
    /// # Errors
    /// [`WrongEntry`] if this is not the account and entry that the handshake bound: drop the session (SPEC §4.4).
    pub fn introduce(
        &mut self,
        account: &AccountId,
        entry: &DeviceEntry,
    ) -> Result<(), WrongEntry> {
        self.peer.check(account, entry)?;
        self.ratchet.kem_mut().introduce(entry.kem().clone());
        Ok(())
    }

    /// Whether [`Self::introduce`] is still to be called.
    pub fn awaits_introduction(&self) -> bool {
        self.ratchet.kem().awaits_entry()
    }

    /// Seals `content`, which may be empty: a probe. Nothing changes before [`Sealed::commit`], out of which the envelope
    /// comes.
    ///
    /// At most [`Self::max_content`] bytes.
    ///
    /// # Errors
    /// [`SealError`]: nothing was sealed.
    pub fn seal(
        &mut self,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Sealed<'_, Self>, SealError> {
        let ahead = self.look_ahead_sealing(content, now, rng)?;
        let session = self.id;
        Ok(Sealed::new(self, session, ahead))
    }

    /// Opens an envelope. Nothing changes before [`Opened::commit`].
    ///
    /// # Errors
    /// [`OpenError`]: nothing was opened. [`OpenError::NotForThisSession`] says to try another one.
    pub fn open(&mut self, envelope: &[u8], now: Timestamp) -> Result<Opened<'_, Self>, OpenError> {
        if self.stale {
            return Err(OpenError::Stale);
        }
        let parts = Parts::of(envelope).ok_or(OpenError::NotAnEnvelope)?;
        let located = self.locate(&parts, parts.init_id()).ok_or(OpenError::NotForThisSession)?;
        let ahead = self.look_ahead_opening(located, &parts)?;
        let session = self.id;
        Ok(Opened::new(self, session, ahead, now))
    }

    /// The pure half of [`Self::seal`].
    pub(crate) fn look_ahead_sealing(
        &mut self,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<sealing::Ahead, SealError> {
        if self.stale {
            return Err(SealError::Stale);
        }
        // SPEC §4.4 [no-reply-before-introduction].
        if self.awaits_introduction() {
            return Err(SealError::PeerUnknown);
        }
        let limit = self.max_content();
        if content.len() > limit {
            return Err(SealError::TooLong { limit });
        }
        let binding = Binding { session: &self.id, init: self.init_block.as_deref() };
        let (ratchet, draft) = (&self.ratchet, &mut self.draft);
        on_wiped_stack(|| ratchet.look_ahead_sealing(&binding, content, now, rng, draft))
    }

    /// Whether an envelope is for this session, judged by its header and, if it has one, its init block.
    pub(crate) fn locate(
        &self,
        parts: &Parts<'_>,
        init: Option<InitId>,
    ) -> Option<opening::Located> {
        let ours = self.role == Role::Responder && init == Some(self.init);
        if parts.init.is_some() && !ours {
            return None;
        }
        self.ratchet.locate(parts)
    }

    /// The pure half of [`Self::open`].
    pub(crate) fn look_ahead_opening(
        &mut self,
        located: opening::Located,
        parts: &Parts<'_>,
    ) -> Result<opening::Ahead, OpenError> {
        // In a set of sessions too, which knows of its own commits only.
        if self.stale {
            return Err(OpenError::Stale);
        }
        let binding = Binding { session: &self.id, init: parts.init };
        let (ratchet, draft) = (&self.ratchet, &mut self.draft);
        on_wiped_stack(|| ratchet.look_ahead_opening(located, &binding, parts, draft))
    }

    /// The session's name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Who began it.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whom it is with: a claim until [`Self::introduce`].
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// Its handshake's name.
    pub fn init_id(&self) -> InitId {
        self.init
    }

    /// When it was begun here.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// How far it has come.
    pub fn status(&self) -> Status {
        if self.ratchet.kem().epoch() > 0 {
            Status::Confirmed
        } else if self.role == Role::Initiator && !self.ratchet.has_received() {
            Status::Opening
        } else {
            Status::Unconfirmed
        }
    }

    /// The last KEM epoch that was mixed in: 0 until the session is confirmed.
    pub fn epoch(&self) -> u32 {
        self.ratchet.kem().epoch()
    }

    /// The most content in bytes that the next message takes: [`MAX_CONTENT`], less while the init block rides.
    pub fn max_content(&self) -> usize {
        MAX_CONTENT.saturating_sub(self.init_block.as_ref().map_or(0, |block| block.len()))
    }

    /// Whether it went unanswered for so long that a fresh bundle should be fetched ([`UNANSWERED`]).
    pub fn is_unanswered(&self, now: Timestamp) -> bool {
        self.status() == Status::Opening && now.saturating_since(self.created) >= UNANSWERED
    }

    /// Whether a message of ours, even an empty one, would bring an unconfirmed session nearer to its confirmation.
    pub fn owes_progress(&self) -> bool {
        self.status() != Status::Confirmed
            && !self.awaits_introduction()
            && (self.ratchet.owes_a_step() || self.ratchet.kem().has_news())
    }

    /// What our next message will acknowledge to the peer.
    pub fn acknowledgement(&self) -> Acknowledged {
        self.ratchet.acknowledgement()
    }

    /// Goes on at this index of the chain that sends: [`crate::hazmat::sending`].
    #[cfg(feature = "hazmat")]
    pub(crate) fn skip_to(&mut self, n: u32) -> bool {
        self.ratchet.skip_to(n)
    }

    /// How many keys of messages that did not come yet are held, at most 2,048.
    pub fn held_keys(&self) -> usize {
        self.ratchet.nodes()
    }
}

impl Stored for Session {
    fn stale(&mut self) -> &mut bool {
        &mut self.stale
    }

    fn apply_sealed(&mut self, session: SessionId, ahead: sealing::Ahead) -> Outgoing {
        let before = (self.epoch(), self.status());
        let (envelope, position) = self.ratchet.commit_sealed(ahead, &mut self.draft);
        let mut events = Vec::new();
        if self.epoch() > before.0 {
            events.push(Event::EpochMixed { epoch: self.epoch() });
        }
        if self.status() > before.1 && self.status() == Status::Confirmed {
            events.push(Event::Confirmed);
        }
        Outgoing { envelope, session, position, events }
    }

    fn apply_opened(
        &mut self,
        session: SessionId,
        ahead: opening::Ahead,
        now: Timestamp,
    ) -> Incoming {
        let before = self.status();
        let Committed { position, content, acknowledged, mut events } =
            self.ratchet.commit_opened(ahead, now, &mut self.draft);
        self.init_block = None;
        if self.status() > before && self.status() == Status::Confirmed {
            events.push(Event::Confirmed);
        }
        let (moved, dropped) = (false, Vec::new());
        Incoming { session, position, content, acknowledged, events, moved, dropped }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id: _,
            role,
            peer: _,
            init: _,
            init_block: _,
            created: _,
            stale,
            ratchet: _,
            draft: _,
        } = self;
        f.debug_struct("Session")
            .field("role", role)
            .field("status", &self.status())
            .field("stale", stale)
            .finish_non_exhaustive()
    }
}
