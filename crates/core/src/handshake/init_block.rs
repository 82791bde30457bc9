//! The init block: what rides in front of every message until the first reply. SPEC §4.1.

use core::fmt;

use super::peer::PeerIdentity;
use crate::{
    aead::TAG,
    codec::{DecodeError, Reader, Writer},
    dh,
    hash::sha256,
    kem::Ciphertext,
    label,
    prekey::PrekeyId,
    ratchet::Parts,
};

/// An init block, decoded: nothing of it is authentic before [`Session::respond`](crate::session::Session::respond)
/// opened the message behind it.
pub struct InitBlock {
    pub(crate) signed_prekey: PrekeyId,
    pub(crate) one_time_prekey: Option<PrekeyId>,
    pub(crate) ephemeral: dh::PublicKey,
    pub(crate) first: Ciphertext,
    pub(crate) second: Ciphertext,
    pub(crate) identity_box: [u8; PeerIdentity::LENGTH + TAG],
}

/// What a recipient reads from a first message before opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The handshake's name, for the map from handshakes to sessions.
    pub id: InitId,
    /// Id of the signed prekey that was used.
    pub signed_prekey: PrekeyId,
    /// Id of the one-time prekey that was used, if any.
    pub one_time_prekey: Option<PrekeyId>,
}

/// A handshake's name: `LH(init id; EK, ct1)`, the same for each of its messages (SPEC §4.5).
///
/// The client keeps a map from this to the session: known means only that session, known and gone means a replay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InitId([u8; 32]);

impl InitId {
    /// The id with these bytes, as they were stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for InitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitId(..)")
    }
}

impl InitBlock {
    /// Length in bytes, always.
    pub const LENGTH: usize =
        4 + 1 + 4 + 32 + Ciphertext::LENGTH + Ciphertext::LENGTH + PeerIdentity::LENGTH + TAG;

    /// Reads from an envelope which prekeys its first message asks for and what its handshake is called.
    ///
    /// `None` for an envelope without an init block and for anything that is not an envelope. Nothing is authentic yet.
    pub fn peek(envelope: &[u8]) -> Option<Peeked> {
        let block = Self::decode(Parts::of(envelope)?.init?).ok()?;
        Some(Peeked {
            id: block.id(),
            signed_prekey: block.signed_prekey,
            one_time_prekey: block.one_time_prekey,
        })
    }

    pub(crate) fn id(&self) -> InitId {
        InitId(sha256(label::INIT_ID, &[self.ephemeral.as_bytes(), self.first.as_bytes()]))
    }

    pub(crate) fn encode(&self) -> Box<[u8; Self::LENGTH]> {
        let mut writer = Writer::with_capacity(Self::LENGTH);
        writer.u32(self.signed_prekey.0);
        writer.flag(self.one_time_prekey.is_some()).u32(self.one_time_prekey.map_or(0, |id| id.0));
        writer.bytes(self.ephemeral.as_bytes()).bytes(self.first.as_bytes());
        writer.bytes(self.second.as_bytes()).bytes(&self.identity_box);
        let mut block = Box::new([0; Self::LENGTH]);
        for (slot, byte) in block.iter_mut().zip(writer.finish()) {
            *slot = byte;
        }
        block
    }

    pub(crate) fn decode(bytes: &[u8; Self::LENGTH]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let signed_prekey = PrekeyId(reader.u32()?);
        let one_time_prekey = match (reader.flag()?, reader.u32()?) {
            (true, id) => Some(PrekeyId(id)),
            (false, 0) => None,
            (false, _) => return Err(DecodeError::OutOfRange),
        };
        let block = Self {
            signed_prekey,
            one_time_prekey,
            ephemeral: dh::PublicKey::parse(reader.array()?)?,
            first: Ciphertext::from_bytes(reader.array()?),
            second: Ciphertext::from_bytes(reader.array()?),
            identity_box: *reader.array()?,
        };
        reader.finish()?;
        Ok(block)
    }
}

impl fmt::Debug for InitBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitBlock(..)")
    }
}
