//! Who an account is: the seed, the root keys, the devices they vouch for, and what people compare (SPEC §2).
//!
//! An [`AccountId`] commits to both root keys and to the next ones. Root keys come from the [`Seed`], sign a
//! [`SignedManifest`] and are wiped; what a device keeps is its own [`DeviceKeys`]. A manifest does not expire: how
//! fresh it is says a [`Stamp`] by a device.
//!
//! Start at [`Seed::generate`] and [`SignedManifest::create`] for an account of one's own, at
//! [`SignedManifest::verify`] for a peer's.

use core::fmt;

pub use self::{
    device::{DeviceEntry, DeviceId, DeviceKeys},
    manifest::{Manifest, ManifestError, ManifestNumber, SignedManifest, Signer},
    root::{NextRoot, RootKeys, RootPublicKeys},
    safety::SafetyNumber,
    seed::{Purpose, Seed, SeedError},
    stamp::{Stamp, StampError},
    standing::{DeviceChanges, ManifestRef, OtherAccount, Standing},
};

pub mod device;
pub mod manifest;
pub mod root;
pub mod safety;
pub mod seed;
pub mod stamp;
pub mod standing;

/// An account's name for ever: `LH(account id; root Ed25519, root ML-DSA-65, next root)`, 32 bytes (SPEC §2.2).
///
/// Whoever knows it can check the account's manifests. Never logged: `Debug` says nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 32]);

impl AccountId {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// The id with these bytes. Every 32 bytes may be one.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountId(..)")
    }
}
