//! Who takes part in a handshake: ourselves, and whom the peer claims to be. SPEC §4.2.

use core::fmt;

use thiserror::Error;

use crate::{
    codec::{DecodeError, Reader, Writer},
    dh,
    identity::{AccountId, DeviceEntry, DeviceId, DeviceKeys},
};

/// This device: its account, its number there and its keys.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Our account.
    pub account: AccountId,
    /// Our device's number in the account's manifest.
    pub device: DeviceId,
    /// Our device's keys.
    pub keys: &'a DeviceKeys,
}

impl Own<'_> {
    pub(crate) fn entry(&self) -> DeviceEntry {
        self.keys.entry(self.device)
    }
}

/// The other side of a session, as the handshake authenticated it.
///
/// The X25519 key is proven by the handshake itself. That the key belongs to the account is a *claim* until the
/// device's entry from the account's verified manifest was checked by
/// [`Session::introduce`](crate::session::Session::introduce).
#[derive(Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The account.
    pub account: AccountId,
    /// The device's number in the account's manifest.
    pub device: DeviceId,
    /// `H(device entry)` ([`DeviceEntry::hash`]).
    pub entry: [u8; 32],
    /// The device's X25519 key.
    pub dh: dh::PublicKey,
}

impl PeerIdentity {
    /// Bytes of an encoded identity.
    pub(crate) const LENGTH: usize = 32 + 4 + 32 + 32;

    pub(crate) fn of(account: AccountId, entry: &DeviceEntry) -> Self {
        Self { account, device: entry.id(), entry: entry.hash(), dh: *entry.dh() }
    }

    /// Checks a device entry that an account's verified manifest holds against what the handshake bound.
    ///
    /// # Errors
    /// [`WrongEntry`] if it is another account's, another device's, or not the entry that the handshake bound.
    pub fn check(&self, account: &AccountId, entry: &DeviceEntry) -> Result<(), WrongEntry> {
        // SPEC §4.4 [entry-matches-claim].
        if Self::of(*account, entry) == *self { Ok(()) } else { Err(WrongEntry) }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.bytes(self.account.as_bytes()).u32(self.device.0);
        to.bytes(&self.entry).bytes(self.dh.as_bytes());
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            account: AccountId::from_bytes(*from.array()?),
            device: DeviceId(from.u32()?),
            entry: *from.array()?,
            dh: dh::PublicKey::parse(from.array()?)?,
        })
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerIdentity(..)")
    }
}

/// The device entry is not the one that the handshake bound: the peer lied about who it is, or the manifest is another
/// account's. The session is as it was; do not use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the device entry is not the one that the handshake bound")]
pub struct WrongEntry;
