//! ML-KEM-768 (FIPS 203) behind one door.
//!
//! An [`EncapsulationKey`] exists only if its coefficients are below the modulus, which the implementation beneath
//! does not check by itself. A [`DecapsulationKey`] is stored as the standard's 64-byte seed and expanded when first
//! used, so that nothing of the implementation's own form is ever stored. A mauled [`Ciphertext`] decapsulates to an unrelated
//! secret (implicit rejection): the AEAD that follows is what refuses it (SPEC §1.2).

mod expanded;

use core::fmt;
use std::sync::{Arc, OnceLock};

use libcrux_ml_kem::mlkem768::{self, MlKem768PublicKey};
use rand_core::TryCryptoRng;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    codec::DecodeError,
    random::{self, RandomnessError},
    secret::{Key, on_deeply_wiped_stack, on_wiped_stack},
};
use expanded::Expanded;

/// An ML-KEM-768 encapsulation key: 1,184 bytes that pass the modulus check of FIPS 203, section 7.2.
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey([u8; Self::LENGTH]);

impl EncapsulationKey {
    /// Length in bytes.
    pub const LENGTH: usize = 1184;

    /// Takes a peer's 1,184 bytes.
    ///
    /// # Errors
    /// [`DecodeError::InvalidKey`] when a coefficient is not below the modulus (SPEC §1.2 `[kem-modulus-check]`).
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Result<Self, DecodeError> {
        if !mlkem768::validate_public_key(&MlKem768PublicKey::from(bytes)) {
            return Err(DecodeError::InvalidKey);
        }
        Ok(Self(*bytes))
    }

    /// The encoded key of FIPS 203.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Draws a fresh shared secret and its ciphertext for the owner of this key.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn encapsulate(
        &self,
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<(Ciphertext, Key), RandomnessError> {
        let message = Key::random(rng)?;
        let key = MlKem768PublicKey::from(self.as_bytes());
        Ok(on_deeply_wiped_stack(|| {
            let (ciphertext, mut shared) = mlkem768::encapsulate(&key, *message.expose());
            let secret = Key::new(shared);
            shared.zeroize();
            (Ciphertext::from_bytes(ciphertext.as_slice()), secret)
        }))
    }
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncapsulationKey(..)")
    }
}

/// An ML-KEM-768 ciphertext: 1,088 bytes. Every such string decapsulates to something.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext([u8; Self::LENGTH]);

impl Ciphertext {
    /// Length in bytes.
    pub const LENGTH: usize = 1088;

    /// Takes 1,088 bytes.
    pub const fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(*bytes)
    }

    /// The encoded ciphertext of FIPS 203.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ciphertext(..)")
    }
}

/// An ML-KEM-768 decapsulation key, stored as its seed `d | z` and never printed.
///
/// It is expanded once, when first used. A clone is the same key in the same place, wiped with its last holder.
#[derive(Clone)]
pub struct DecapsulationKey(Arc<SeededKey>);

struct SeededKey {
    seed: Zeroizing<[u8; DecapsulationKey::SEED_LENGTH]>,
    expanded: OnceLock<Box<Expanded>>,
}

impl DecapsulationKey {
    /// Length of the seed `d | z` in bytes.
    pub const SEED_LENGTH: usize = 64;

    /// Draws a new key.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn generate(rng: &mut (impl TryCryptoRng + ?Sized)) -> Result<Self, RandomnessError> {
        on_wiped_stack(|| random_seed(rng).map(|seed| Self::from_seed(&seed)))
    }

    /// The key of this stored seed.
    pub fn from_seed(seed: &[u8; Self::SEED_LENGTH]) -> Self {
        let blank = Zeroizing::new([0; Self::SEED_LENGTH]);
        let mut key = Arc::new(SeededKey { seed: blank, expanded: OnceLock::new() });
        // Written where it stays: a move would leave the seed behind.
        if let Some(key) = Arc::get_mut(&mut key) {
            key.seed.copy_from_slice(seed);
        }
        Self(key)
    }

    /// The seed `d | z`, to be stored. Secret.
    pub fn expose_seed(&self) -> &[u8; Self::SEED_LENGTH] {
        &self.0.seed
    }

    /// The public half.
    pub fn encapsulation_key(&self) -> &EncapsulationKey {
        &self.expanded().public
    }

    /// The shared secret of `ciphertext`; an unrelated one if the ciphertext was not made for this key.
    pub fn decapsulate(&self, ciphertext: &Ciphertext) -> Key {
        self.expanded().decapsulate(ciphertext)
    }

    fn expanded(&self) -> &Expanded {
        let expand = || on_deeply_wiped_stack(|| Box::new(Expanded::of(&self.0.seed)));
        self.0.expanded.get_or_init(expand)
    }
}

impl PartialEq for DecapsulationKey {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.seed.as_slice().ct_eq(other.0.seed.as_slice()).into()
    }
}

impl Eq for DecapsulationKey {}

impl fmt::Debug for DecapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecapsulationKey(..)")
    }
}

/// A decapsulation key for one ciphertext: its seed and no more, in its place and without allocation.
///
/// What the implementation makes of the seed lives as long as the call that asks for it.
pub(crate) struct OneUseKey(Zeroizing<[u8; DecapsulationKey::SEED_LENGTH]>);

impl OneUseKey {
    pub(crate) fn generate(
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Self, RandomnessError> {
        random_seed(rng).map(Self)
    }

    pub(crate) fn from_seed(seed: &[u8; DecapsulationKey::SEED_LENGTH]) -> Self {
        Self(Zeroizing::new(*seed))
    }

    pub(crate) fn expose_seed(&self) -> &[u8; DecapsulationKey::SEED_LENGTH] {
        &self.0
    }

    /// The public half, computed at each call.
    pub(crate) fn encapsulation_key(&self) -> EncapsulationKey {
        on_deeply_wiped_stack(|| Expanded::of(&self.0).public.clone())
    }

    /// The shared secret of `ciphertext`, and the public half that belongs to it.
    pub(crate) fn decapsulate(&self, ciphertext: &Ciphertext) -> (Key, EncapsulationKey) {
        on_deeply_wiped_stack(|| {
            let expanded = Expanded::of(&self.0);
            (expanded.decapsulate(ciphertext), expanded.public.clone())
        })
    }
}

fn random_seed(
    rng: &mut (impl TryCryptoRng + ?Sized),
) -> Result<Zeroizing<[u8; DecapsulationKey::SEED_LENGTH]>, RandomnessError> {
    let mut seed = Zeroizing::new([0; DecapsulationKey::SEED_LENGTH]);
    // Two draws: neither `d` nor `z` may be zeros.
    let (d, z) = seed.split_at_mut(32);
    random::fill(rng, d)?;
    random::fill(rng, z)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use ml_kem::{
        B32, Decapsulate, DecapsulationKey as TheirKey, KeyExport, MlKem768, Seed, array::Array,
    };
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([4; 32])
    }

    // Another implementation of FIPS 203 makes the same keys, ciphertexts and secrets.
    #[test]
    fn an_independent_implementation_agrees() {
        let mut rng = rng();
        for _ in 0..16 {
            let ours = DecapsulationKey::generate(&mut rng).unwrap();
            let public = ours.encapsulation_key();
            let theirs = TheirKey::<MlKem768>::from_seed(
                Seed::try_from(ours.expose_seed().as_slice()).unwrap(),
            );
            assert_eq!(theirs.encapsulation_key().to_bytes().as_slice(), public.as_bytes());

            let (ciphertext, shared) = public.encapsulate(&mut rng).unwrap();
            assert_eq!(ours.decapsulate(&ciphertext), shared);
            let decapsulated =
                theirs.decapsulate(&Array::try_from(ciphertext.as_bytes().as_slice()).unwrap());
            assert_eq!(decapsulated.as_slice(), shared.expose());

            let (their_ciphertext, their_shared) =
                theirs.encapsulation_key().encapsulate_deterministic(&B32::from([9; 32]));
            let their_ciphertext: &[u8; 1088] = their_ciphertext.as_slice().try_into().unwrap();
            assert_eq!(
                ours.decapsulate(&Ciphertext::from_bytes(their_ciphertext)).expose(),
                their_shared.as_slice()
            );

            // Implicit rejection is the same function too.
            let mut mauled = *ciphertext.as_bytes();
            mauled[500] ^= 1;
            let rejected = ours.decapsulate(&Ciphertext::from_bytes(&mauled));
            assert_ne!(rejected, shared);
            assert_eq!(rejected.expose(), theirs.decapsulate(&mauled.into()).as_slice());
        }
    }

    // Tests [kem-modulus-check]. Seen to fail with `validate_public_key` left out of `parse`.
    #[test]
    fn a_coefficient_at_or_above_the_modulus_is_refused() {
        let public = DecapsulationKey::generate(&mut rng()).unwrap().encapsulation_key().clone();
        assert_eq!(EncapsulationKey::parse(public.as_bytes()), Ok(public.clone()));
        // Two coefficients of 12 bits in three bytes, little-endian: set the first to q = 3329, then to 4095.
        for coefficient in [3329_u16, 4095] {
            for first in [0, 600, 1149] {
                let [low, high] = coefficient.to_le_bytes();
                let mut bytes = *public.as_bytes();
                bytes[first] = low;
                bytes[first + 1] = (bytes[first + 1] & 0xf0) | high;
                assert_eq!(EncapsulationKey::parse(&bytes), Err(DecodeError::InvalidKey));
            }
        }
    }

    #[test]
    fn a_key_survives_storage_and_is_not_printed() {
        let key = DecapsulationKey::generate(&mut rng()).unwrap();
        assert_eq!(DecapsulationKey::from_seed(key.expose_seed()), key);
        assert_eq!(format!("{key:?}"), "DecapsulationKey(..)");
    }
}
