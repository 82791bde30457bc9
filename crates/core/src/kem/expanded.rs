//! A key pair as the implementation wants it, made from its seed.
//!
//! A decapsulation encrypts once more and compares. With the matrix at hand, which making the key made too, that costs
//! half of what it costs with the key pair as bytes; the implementation hands it out for one kind of processor at a time,
//! so on all others it is asked for bytes.

#[cfg(target_arch = "x86_64")]
use libcrux_ml_kem::mlkem768::avx2::unpacked;
use libcrux_ml_kem::mlkem768::{self, MlKem768Ciphertext, MlKem768PrivateKey};
use zeroize::Zeroize;

use super::{Ciphertext, DecapsulationKey, EncapsulationKey};
use crate::secret::Key;

/// Both halves of a key pair, wiped on drop.
pub(super) struct Expanded {
    pub(super) public: EncapsulationKey,
    private: Private,
}

#[allow(clippy::large_enum_variant, reason = "it lies in a box, or for one call on the stack")]
enum Private {
    /// With its matrix. Exists only where the processor has AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(unpacked::MlKem768KeyPairUnpacked),
    Bytes(MlKem768PrivateKey),
}

impl Expanded {
    pub(super) fn of(seed: &[u8; DecapsulationKey::SEED_LENGTH]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            let mut pair = unpacked::init_key_pair();
            unpacked::generate_key_pair_mut(*seed, &mut pair);
            let public = unpacked::key_pair_serialized_public_key(&pair);
            let public = EncapsulationKey(*public.as_slice());
            return Self { public, private: Private::Avx2(pair) };
        }
        Self::in_bytes(seed)
    }

    fn in_bytes(seed: &[u8; DecapsulationKey::SEED_LENGTH]) -> Self {
        let pair = mlkem768::generate_key_pair(*seed);
        let public = EncapsulationKey(*pair.pk());
        let (private, _) = pair.into_parts();
        Self { public, private: Private::Bytes(private) }
    }

    pub(super) fn decapsulate(&self, ciphertext: &Ciphertext) -> Key {
        let ciphertext = MlKem768Ciphertext::from(ciphertext.as_bytes());
        let mut shared = match &self.private {
            #[cfg(target_arch = "x86_64")]
            Private::Avx2(pair) => unpacked::decapsulate(pair, &ciphertext),
            Private::Bytes(private) => mlkem768::decapsulate(private, &ciphertext),
        };
        let secret = Key::new(shared);
        shared.zeroize();
        secret
    }
}

impl Drop for Expanded {
    fn drop(&mut self) {
        match &mut self.private {
            #[cfg(target_arch = "x86_64")]
            Private::Avx2(pair) => {
                *pair = unpacked::init_key_pair();
                // Without this nobody would read the zeros, and they need not be written.
                zeroize::optimization_barrier(pair);
            }
            Private::Bytes(private) => private[..MlKem768PrivateKey::len()].zeroize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    use rand_core::Rng;

    use super::*;

    // On a processor without AVX2 both are the same.
    #[test]
    fn a_key_is_the_same_in_either_form() {
        let mut rng = ChaCha20Rng::from_seed([6; 32]);
        for _ in 0..16 {
            let mut seed = [0; DecapsulationKey::SEED_LENGTH];
            rng.fill_bytes(&mut seed);
            let (one, other) = (Expanded::of(&seed), Expanded::in_bytes(&seed));
            assert_eq!(one.public, other.public);
            let (ciphertext, shared) = one.public.encapsulate(&mut rng).unwrap();
            assert_eq!(one.decapsulate(&ciphertext), shared);
            assert_eq!(other.decapsulate(&ciphertext), shared);
            let mut mauled = *ciphertext.as_bytes();
            mauled[700] ^= 4;
            let mauled = Ciphertext::from_bytes(&mauled);
            assert_eq!(one.decapsulate(&mauled), other.decapsulate(&mauled));
        }
    }
}
