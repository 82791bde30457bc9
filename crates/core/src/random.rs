//! Randomness from outside, checked before it becomes a key.
//!
//! Every generator of this workspace is handed in. A fallible one that fails is an error here, and so is one that
//! answers with zeros: neither ever becomes key material (SPEC §1.2).

use rand_core::TryCryptoRng;
use thiserror::Error;
use zeroize::Zeroize;

/// The source of randomness failed. Nothing was generated and nothing was changed.
///
/// Trying again may help; a device on which this persists must not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the source of randomness failed")]
pub struct RandomnessError;

/// Fills `bytes` from `rng`.
///
/// An all-zero draw of 8 bytes or more is refused: a broken source answers that, a working one practically never.
///
/// # Errors
/// [`RandomnessError`] when the source fails or answers zeros; `bytes` are zeros then.
pub fn fill(
    rng: &mut (impl TryCryptoRng + ?Sized),
    bytes: &mut [u8],
) -> Result<(), RandomnessError> {
    // SPEC §1.2 [randomness-fails-loudly].
    let filled = rng.try_fill_bytes(bytes);
    let zeros = bytes.len() >= 8 && bytes.iter().fold(0, |seen, byte| seen | byte) == 0;
    if filled.is_err() || zeros {
        bytes.zeroize();
        return Err(RandomnessError);
    }
    Ok(())
}

/// An array of `N` random bytes, for nonces and identifiers; keys are a [`Secret`](crate::secret::Secret).
///
/// # Errors
/// As [`fill`].
pub fn array<const N: usize>(
    rng: &mut (impl TryCryptoRng + ?Sized),
) -> Result<[u8; N], RandomnessError> {
    let mut bytes = [0; N];
    fill(rng, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use core::convert::Infallible;

    use rand_core::{TryCryptoRng, TryRng};

    use super::*;
    use crate::{dh, kem, secret::Secret, signature};

    /// A source that always fails, after having written what a caller might mistake for randomness.
    pub(crate) struct Failing;

    #[derive(Debug, Error)]
    #[error("no entropy")]
    pub(crate) struct NoEntropy;

    impl TryRng for Failing {
        type Error = NoEntropy;
        fn try_next_u32(&mut self) -> Result<u32, NoEntropy> {
            Err(NoEntropy)
        }
        fn try_next_u64(&mut self) -> Result<u64, NoEntropy> {
            Err(NoEntropy)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
            bytes.fill(7);
            Err(NoEntropy)
        }
    }

    impl TryCryptoRng for Failing {}

    /// A source that succeeds with zeros.
    pub(crate) struct Zeros;

    impl TryRng for Zeros {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(0);
            Ok(())
        }
    }

    impl TryCryptoRng for Zeros {}

    // Tests [randomness-fails-loudly].
    // Seen to fail with the check for zeros removed, and with the result of the source ignored.
    #[test]
    fn a_failing_source_never_becomes_a_key() {
        fn refused(rng: &mut impl TryCryptoRng) {
            assert!(Secret::random(rng).is_err());
            assert!(dh::SecretKey::generate(rng).is_err());
            assert!(signature::SigningKey::generate(rng).is_err());
            assert!(kem::DecapsulationKey::generate(rng).is_err());
            assert!(array::<24>(rng).is_err());
        }
        refused(&mut Failing);
        refused(&mut Zeros);
    }

    #[test]
    fn a_failing_source_leaves_zeros_behind() {
        let mut bytes = [9; 16];
        assert_eq!(fill(&mut Failing, &mut bytes), Err(RandomnessError));
        assert_eq!(bytes, [0; 16]);
    }
}
