//! The signed prekey: used by everyone until it is replaced (SPEC §3.1).

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::{
    Kind, PrekeyId, PublicPair, SIGNED_PREKEY_RETENTION, SIGNED_PREKEY_ROTATION,
    SIGNED_PREKEY_VALIDITY, SecretPair, Title, expect_version,
};
use crate::{
    codec::{DecodeError, Reader, Writer},
    dh,
    identity::{AccountId, DeviceEntry, DeviceId, DeviceKeys},
    kem,
    random::RandomnessError,
    signature::InvalidSignature,
    time::Timestamp,
};

/// The private half of a signed prekey.
#[derive(Debug, PartialEq, Eq)]
pub struct SignedPrekeySecret {
    id: PrekeyId,
    expiry: Timestamp,
    pair: SecretPair,
}

impl SignedPrekeySecret {
    /// Draws a signed prekey that is valid for 30 days from `now`.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn generate(
        id: PrekeyId,
        now: Timestamp,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Self, RandomnessError> {
        let expiry = now.saturating_add(SIGNED_PREKEY_VALIDITY);
        Ok(Self { id, expiry, pair: SecretPair::generate(rng)? })
    }

    /// Its number.
    pub const fn id(&self) -> PrekeyId {
        self.id
    }

    /// The end of its validity.
    pub const fn expiry(&self) -> Timestamp {
        self.expiry
    }

    /// The X25519 half.
    pub const fn dh(&self) -> &dh::SecretKey {
        &self.pair.dh
    }

    /// The ML-KEM-768 half.
    pub const fn kem(&self) -> &kem::DecapsulationKey {
        &self.pair.kem
    }

    /// Whether a device that is online at `now` should replace it (SPEC §3.4).
    pub fn is_due_for_rotation(&self, now: Timestamp) -> bool {
        let made = self.expiry.saturating_sub(SIGNED_PREKEY_VALIDITY);
        // Made in the future means that a clock ran wild: replace it too.
        now < made || now.saturating_since(made) >= SIGNED_PREKEY_ROTATION
    }

    /// When to delete the private half, if a newer one took its place at `superseded` (SPEC §3.4
    /// `[prekeys-are-deleted]`).
    pub fn delete_at(superseded: Timestamp) -> Timestamp {
        superseded.saturating_add(SIGNED_PREKEY_RETENTION)
    }

    /// The public half, signed by the device.
    pub fn publish(
        &self,
        account: &AccountId,
        device: DeviceId,
        keys: &DeviceKeys,
    ) -> SignedPrekey {
        let title = title(account, device, self.id, self.expiry);
        SignedPrekey {
            id: self.id,
            expiry: self.expiry,
            pair: PublicPair::sign(&self.pair, &title, keys),
        }
    }

    /// `1 | id u32 | expiry u64 | X25519 32 | ML-KEM seed 64`: 109 secret bytes, to be stored sealed.
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(109);
        writer.u8(EXPORT_VERSION).u32(self.id.0).u64(self.expiry.0);
        self.pair.write(&mut writer);
        writer.finish_secret()
    }

    /// Reads what [`SignedPrekeySecret::export`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn import(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        expect_version(&mut reader, EXPORT_VERSION)?;
        let secret = Self {
            id: PrekeyId(reader.u32()?),
            expiry: Timestamp(reader.u64()?),
            pair: SecretPair::read(&mut reader)?,
        };
        reader.finish()?;
        Ok(secret)
    }
}

/// The public half of a signed prekey, with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPrekey {
    id: PrekeyId,
    expiry: Timestamp,
    pair: PublicPair,
}

impl SignedPrekey {
    /// Length in bytes.
    pub const LENGTH: usize = 12 + PublicPair::LENGTH;

    /// Its number.
    pub const fn id(&self) -> PrekeyId {
        self.id
    }

    /// The end of its validity.
    pub const fn expiry(&self) -> Timestamp {
        self.expiry
    }

    /// The X25519 half.
    pub const fn dh(&self) -> &dh::PublicKey {
        &self.pair.dh
    }

    /// The ML-KEM-768 half.
    pub const fn kem(&self) -> &kem::EncapsulationKey {
        &self.pair.kem
    }

    /// `id u32 | expiry u64 | X25519 32 | ML-KEM-768 1184 | signature 64` (SPEC §3.1).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::LENGTH);
        writer.u32(self.id.0).u64(self.expiry.0);
        self.pair.write(&mut writer);
        writer.finish()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: PrekeyId(reader.u32()?),
            expiry: Timestamp(reader.u64()?),
            pair: PublicPair::read(reader)?,
        })
    }

    pub(super) fn verify(
        &self,
        account: &AccountId,
        device: &DeviceEntry,
    ) -> Result<(), InvalidSignature> {
        self.pair.verify(&title(account, device.id(), self.id, self.expiry), device)
    }
}

const fn title(account: &AccountId, device: DeviceId, id: PrekeyId, expiry: Timestamp) -> Title {
    Title { account: *account, device, kind: Kind::Signed, id, expiry }
}

const EXPORT_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::time::DAY;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    // Tests [prekeys-are-deleted].
    #[test]
    fn a_signed_prekey_keeps_its_calendar() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let secret = SignedPrekeySecret::generate(PrekeyId(1), NOW, &mut rng).unwrap();
        assert_eq!(secret.expiry(), NOW.saturating_add(30 * DAY));
        assert!(!secret.is_due_for_rotation(NOW));
        assert!(!secret.is_due_for_rotation(Timestamp(NOW.0 + 2 * 86_400_000 - 1)));
        assert!(secret.is_due_for_rotation(NOW.saturating_add(2 * DAY)));
        assert!(secret.is_due_for_rotation(Timestamp(NOW.0 - 1)));
        assert_eq!(SignedPrekeySecret::delete_at(NOW), NOW.saturating_add(32 * DAY));
    }

    #[test]
    fn a_signed_prekey_survives_storage() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let secret = SignedPrekeySecret::generate(PrekeyId(9), NOW, &mut rng).unwrap();
        let exported = secret.export();
        assert_eq!(exported.len(), 109);
        assert_eq!(SignedPrekeySecret::import(&exported), Ok(secret));
        assert!(SignedPrekeySecret::import(&exported[..108]).is_err());
    }
}
