//! The handshake with what it computes on the way in view, and sessions from keys that nobody verified. SPEC §4.

use core::fmt;

use rand_core::TryCryptoRng;

use crate::{
    codec::DecodeError,
    dh,
    handshake::{
        self, InitBlock, InitId, InitiateError, Own, PeerIdentity, PrekeySecret, RespondError,
        schedule::{self, Early, Prekey},
    },
    identity::{AccountId, DeviceEntry},
    kem,
    prekey::{OneTimePrekeySecret, PrekeyId, SignedPrekeySecret},
    secret::Key,
    session::Session,
    time::Timestamp,
};

/// The public half of a prekey of either kind, as an initiator takes it.
#[derive(Clone, Copy, Debug)]
pub struct PublicPrekey<'a> {
    /// Its number.
    pub id: PrekeyId,
    /// The X25519 half.
    pub dh: &'a dh::PublicKey,
    /// The ML-KEM half.
    pub kem: &'a kem::EncapsulationKey,
}

impl<'a> PublicPrekey<'a> {
    fn inner(&self) -> Prekey<'a> {
        Prekey { id: self.id, dh: self.dh, kem: self.kem }
    }
}

/// Whom an initiator writes to.
#[derive(Clone, Copy, Debug)]
pub struct Responder<'a> {
    /// Account id.
    pub account: AccountId,
    /// Device entry.
    pub entry: &'a DeviceEntry,
    /// Signed prekey.
    pub signed: PublicPrekey<'a>,
    /// One-time prekey, if there is one.
    pub one_time: Option<PublicPrekey<'a>>,
}

/// What the handshake yields.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// RK.
    pub root: [u8; 32],
    /// HKa.
    pub header_a: [u8; 32],
    /// NHKb.
    pub header_b: [u8; 32],
    /// The session id.
    pub session: [u8; 32],
}

/// Begins a session with keys that nobody verified.
///
/// # Errors
/// As [`Session::initiate`].
pub fn begin(
    own: &Own<'_>,
    to: &Responder<'_>,
    now: Timestamp,
    rng: &mut (impl TryCryptoRng + ?Sized),
) -> Result<Session, InitiateError> {
    let (signed, one_time) = (to.signed.inner(), to.one_time.map(|prekey| prekey.inner()));
    Session::initiate_with(own, to.account, to.entry, &signed, one_time.as_ref(), now, rng)
}

/// The initiator's half: the init block and the keys.
///
/// # Errors
/// As [`Session::initiate`].
pub fn initiate(
    own: &Own<'_>,
    to: &Responder<'_>,
    rng: &mut (impl TryCryptoRng + ?Sized),
) -> Result<(Vec<u8>, Keys), InitiateError> {
    let (signed, one_time) = (to.signed.inner(), to.one_time.map(|prekey| prekey.inner()));
    let (block, keys) =
        handshake::initiate(own, to.account, to.entry, &signed, one_time.as_ref(), rng)?;
    Ok((block.encode().to_vec(), keys.into()))
}

/// The responder's half, without the message behind the init block: whom the peer claims to be, and the keys.
///
/// # Errors
/// As [`Session::respond`].
pub fn respond(
    own: &Own<'_>,
    signed: &SignedPrekeySecret,
    one_time: Option<&OneTimePrekeySecret>,
    block: &[u8; InitBlock::LENGTH],
) -> Result<(PeerIdentity, Keys), RespondError> {
    let block = InitBlock::decode(block).map_err(|_| RespondError::NoInitBlock)?;
    let signed = PrekeySecret { id: signed.id(), dh: signed.dh(), kem: signed.kem() };
    let one_time = one_time.map(|one| PrekeySecret { id: one.id(), dh: one.dh(), kem: one.kem() });
    let (peer, keys) = handshake::respond(own, &signed, one_time.as_ref(), &block)?;
    Ok((peer, keys.into()))
}

/// T0 of an init block for this responder.
///
/// # Errors
/// [`DecodeError`] for bytes that are no init block.
pub fn offer(to: &Responder<'_>, block: &[u8; InitBlock::LENGTH]) -> Result<[u8; 32], DecodeError> {
    let block = InitBlock::decode(block)?;
    let responder = PeerIdentity::of(to.account, to.entry);
    let (signed, one_time) = (to.signed.inner(), to.one_time.map(|prekey| prekey.inner()));
    let (ephemeral, first, second) = (&block.ephemeral, &block.first, &block.second);
    Ok(schedule::offer(&responder, &signed, one_time.as_ref(), ephemeral, first, second))
}

/// The name of the handshake that an init block belongs to.
///
/// # Errors
/// [`DecodeError`] for bytes that are no init block.
pub fn init_id(block: &[u8; InitBlock::LENGTH]) -> Result<InitId, DecodeError> {
    Ok(InitBlock::decode(block)?.id())
}

/// The schedule from T0 on. `secrets` are DH2, DH3, DH4 if there is one, ss1 and ss2.
pub fn chaining_key(offer: &[u8; 32], secrets: &[[u8; 32]]) -> [u8; 32] {
    let secrets: Vec<Key> = secrets.iter().map(|secret| Key::new(*secret)).collect();
    let secrets: Vec<&Key> = secrets.iter().collect();
    *Early::new(*offer, &secrets).chaining.expose()
}

impl From<schedule::Keys> for Keys {
    fn from(keys: schedule::Keys) -> Self {
        Self {
            root: *keys.root.expose(),
            header_a: *keys.header_a.expose(),
            header_b: *keys.header_b.expose(),
            session: *keys.session.as_bytes(),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}
