//! ML-DSA-65 (FIPS 204): the post-quantum half of an account's root.
//!
//! The label is the standard's context string, the key is kept as its 32-byte seed, and signing is the standard's
//! deterministic variant: root keys sign a few times in a life, on a machine just given the 24 words, and the same
//! manifest then always has the same signature (SPEC §1.2).

use core::fmt;

use libcrux_ml_dsa::ml_dsa_65::{self, MLDSA65Signature, MLDSA65VerificationKey};
use zeroize::Zeroize;

use super::InvalidSignature;
use crate::secret::Secret;

/// An ML-DSA-65 public key: 1,952 bytes. Every such string is one.
#[derive(Clone, PartialEq, Eq)]
pub struct RootVerifyingKey(Box<[u8; Self::LENGTH]>);

impl RootVerifyingKey {
    /// Length in bytes.
    pub const LENGTH: usize = 1952;

    /// Takes the encoded key of FIPS 204.
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(Box::new(*bytes))
    }

    /// The encoded key of FIPS 204.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Checks that the owner of this key signed the concatenation of `message` under `label`.
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn verify(
        &self,
        label: &str,
        message: &[&[u8]],
        signature: &RootSignature,
    ) -> Result<(), InvalidSignature> {
        let key = MLDSA65VerificationKey::new(*self.0);
        let signature = MLDSA65Signature::new(*signature.0);
        ml_dsa_65::verify(&key, &message.concat(), label.as_bytes(), &signature)
            .map_err(|_| InvalidSignature)
    }
}

impl fmt::Debug for RootVerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootVerifyingKey(..)")
    }
}

/// An ML-DSA-65 signature: 3,309 bytes, not yet verified.
#[derive(Clone, PartialEq, Eq)]
pub struct RootSignature(Box<[u8; Self::LENGTH]>);

impl RootSignature {
    /// Length in bytes.
    pub const LENGTH: usize = 3309;

    /// Takes the encoded signature; whether it is one shows at verification.
    pub fn from_bytes(bytes: &[u8; Self::LENGTH]) -> Self {
        Self(Box::new(*bytes))
    }

    /// The encoded signature.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for RootSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootSignature(..)")
    }
}

/// An ML-DSA-65 key pair, kept as its seed and expanded for each signature.
#[derive(Debug)]
pub struct RootSigningKey {
    seed: Secret,
    verifying: RootVerifyingKey,
}

impl RootSigningKey {
    /// The key pair of this 32-byte seed (ξ of FIPS 204).
    pub fn from_secret(seed: Secret) -> Self {
        let mut pair = ml_dsa_65::generate_key_pair(*seed.expose());
        pair.signing_key.as_ref_mut().zeroize();
        Self { seed, verifying: RootVerifyingKey::from_bytes(pair.verification_key.as_ref()) }
    }

    /// The public half.
    pub const fn verifying_key(&self) -> &RootVerifyingKey {
        &self.verifying
    }

    /// Signs the concatenation of `message` under `label`, deterministically.
    ///
    /// # Errors
    /// [`SigningFailed`] when rejection sampling gives up, which no input is known to cause.
    pub fn sign(&self, label: &str, message: &[&[u8]]) -> Result<RootSignature, SigningFailed> {
        let mut pair = ml_dsa_65::generate_key_pair(*self.seed.expose());
        let signature =
            ml_dsa_65::sign(&pair.signing_key, &message.concat(), label.as_bytes(), [0; 32]);
        pair.signing_key.as_ref_mut().zeroize();
        let signature = signature.map_err(|_| SigningFailed)?;
        Ok(RootSignature::from_bytes(signature.as_ref()))
    }
}

/// ML-DSA-65 found no signature within its bound of attempts. Nothing was signed; it is our bug or the machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the root signature could not be made")]
pub struct SigningFailed;

#[cfg(test)]
mod tests {
    use ml_dsa::{
        EncodedSignature, EncodedVerifyingKey, ExpandedSigningKey, MlDsa65, Signature, VerifyingKey,
    };

    use super::*;
    use crate::label;

    fn key(seed: u8) -> RootSigningKey {
        RootSigningKey::from_secret(Secret::new([seed; 32]))
    }

    // Another implementation of FIPS 204 makes the same keys and the same signatures.
    #[test]
    fn an_independent_implementation_agrees() {
        for seed in 0..8 {
            let ours = key(seed);
            let theirs = ExpandedSigningKey::<MlDsa65>::from_seed(&[seed; 32].into());
            let verifying = theirs.verifying_key();
            assert_eq!(ours.verifying_key().as_bytes().as_slice(), verifying.encode().as_slice());

            let signature = ours.sign(label::MANIFEST, &[b"mess", b"age"]).unwrap();
            let their_signature =
                theirs.sign_deterministic(b"message", label::MANIFEST.as_bytes()).unwrap();
            assert_eq!(signature.as_bytes().as_slice(), their_signature.encode().as_slice());

            let encoded = EncodedSignature::<MlDsa65>::try_from(signature.as_bytes().as_slice());
            let decoded = Signature::<MlDsa65>::decode(&encoded.unwrap()).unwrap();
            assert!(verifying.verify_with_context(
                b"message",
                label::MANIFEST.as_bytes(),
                &decoded
            ));
            let encoded = EncodedVerifyingKey::<MlDsa65>::try_from(
                ours.verifying_key().as_bytes().as_slice(),
            );
            assert!(VerifyingKey::<MlDsa65>::decode(&encoded.unwrap()).verify_with_context(
                b"message",
                label::MANIFEST.as_bytes(),
                &decoded
            ));
        }
    }

    // Tests [labels-separate]. Seen to fail with an empty context given to `verify`.
    #[test]
    fn a_signature_verifies_for_its_bytes_key_and_label_only() {
        let (key, other) = (key(1), key(2));
        let signature = key.sign(label::MANIFEST, &[b"message"]).unwrap();
        let verify = |key: &RootSigningKey, label, message: &[u8], signature: &RootSignature| {
            key.verifying_key().verify(label, &[message], signature).is_ok()
        };
        assert!(verify(&key, label::MANIFEST, b"message", &signature));
        assert!(!verify(&other, label::MANIFEST, b"message", &signature));
        assert!(!verify(&key, label::STAMP, b"message", &signature));
        assert!(!verify(&key, label::MANIFEST, b"messagf", &signature));
        for position in (0..RootSignature::LENGTH).step_by(97) {
            let mut bytes = *signature.as_bytes();
            bytes[position] ^= 1;
            let mutated = RootSignature::from_bytes(&bytes);
            assert!(!verify(&key, label::MANIFEST, b"message", &mutated), "{position}");
        }
    }
}
