//! One-time prekeys: each for one first message, deleted with it (SPEC §3.2).

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::{Kind, PrekeyId, PublicPair, SecretPair, Title, expect_version};
use crate::{
    codec::{DecodeError, Reader, Writer},
    dh,
    identity::{AccountId, DeviceEntry, DeviceId, DeviceKeys},
    kem,
    random::RandomnessError,
    signature::InvalidSignature,
    time::Timestamp,
};

/// The private half of a one-time prekey.
#[derive(Debug, PartialEq, Eq)]
pub struct OneTimePrekeySecret {
    id: PrekeyId,
    pair: SecretPair,
}

impl OneTimePrekeySecret {
    /// Draws a one-time prekey.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn generate(
        id: PrekeyId,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Self, RandomnessError> {
        Ok(Self { id, pair: SecretPair::generate(rng)? })
    }

    /// Its number.
    pub const fn id(&self) -> PrekeyId {
        self.id
    }

    /// The X25519 half.
    pub const fn dh(&self) -> &dh::SecretKey {
        &self.pair.dh
    }

    /// The ML-KEM-768 half.
    pub const fn kem(&self) -> &kem::DecapsulationKey {
        &self.pair.kem
    }

    /// The public half, signed by the device.
    pub fn publish(
        &self,
        account: &AccountId,
        device: DeviceId,
        keys: &DeviceKeys,
    ) -> OneTimePrekey {
        let title = title(account, device, self.id);
        OneTimePrekey { id: self.id, pair: PublicPair::sign(&self.pair, &title, keys) }
    }

    /// `1 | id u32 | X25519 32 | ML-KEM seed 64`: 101 secret bytes, to be stored sealed.
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(101);
        writer.u8(EXPORT_VERSION).u32(self.id.0);
        self.pair.write(&mut writer);
        writer.finish_secret()
    }

    /// Reads what [`OneTimePrekeySecret::export`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn import(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        expect_version(&mut reader, EXPORT_VERSION)?;
        let secret = Self { id: PrekeyId(reader.u32()?), pair: SecretPair::read(&mut reader)? };
        reader.finish()?;
        Ok(secret)
    }
}

/// The public half of a one-time prekey, with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimePrekey {
    id: PrekeyId,
    pair: PublicPair,
}

impl OneTimePrekey {
    /// Length in bytes.
    pub const LENGTH: usize = 4 + PublicPair::LENGTH;

    /// Its number.
    pub const fn id(&self) -> PrekeyId {
        self.id
    }

    /// The X25519 half.
    pub const fn dh(&self) -> &dh::PublicKey {
        &self.pair.dh
    }

    /// The ML-KEM-768 half.
    pub const fn kem(&self) -> &kem::EncapsulationKey {
        &self.pair.kem
    }

    /// `id u32 | X25519 32 | ML-KEM-768 1184 | signature 64` (SPEC §3.2).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::LENGTH);
        writer.u32(self.id.0);
        self.pair.write(&mut writer);
        writer.finish()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let prekey = Self { id: PrekeyId(reader.u32()?), pair: PublicPair::read(&mut reader)? };
        reader.finish()?;
        Ok(prekey)
    }

    pub(super) fn verify(
        &self,
        account: &AccountId,
        device: &DeviceEntry,
    ) -> Result<(), InvalidSignature> {
        self.pair.verify(&title(account, device.id(), self.id), device)
    }
}

const fn title(account: &AccountId, device: DeviceId, id: PrekeyId) -> Title {
    Title { account: *account, device, kind: Kind::OneTime, id, expiry: Timestamp::ZERO }
}

const EXPORT_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn a_one_time_prekey_survives_storage() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let secret = OneTimePrekeySecret::generate(PrekeyId(9), &mut rng).unwrap();
        let exported = secret.export();
        assert_eq!(exported.len(), 101);
        assert_eq!(OneTimePrekeySecret::import(&exported), Ok(secret));
        assert!(OneTimePrekeySecret::import(&exported[..100]).is_err());
    }
}
