//! A session: one device of ours and one of a peer's, their handshake and their ratchet.
//!
//! [`Session::seal`] and [`Session::open`] take a session as it was stored and return the next one beside their result;
//! the one they were called on is untouched. What is sealed reaches the network through [`Sealed::commit`], which
//! stores first. A session knows no clock, no disk and nothing of what it carries. SPEC §5.8.
//!
//! Architecture invariant: a state that sealed or opened something is never used again unless its successor was lost
//! before it was stored.

mod error;
mod event;
mod opened;
#[cfg(test)]
pub(crate) mod pair;
mod sealed;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use core::{fmt, time::Duration};

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

pub use crate::ratchet::{Acknowledged, BUCKETS, Envelope, MAX_CONTENT, OVERHEAD, Position};
pub use error::{OpenError, SealError};
pub use event::Event;
pub use opened::Opened;
pub use sealed::{Sealed, Sent, Unsent};

use crate::{
    codec::{DecodeError, Reader, Writer},
    dh,
    handshake::{
        self, InitBlock, InitId, InitiateError, Own, PeerIdentity, Prekey, PrekeySecret,
        RespondError, WrongEntry,
    },
    identity::{AccountId, DeviceEntry},
    prekey::{OneTimePrekeySecret, SignedPrekeySecret, VerifiedBundle},
    ratchet::{Binding, KemEpoch, Parts, Ratchet},
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
    ratchet: Ratchet,
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

const EXPORT_VERSION: u8 = 1;

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
        Self::initiate_with(own, account, entry, &signed, one_time.as_ref(), now, rng)
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
    ) -> Result<Opened, RespondError> {
        let signed = PrekeySecret { id: signed.id(), dh: signed.dh(), kem: signed.kem() };
        let one_time = one_time.map(|secret| PrekeySecret {
            id: secret.id(),
            dh: secret.dh(),
            kem: secret.kem(),
        });
        Self::respond_with(own, &signed, one_time.as_ref(), envelope, now)
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
    ) -> Result<Opened, RespondError> {
        let parts = Parts::of(envelope).ok_or(RespondError::NotAnEnvelope)?;
        let block = parts.init.ok_or(RespondError::NoInitBlock)?;
        let block = InitBlock::decode(block).map_err(|_| RespondError::NoInitBlock)?;
        let (claimed, keys) = handshake::respond(own, signed, one_time, &block)?;
        let session = Self {
            id: keys.session,
            role: Role::Responder,
            peer: claimed,
            init: block.id(),
            init_block: None,
            created: now,
            ratchet: Ratchet::responder(
                keys.root,
                dh::SecretKey::clone(signed.dh),
                keys.header_a,
                keys.header_b,
                KemEpoch::responder(now),
            ),
        };
        session.open(envelope, now).map_err(|error| match error {
            OpenError::PeerMisbehaved => RespondError::PeerMisbehaved,
            OpenError::NonContributory => RespondError::NonContributory,
            _ => RespondError::Forged,
        })
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

    /// Seals `content`, which may be empty: a probe. `self` is untouched.
    ///
    /// At most [`Self::max_content`] bytes. The envelope comes out of [`Sealed::commit`].
    ///
    /// # Errors
    /// [`SealError`]: nothing was sealed.
    pub fn seal(
        &self,
        content: &[u8],
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Sealed<Self>, SealError> {
        // SPEC §4.4 [no-reply-before-introduction].
        if self.awaits_introduction() {
            return Err(SealError::PeerUnknown);
        }
        let limit = self.max_content();
        if content.len() > limit {
            return Err(SealError::TooLong { limit });
        }
        let mut next = self.duplicate();
        let binding = Binding { session: &self.id, init: self.init_block.as_deref() };
        let message = next.ratchet.seal(&binding, content, now, rng)?;
        let mut events = Vec::new();
        if next.ratchet.kem().epoch() > self.ratchet.kem().epoch() {
            events.push(Event::EpochMixed { epoch: next.ratchet.kem().epoch() });
        }
        self.notice_confirmation(&next, &mut events);
        Ok(Sealed::new(next, self.id, message, events))
    }

    /// Opens an envelope. `self` is untouched, whatever the envelope is.
    ///
    /// # Errors
    /// [`OpenError`]: nothing was opened. [`OpenError::NotForThisSession`] says to try another one.
    pub fn open(&self, envelope: &[u8], now: Timestamp) -> Result<Opened, OpenError> {
        let parts = Parts::of(envelope).ok_or(OpenError::NotAnEnvelope)?;
        if let Some(init) = parts.init {
            let ours = self.role == Role::Responder
                && InitBlock::decode(init).is_ok_and(|block| block.id() == self.init);
            if !ours {
                return Err(OpenError::NotForThisSession);
            }
        }
        let binding = Binding { session: &self.id, init: parts.init };
        let ahead = self.ratchet.look_ahead(&binding, &parts)?;
        // SPEC §5.5 [open-then-commit]: from here on the message is authentic.
        let position = ahead.position;
        let mut next = self.duplicate();
        let committed = next.ratchet.commit(ahead, now);
        next.init_block = None;
        let mut events = committed.events;
        self.notice_confirmation(&next, &mut events);
        Ok(Opened {
            session: next,
            content: committed.content,
            acknowledged: committed.acknowledged,
            position,
            events,
        })
    }

    fn notice_confirmation(&self, next: &Self, events: &mut Vec<Event>) {
        if self.status() != Status::Confirmed && next.status() == Status::Confirmed {
            events.push(Event::Confirmed);
        }
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

    /// How many keys of messages that did not come yet are held, at most 2,048.
    pub fn held_keys(&self) -> usize {
        self.ratchet.nodes()
    }

    /// The whole state, to be stored sealed: secret, versioned, of no dependency's format (SPEC §5.10).
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(EXPORT_ROOM);
        writer.u8(EXPORT_VERSION).bytes(&self.id.0).flag(self.role == Role::Initiator);
        self.peer.write(&mut writer);
        writer.bytes(self.init.as_bytes()).u64(self.created.0);
        writer.flag(self.init_block.is_some());
        if let Some(block) = &self.init_block {
            writer.bytes(&block[..]);
        }
        self.ratchet.write(&mut writer);
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
        let id = SessionId(*reader.array()?);
        let role = if reader.flag()? { Role::Initiator } else { Role::Responder };
        let peer = PeerIdentity::read(&mut reader)?;
        let init = InitId::from_bytes(*reader.array()?);
        let created = Timestamp(reader.u64()?);
        let init_block = match reader.flag()? {
            true => Some(Box::new(*reader.array()?)),
            false => None,
        };
        let ratchet = Ratchet::read(&mut reader)?;
        reader.finish()?;
        Ok(Self { id, role, peer, init, init_block, created, ratchet })
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self {
            id: self.id,
            role: self.role,
            peer: self.peer.clone(),
            init: self.init,
            init_block: self.init_block.clone(),
            created: self.created,
            ratchet: self.ratchet.clone(),
        }
    }
}

/// Room for an ordinary session, so that an export seldom grows.
const EXPORT_ROOM: usize = 8192;

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id: _, role, peer: _, init: _, init_block: _, created: _, ratchet: _ } = self;
        f.debug_struct("Session")
            .field("role", role)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
