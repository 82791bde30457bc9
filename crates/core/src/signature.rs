//! Ed25519 (RFC 8032), strict, with a label on every signature; and in [`root`] the ML-DSA-65 of account roots.
//!
//! What is signed is `label | 0x00 | message` (SPEC §1.3), so a signature made for one purpose verifies for no other.
//! A [`SigningKey`] holds its own public key: no caller can sign with the secret of one key and the public half of
//! another.

use core::fmt;

use ed25519_dalek::{Signer, ed25519};
use rand_core::TryCryptoRng;
use thiserror::Error;

use crate::{codec::DecodeError, label, random::RandomnessError, secret::Secret};

pub mod root;

/// A signature that is not the signer's over these bytes under this label. Nothing is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("signature does not verify")]
pub struct InvalidSignature;

/// An Ed25519 signature: 64 bytes, not yet verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LENGTH: usize = 64;

    /// Takes 64 bytes; whether they are a signature shows at verification.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// An Ed25519 public key: a canonical point that is not of small order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Takes a peer's 32 bytes.
    ///
    /// # Errors
    /// [`DecodeError::InvalidKey`] for bytes that are no point, a y-coordinate of p or above, or a point of small
    /// order (SPEC §1.2 `[ed25519-strict]`).
    pub fn parse(bytes: &[u8; 32]) -> Result<Self, DecodeError> {
        let [low, middle @ .., high] = bytes;
        let y_is_canonical =
            (*high & 0x7f) < 0x7f || *low < 0xed || middle.iter().any(|byte| *byte != 0xff);
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| DecodeError::InvalidKey)?;
        if !y_is_canonical || key.is_weak() {
            return Err(DecodeError::InvalidKey);
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks that the owner of this key signed the concatenation of `message` under `label`. Always strict: one
    /// signature has one encoding, and no key of small order signs (SPEC §1.2 `[ed25519-strict]`).
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn verify(
        &self,
        label: &str,
        message: &[&[u8]],
        signature: &Signature,
    ) -> Result<(), InvalidSignature> {
        self.verify_framed(&label::framed(label, message), signature)
    }

    /// Checks a signature over bytes that carry their label already.
    pub(crate) fn verify_framed(
        &self,
        framed: &[u8],
        signature: &Signature,
    ) -> Result<(), InvalidSignature> {
        let signature = ed25519::Signature::from_bytes(&signature.0);
        self.0.verify_strict(framed, &signature).map_err(|_| InvalidSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(..)")
    }
}

/// An Ed25519 key pair, boxed, wiped on drop and never printed.
///
/// Signing takes no public key, so a caller cannot pair the secret of one key with the public half of another and be
/// made to reveal it:
/// ```compile_fail,E0061
/// # use chopmark_core::{label, secret::Secret, signature::SigningKey};
/// let (one, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
/// let (one, other) = (SigningKey::from_secret(&one), SigningKey::from_secret(&other));
/// one.sign(label::STAMP, &[b"message"], &other.verifying_key());
/// ```
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

impl SigningKey {
    /// Draws a new key pair.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn generate(rng: &mut (impl TryCryptoRng + ?Sized)) -> Result<Self, RandomnessError> {
        Secret::random(rng).map(|seed| Self::from_secret(&seed))
    }

    /// The key pair of this 32-byte seed.
    pub fn from_secret(seed: &Secret) -> Self {
        Self(Box::new(ed25519_dalek::SigningKey::from_bytes(seed.expose())))
    }

    /// The 32-byte seed, to be stored.
    pub fn to_secret(&self) -> Secret {
        Secret::written(|secret| secret.copy_from_slice(self.0.as_bytes()))
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// Signs the concatenation of `message` under `label`. Deterministic (RFC 8032).
    pub fn sign(&self, label: &str, message: &[&[u8]]) -> Signature {
        Signature(self.0.sign(&label::framed(label, message)).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::Verifier;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    use sha2::{Digest, Sha512};

    use super::*;
    fn key() -> SigningKey {
        SigningKey::generate(&mut ChaCha20Rng::from_seed([3; 32])).unwrap()
    }

    #[test]
    fn a_signature_verifies_for_its_bytes_only() {
        let key = key();
        let signature = key.sign(label::STAMP, &[b"ab", b"c"]);
        let verifying = key.verifying_key();
        assert!(verifying.verify(label::STAMP, &[b"abc"], &signature).is_ok());
        assert!(verifying.verify(label::STAMP, &[b"abd"], &signature).is_err());
        for bit in 0..512 {
            let mut bytes = *signature.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mutated = Signature::from_bytes(bytes);
            assert!(verifying.verify(label::STAMP, &[b"abc"], &mutated).is_err());
        }
    }

    // Tests [labels-separate]. Seen to fail with `framed` leaving the label out.
    #[test]
    fn a_signature_for_one_purpose_verifies_for_no_other() {
        let key = key();
        for made_for in label::ALL {
            let signature = key.sign(made_for, &[b"message"]);
            for used_for in label::ALL {
                let verified = key.verifying_key().verify(used_for, &[b"message"], &signature);
                assert_eq!(verified.is_ok(), made_for == used_for);
            }
        }
    }

    // Tests [ed25519-strict]. Seen to fail with the check of canonical form removed, and that of small order.
    #[test]
    fn weak_and_non_canonical_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(VerifyingKey::parse(&identity).is_err());
        assert!(VerifyingKey::parse(&[0; 32]).is_err());
        // y = p + 3 is a second name of y = 3, which is on the curve and of large order.
        let mut three = [0; 32];
        three[0] = 3;
        assert!(VerifyingKey::parse(&three).is_ok());
        let mut non_canonical = [0xff; 32];
        non_canonical[0] = 0xf0;
        non_canonical[31] = 0x7f;
        assert!(ed25519_dalek::VerifyingKey::from_bytes(&non_canonical).is_ok());
        assert!(VerifyingKey::parse(&non_canonical).is_err());
    }

    // Tests [ed25519-strict].
    #[test]
    fn a_signature_has_one_encoding() {
        let key = key();
        let signature = key.sign(label::STAMP, &[b"message"]);
        // S + L, with L the order of the group: the same scalar by another name.
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut bytes = *signature.as_bytes();
        let mut carry = 0;
        for (byte, order) in bytes[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        let other = Signature::from_bytes(bytes);
        assert!(key.verifying_key().verify(label::STAMP, &[b"message"], &other).is_err());
    }

    // Tests [ed25519-strict]. Seen to fail with `verify_strict` replaced by `verify`.
    #[test]
    fn a_nonce_point_of_small_order_is_refused() {
        // With R the identity, S = k·a satisfies the lax equation; the owner of the key can make such a signature.
        let key = key();
        let framed = label::framed(label::STAMP, &[b"message"]);
        let mut identity = [0; 32];
        identity[0] = 1;
        let k = Sha512::new_with_prefix(identity)
            .chain_update(key.verifying_key().as_bytes())
            .chain_update(&framed)
            .finalize();
        let a = key.0.to_scalar();
        let mut s = a - a;
        for bit in (0..512).rev() {
            s = s + s;
            if k[bit / 8] >> (bit % 8) & 1 == 1 {
                s += a;
            }
        }
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&identity);
        bytes[32..].copy_from_slice(s.as_bytes());
        let lax = ed25519::Signature::from_bytes(&bytes);
        assert!(key.0.verifying_key().verify(&framed, &lax).is_ok());
        let signature = Signature::from_bytes(bytes);
        assert!(key.verifying_key().verify(label::STAMP, &[b"message"], &signature).is_err());
    }

    #[test]
    fn a_key_survives_storage() {
        let key = key();
        assert_eq!(SigningKey::from_secret(&key.to_secret()).verifying_key(), key.verifying_key());
        assert_eq!(format!("{key:?}"), "SigningKey(..)");
    }
}
