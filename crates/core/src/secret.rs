//! The two types in which secret bytes live: [`Secret`] for as long as it takes, [`Key`] for a moment or in its place.
//!
//! A move copies bytes and forgets the old ones without wiping them. A [`Secret`] is boxed, so what moves is its address.
//! A [`Key`] lies where it stands and costs no allocation: it is made and used up within one operation, or it lives in a
//! state that is itself boxed. There it is exchanged for another one ([`core::mem::swap`]) and dropped where it then
//! lies, which wipes it; it is never moved out, which would not.

use core::fmt;

use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, zeroize_stack};

use crate::random::{self, RandomnessError};

/// Thirty-two secret bytes: boxed so that a move leaves no copy behind, wiped on drop, compared in constant time,
/// never printed.
///
/// It is not copied by accident:
/// ```compile_fail,E0599
/// let secret = chopmark_core::secret::Secret::new([7; 32]);
/// let copy = secret.clone();
/// ```
/// nor shown, nor taken for bytes:
/// ```compile_fail,E0277
/// let secret = chopmark_core::secret::Secret::new([7; 32]);
/// println!("{secret}");
/// ```
/// ```compile_fail,E0599
/// let secret = chopmark_core::secret::Secret::new([7; 32]);
/// let bytes: &[u8] = secret.as_ref();
/// ```
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

/// Thirty-two secret bytes where they stand: wiped on drop, compared in constant time, never printed, not copied.
///
/// Moving one leaves its bytes behind in the frame that it left. See the module for where that is allowed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// Takes these 32 bytes. Copies the caller keeps are the caller's to wipe.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Draws a new key.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails or answers zeros (SPEC §1.2).
    pub fn random(rng: &mut (impl TryCryptoRng + ?Sized)) -> Result<Self, RandomnessError> {
        let mut key = Self([0; 32]);
        random::fill(rng, &mut key.0)?;
        Ok(key)
    }

    /// The bytes. Named so that a search for it finds every place where a secret is read.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Runs `work`, then wipes the stack beneath: what it computed with, moved and left there.
///
/// As good as it can be in safe code: `work` may have gone deeper, and registers are as they are.
pub(crate) fn on_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    zeroize_stack::<DEPTH>();
    result
}

/// The same for work that goes deep: to make an ML-KEM key from its seed takes 50 kB of stack, and to encapsulate 40.
pub(crate) fn on_deeply_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    zeroize_stack::<FAR>();
    result
}

#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Bytes of stack that are wiped. Without optimization frames are many times larger.
const DEPTH: usize = if cfg!(debug_assertions) { 1 << 17 } else { 1 << 13 };
const FAR: usize = if cfg!(debug_assertions) { 1 << 17 } else { 1 << 16 };

impl ConstantTimeEq for Key {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl From<[u8; 32]> for Key {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Key> for Secret {
    fn from(key: Key) -> Self {
        Self::new(key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new([0x41; 32])), "Secret(..)");
        assert_eq!(format!("{:?}", Key::new([0x41; 32])), "Key(..)");
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
