//! The one type in which secret bytes live.

use core::fmt;

use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::random::{self, RandomnessError};

/// Thirty-two secret bytes: boxed so that a move leaves no copy behind, wiped on drop, compared in constant time,
/// never printed.
///
/// `Clone` exists because a ratchet works on a copy and commits it only when a message is authentic (SPEC §5.5);
/// each copy is wiped on its own.
#[derive(Clone)]
pub struct Secret(Box<[u8; 32]>);

impl Secret {
    /// Takes these 32 bytes. The array passed in is wiped; copies the caller keeps are the caller's to wipe.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let secret = Self(Box::new(bytes));
        bytes.zeroize();
        secret
    }

    /// Copies 32 bytes from a slice, or `None` at any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self(Box::new([0; 32]));
        if bytes.len() != secret.0.len() {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// A secret written in place by `write`, so that no copy of it is left on the stack.
    pub fn written(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut secret = Self(Box::new([0; 32]));
        write(&mut secret.0);
        secret
    }

    /// Draws a new secret.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails or answers zeros (SPEC §1.2).
    pub fn random(rng: &mut (impl TryCryptoRng + ?Sized)) -> Result<Self, RandomnessError> {
        let mut secret = Self(Box::new([0; 32]));
        random::fill(rng, secret.0.as_mut_slice())?;
        Ok(secret)
    }

    /// The bytes. Named so that a search for it finds every place where a secret is read.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

impl ConstantTimeEq for Secret {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new([0x41; 32])), "Secret(..)");
    }

    #[test]
    fn only_equal_secrets_are_equal() {
        let mut other = [7; 32];
        assert_eq!(Secret::new(other), Secret::new([7; 32]));
        other[31] = 8;
        assert_ne!(Secret::new(other), Secret::new([7; 32]));
        assert!(Secret::from_slice(&[7; 31]).is_none());
        assert!(Secret::from_slice(&[7; 33]).is_none());
    }
}
