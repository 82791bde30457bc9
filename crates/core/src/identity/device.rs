//! A device's own keys, and the entry of a manifest that vouches for them (SPEC §2.3).

use core::fmt;

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use crate::{
    codec::{DecodeError, Reader, Writer},
    dh, hash, kem, label,
    random::RandomnessError,
    signature::{SigningKey, VerifyingKey},
};

/// A device's number in its account: given by the root, never used again after the device is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub u32);

/// The secret keys of one device. No key is shared between devices, and none is derived from the seed.
#[derive(Debug)]
pub struct DeviceKeys {
    signing: SigningKey,
    dh: dh::SecretKey,
    kem: kem::DecapsulationKey,
}

impl DeviceKeys {
    /// Draws new keys.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn generate(rng: &mut (impl TryCryptoRng + ?Sized)) -> Result<Self, RandomnessError> {
        Ok(Self {
            signing: SigningKey::generate(rng)?,
            dh: dh::SecretKey::generate(rng)?,
            kem: kem::DecapsulationKey::generate(rng)?,
        })
    }

    /// The Ed25519 key that signs prekeys and stamps.
    pub const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The X25519 identity key (IK of SPEC §4.2).
    pub const fn dh(&self) -> &dh::SecretKey {
        &self.dh
    }

    /// The ML-KEM-768 identity key.
    pub const fn kem(&self) -> &kem::DecapsulationKey {
        &self.kem
    }

    /// The entry that a manifest holds for this device.
    pub fn entry(&self, id: DeviceId) -> DeviceEntry {
        DeviceEntry {
            id,
            signing: self.signing.verifying_key(),
            dh: *self.dh.public(),
            kem: self.kem.encapsulation_key().clone(),
        }
    }

    /// `1 | Ed25519 seed 32 | X25519 32 | ML-KEM seed 64`: 129 secret bytes, to be stored sealed (SPEC §2.3).
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(EXPORT_LENGTH);
        writer.u8(EXPORT_VERSION).secret(&self.signing.to_secret()).secret(self.dh.as_secret());
        writer.bytes(self.kem.expose_seed());
        writer.finish_secret()
    }

    /// Reads what [`DeviceKeys::export`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn import(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            EXPORT_VERSION => {}
            other => return Err(DecodeError::Unknown(other)),
        }
        let keys = Self {
            signing: SigningKey::from_secret(&reader.secret()?),
            dh: dh::SecretKey::from_secret(reader.secret()?),
            kem: kem::DecapsulationKey::from_seed(reader.array()?),
        };
        reader.finish()?;
        Ok(keys)
    }
}

const EXPORT_VERSION: u8 = 1;
const EXPORT_LENGTH: usize = 129;

/// The public keys of one device, as its account's manifest lists them.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    id: DeviceId,
    signing: VerifyingKey,
    dh: dh::PublicKey,
    kem: kem::EncapsulationKey,
}

impl DeviceEntry {
    /// Length of an encoded entry in bytes.
    pub const LENGTH: usize =
        4 + VerifyingKey::LENGTH + dh::PublicKey::LENGTH + kem::EncapsulationKey::LENGTH;

    /// The device's number.
    pub const fn id(&self) -> DeviceId {
        self.id
    }

    /// The Ed25519 key.
    pub const fn signing(&self) -> &VerifyingKey {
        &self.signing
    }

    /// The X25519 identity key.
    pub const fn dh(&self) -> &dh::PublicKey {
        &self.dh
    }

    /// The ML-KEM-768 identity key.
    pub const fn kem(&self) -> &kem::EncapsulationKey {
        &self.kem
    }

    /// `LH(device entry; entry)`: what a handshake binds (SPEC §2.3).
    pub fn hash(&self) -> [u8; 32] {
        let mut writer = Writer::with_capacity(Self::LENGTH);
        self.write(&mut writer);
        hash::sha256(label::DEVICE_ENTRY, &[&writer.finish()])
    }

    /// `u32 id | Ed25519 32 | X25519 32 | ML-KEM-768 1184` (SPEC §2.3).
    pub fn write(&self, writer: &mut Writer) {
        writer.u32(self.id.0).bytes(self.signing.as_bytes());
        writer.bytes(self.dh.as_bytes()).bytes(self.kem.as_bytes());
    }

    /// Reads one entry; each key is checked (SPEC §1.2).
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: DeviceId(reader.u32()?),
            signing: VerifyingKey::parse(reader.array()?)?,
            dh: dh::PublicKey::parse(reader.array()?)?,
            kem: kem::EncapsulationKey::parse(reader.array()?)?,
        })
    }
}

impl fmt::Debug for DeviceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn keys_survive_storage() {
        let keys = DeviceKeys::generate(&mut ChaCha20Rng::from_seed([5; 32])).unwrap();
        let exported = keys.export();
        assert_eq!(exported.len(), EXPORT_LENGTH);
        let imported = DeviceKeys::import(&exported).unwrap();
        assert_eq!(imported.entry(DeviceId(3)), keys.entry(DeviceId(3)));
        assert!(DeviceKeys::import(&exported[1..]).is_err());
        assert!(DeviceKeys::import(&[&exported[..], &[0]].concat()).is_err());
        assert_eq!(DeviceKeys::import(&[2; 129]).unwrap_err(), DecodeError::Unknown(2));
    }

    #[test]
    fn an_entry_reads_back_and_its_hash_covers_all_of_it() {
        let mut rng = ChaCha20Rng::from_seed([6; 32]);
        let entry = DeviceKeys::generate(&mut rng).unwrap().entry(DeviceId(1));
        let mut writer = Writer::new();
        entry.write(&mut writer);
        let bytes = writer.finish();
        assert_eq!(bytes.len(), DeviceEntry::LENGTH);
        assert_eq!(DeviceEntry::read(&mut Reader::new(&bytes)), Ok(entry.clone()));
        let other = DeviceEntry { id: DeviceId(2), ..entry.clone() };
        assert_ne!(other.hash(), entry.hash());
    }

    #[test]
    fn keys_are_not_printed() {
        let keys = DeviceKeys::generate(&mut ChaCha20Rng::from_seed([5; 32])).unwrap();
        let printed = "DeviceKeys { signing: SigningKey(..), dh: dh::SecretKey(..), kem: DecapsulationKey(..) }";
        assert_eq!(format!("{keys:?}"), printed);
    }
}
