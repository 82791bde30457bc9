//! A device's word that a manifest was the current one lately (SPEC §2.5).

use core::{fmt, time::Duration};

use thiserror::Error;

use super::{AccountId, DeviceId, SignedManifest};
use crate::{
    codec::{DecodeError, Reader, Writer},
    label,
    signature::{Signature, SigningKey},
    time::{DAY, Timestamp},
};

/// A stamp whose signature holds, by a device of the manifest that it stamps.
#[derive(Clone, PartialEq, Eq)]
pub struct Stamp {
    account: AccountId,
    manifest: [u8; 32],
    device: DeviceId,
    not_after: Timestamp,
    signature: Signature,
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account: _, manifest: _, device, not_after, signature: _ } = self;
        let mut shown = f.debug_struct("Stamp");
        shown.field("device", device).field("not_after", not_after).finish_non_exhaustive()
    }
}

impl Stamp {
    /// Length in bytes.
    pub const LENGTH: usize = SIGNED + Signature::LENGTH;

    /// How long a stamp is good for.
    pub const VALIDITY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Stamps `manifest` at `now` with the signing key of its device `device`.
    ///
    /// # Errors
    /// [`StampError::UnknownDevice`] when the key is not that of the device in the manifest.
    pub fn create(
        signing: &SigningKey,
        device: DeviceId,
        manifest: &SignedManifest,
        now: Timestamp,
    ) -> Result<Self, StampError> {
        let entry = manifest.device(device).ok_or(StampError::UnknownDevice)?;
        if *entry.signing() != signing.verifying_key() {
            return Err(StampError::UnknownDevice);
        }
        let mut stamp = Self {
            account: *manifest.account(),
            manifest: *manifest.hash(),
            device,
            not_after: now.saturating_add(Self::VALIDITY),
            signature: Signature::from_bytes([0; 64]),
        };
        stamp.signature = signing.sign(label::STAMP, &[&stamp.signed()]);
        Ok(stamp)
    }

    /// Reads a stamp and verifies it against the manifest beside it. Whether it is fresh, [`Stamp::is_fresh`] says.
    ///
    /// # Errors
    /// [`StampError`]; the manifest stays what it is.
    pub fn verify(bytes: &[u8], manifest: &SignedManifest) -> Result<Self, StampError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Unknown(other).into()),
        }
        let stamp = Self {
            account: AccountId::from_bytes(*reader.array()?),
            manifest: *reader.array()?,
            device: DeviceId(reader.u32()?),
            not_after: Timestamp(reader.u64()?),
            signature: Signature::from_bytes(*reader.array()?),
        };
        reader.finish()?;
        // SPEC §2.5 [stamp-of-the-manifest].
        if stamp.account != *manifest.account() || stamp.manifest != *manifest.hash() {
            return Err(StampError::OtherManifest);
        }
        let entry = manifest.device(stamp.device).ok_or(StampError::UnknownDevice)?;
        let signed = bytes.get(..SIGNED).ok_or(DecodeError::Truncated)?;
        entry
            .signing()
            .verify(label::STAMP, &[signed], &stamp.signature)
            .map_err(|_| StampError::Forged)?;
        Ok(stamp)
    }

    /// Whether the stamp says at `now` that the manifest is current. Not before its end, and an end further away than
    /// an honest device would set it, both mean: warn (SPEC §2.5 `[stale-stamp-warns]`).
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let latest = now.saturating_add(Self::VALIDITY).saturating_add(CLOCK_SKEW);
        now <= self.not_after && self.not_after <= latest
    }

    /// The device that stamped.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The end of its validity.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The encoded stamp.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed();
        bytes.extend_from_slice(self.signature.as_bytes());
        bytes
    }

    /// `1 | account 32 | manifest hash 32 | device u32 | not after u64`.
    fn signed(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::LENGTH);
        writer.u8(VERSION).bytes(self.account.as_bytes()).bytes(&self.manifest);
        writer.u32(self.device.0).u64(self.not_after.0);
        writer.finish()
    }
}

const VERSION: u8 = 1;
const SIGNED: usize = 1 + 32 + 32 + 4 + 8;
/// How far two honest clocks may differ.
const CLOCK_SKEW: Duration = DAY;

/// A stamp that says nothing about the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StampError {
    /// The bytes are not a stamp.
    #[error("the stamp is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// It stamps another manifest, perhaps an earlier one of the account.
    #[error("the stamp is of another manifest")]
    OtherManifest,
    /// The manifest has no such device, or the device has another key.
    #[error("the stamp is by a device that the manifest does not list")]
    UnknownDevice,
    /// The signature is not the device's.
    #[error("the stamp is not signed by its device")]
    Forged,
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::identity::{DeviceKeys, RootKeys, manifest::tests::*};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn keys() -> DeviceKeys {
        DeviceKeys::generate(&mut ChaCha20Rng::from_seed([1; 32])).unwrap()
    }

    // Tests [stale-stamp-warns]. Seen to fail with either comparison of `is_fresh` removed.
    #[test]
    fn a_stamp_is_fresh_for_a_week() {
        let manifest = manifest(1);
        let stamp = Stamp::create(keys().signing(), DeviceId(1), &manifest, NOW).unwrap();
        let read = Stamp::verify(&stamp.to_bytes(), &manifest).unwrap();
        assert_eq!(read, stamp);
        assert_eq!(stamp.to_bytes().len(), Stamp::LENGTH);
        assert!(read.is_fresh(NOW));
        assert!(read.is_fresh(NOW.saturating_sub(DAY)));
        assert!(!read.is_fresh(NOW.saturating_sub(2 * DAY)));
        assert!(read.is_fresh(NOW.saturating_add(7 * DAY)));
        assert!(!read.is_fresh(NOW.saturating_add(7 * DAY + Duration::from_millis(1))));
    }

    // Tests [stamp-of-the-manifest]. Seen to fail with the comparison of the hash removed, and of the signature.
    #[test]
    fn a_stamp_is_good_for_its_manifest_only() {
        let first = manifest(1);
        let (root, _): (RootKeys, RootKeys) = root(1);
        let second = first.updated(vec![device(1, 1), device(2, 2)]).unwrap().sign(&root).unwrap();
        let stamp = Stamp::create(keys().signing(), DeviceId(1), &first, NOW).unwrap().to_bytes();
        assert_eq!(Stamp::verify(&stamp, &second), Err(StampError::OtherManifest));
        for position in 0..Stamp::LENGTH {
            let mut bytes = stamp.clone();
            bytes[position] ^= 1;
            assert!(Stamp::verify(&bytes, &first).is_err(), "{position}");
        }
        assert!(Stamp::verify(&stamp[1..], &first).is_err());
        let other_device = Stamp::create(keys().signing(), DeviceId(2), &second, NOW);
        assert_eq!(other_device, Err(StampError::UnknownDevice));
    }
}
