//! What a writer fetches before a first message: manifest, stamp, signed prekey and perhaps a one-time prekey (SPEC
//! §3.3).
//!
//! It is published in two kinds of pieces, because a relay hands out the same signed part to all and each one-time
//! prekey once. Nothing of it is believed before [`VerifiedBundle::verify`]; behind that, every key is the device's.

use thiserror::Error;

use super::{OneTimePrekey, SignedPrekey};
use crate::{
    codec::{DecodeError, Reader, TooLong, Writer},
    identity::{AccountId, DeviceEntry, ManifestError, SignedManifest, Stamp, StampError},
    time::Timestamp,
};

/// The part of a bundle that is the same for everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPart {
    /// Vouches for the device.
    pub manifest: SignedManifest,
    /// Says that the manifest is current; names the device that this bundle is of.
    pub stamp: Stamp,
    /// The device's signed prekey.
    pub prekey: SignedPrekey,
}

impl SignedPart {
    /// Length of the longest signed part in bytes.
    pub const MAX_LENGTH: usize =
        5 + SignedManifest::MAX_LENGTH + Stamp::LENGTH + SignedPrekey::LENGTH;

    /// `1 | var32(signed manifest) | stamp 141 | signed prekey 1292` (SPEC §3.3).
    ///
    /// # Errors
    /// [`TooLong`], which no manifest is.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        let mut writer = Writer::with_capacity(Self::MAX_LENGTH);
        writer.u8(VERSION).var32(self.manifest.as_bytes())?;
        writer.bytes(&self.stamp.to_bytes()).bytes(&self.prekey.to_bytes());
        Ok(writer.finish())
    }
}

/// A bundle in which everything was verified: the account is the one expected, the manifest is signed by its root, the
/// stamp and all prekeys by one device of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBundle {
    signed: SignedPart,
    device: DeviceEntry,
    one_time: Option<OneTimePrekey>,
    stamp_is_fresh: bool,
}

impl VerifiedBundle {
    /// Reads the signed part and the one-time prekey that came with it, if any, and verifies all of it for `account` at
    /// `now`.
    ///
    /// # Errors
    /// [`BundleError`]. Nothing of the bundle may be used then: a bundle is never taken in part, or a relay could strip
    /// what it dislikes.
    pub fn verify(
        signed_part: &[u8],
        one_time: Option<&[u8]>,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<Self, BundleError> {
        let mut reader = Reader::new(signed_part);
        match reader.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Unknown(other).into()),
        }
        let manifest = reader.var32(SignedManifest::MAX_LENGTH)?;
        let stamp = reader.bytes(Stamp::LENGTH)?;
        let prekey = SignedPrekey::read(&mut reader)?;
        reader.finish()?;
        let one_time = one_time.map(OneTimePrekey::parse).transpose()?;

        // SPEC §3.3 [bundle-is-verified-whole].
        let manifest = SignedManifest::verify_for(manifest, account)?;
        let stamp = Stamp::verify(stamp, &manifest)?;
        let device = manifest.device(stamp.device()).ok_or(StampError::UnknownDevice)?.clone();
        prekey.verify(account, &device).map_err(|_| BundleError::ForgedPrekey)?;
        if let Some(one_time) = &one_time {
            one_time.verify(account, &device).map_err(|_| BundleError::ForgedPrekey)?;
        }
        // SPEC §3.3 [expired-prekey-refused].
        if prekey.expiry() < now {
            return Err(BundleError::ExpiredPrekey);
        }
        let stamp_is_fresh = stamp.is_fresh(now);
        Ok(Self {
            signed: SignedPart { manifest, stamp, prekey },
            device,
            one_time,
            stamp_is_fresh,
        })
    }

    /// The account's manifest.
    pub const fn manifest(&self) -> &SignedManifest {
        &self.signed.manifest
    }

    /// The account.
    pub const fn account(&self) -> &AccountId {
        self.signed.manifest.account()
    }

    /// The device that the prekeys are of.
    pub const fn device(&self) -> &DeviceEntry {
        &self.device
    }

    /// The signed prekey.
    pub const fn signed_prekey(&self) -> &SignedPrekey {
        &self.signed.prekey
    }

    /// The one-time prekey, if the relay had one left for us.
    pub const fn one_time_prekey(&self) -> Option<&OneTimePrekey> {
        self.one_time.as_ref()
    }

    /// Whether the manifest was stamped lately. If not, warn that a change of devices may be hidden (SPEC §2.5).
    pub const fn stamp_is_fresh(&self) -> bool {
        self.stamp_is_fresh
    }
}

const VERSION: u8 = 1;

/// A bundle that must not be used. No key of it was taken; fetch again later, or ask for a new link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bytes are not a bundle.
    #[error("the bundle is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The manifest is not to be believed.
    #[error("the bundle is not to be trusted: {0}")]
    Manifest(#[from] ManifestError),
    /// The stamp is not to be believed.
    #[error("the bundle is not to be trusted: {0}")]
    Stamp(#[from] StampError),
    /// A prekey is not signed by the device, or not as what it is presented.
    #[error("a prekey is not signed by its device")]
    ForgedPrekey,
    /// The signed prekey has expired: its owner was away for a month, or the clock here is wrong.
    #[error("the signed prekey has expired; check the clock or wait until its owner is online")]
    ExpiredPrekey,
}
