//! The three multiplications of the issuer that touch a secret scalar: k·B' to sign, k·Y to verify, and the nonce·B'
//! of the proof that a signature is honest (NUT-12).
//!
//! All three go through one constant-time ladder; the variable-time helpers of the `cashu` crate are never called on
//! a key of the issuer. Signing and its proof are deterministic, so the ledger need not store signatures.
//!
//! SPEC §8.11.

use cashu::{BlindSignatureDleq, PublicKey, SecretKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secp256k1::{Scalar, ecdh::shared_secret_point};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A signing key of one amount with its public half.
pub(crate) struct KeyPair {
    secret: SecretKey,
    pub(crate) public: PublicKey,
}

/// A scalar or point came out of range: of negligible probability, and nothing was signed.
#[derive(Debug, thiserror::Error)]
#[error("curve arithmetic left its group")]
pub(crate) struct OutOfGroup;

impl KeyPair {
    /// The pair of a secret scalar.
    pub(crate) fn new(secret: SecretKey) -> Self {
        let public = secret.public_key();
        Self { secret, public }
    }

    /// `C_ = k·B_` and the proof of it; the same bytes every time. SPEC §8.11 `[deterministic-signatures]`.
    pub(crate) fn sign(
        &self,
        blinded: &PublicKey,
    ) -> Result<(PublicKey, BlindSignatureDleq), OutOfGroup> {
        let signature = multiply(blinded, &self.secret)?;
        let nonce = self.nonce(blinded, &signature)?;
        let commitments = [nonce.public_key(), multiply(blinded, &nonce)?];
        let [of_base, of_blinded] = commitments;
        let challenge = cashu::dhke::hash_e([of_base, of_blinded, self.public, signature]);
        let e = SecretKey::from_slice(&challenge).map_err(|_| OutOfGroup)?;
        // Scalar arithmetic of libsecp256k1 is constant-time.
        let ek = e.mul_tweak(&Scalar::from(*self.secret)).map_err(|_| OutOfGroup)?;
        let s = nonce.add_tweak(&Scalar::from(ek)).map_err(|_| OutOfGroup)?;
        Ok((signature, BlindSignatureDleq { e, s: s.into() }))
    }

    /// Is `C = k·Y`? The right answer is a coin, so it is compared in constant time and wiped.
    pub(crate) fn verifies(&self, y: &PublicKey, signature: &PublicKey) -> bool {
        let expected = Zeroizing::new(shared_secret_point(y, &self.secret));
        let [_, offered @ ..] = signature.to_uncompressed_bytes();
        expected.ct_eq(&offered).into()
    }

    /// The nonce of NUT-12, from the key and what is signed.
    fn nonce(&self, blinded: &PublicKey, signature: &PublicKey) -> Result<SecretKey, OutOfGroup> {
        for attempt in 0..=u8::MAX {
            let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_secret_bytes())
                .map_err(|_| OutOfGroup)?;
            mac.update(b"Cashu_DLEQ_R_v1");
            for point in [&self.public, blinded, signature] {
                mac.update(&point.to_uncompressed_bytes());
            }
            mac.update(&[attempt]);
            let bytes = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
            if let Ok(nonce) = SecretKey::from_slice(bytes.as_slice()) {
                return Ok(nonce);
            }
        }
        Err(OutOfGroup)
    }
}

/// `scalar·point` by the constant-time ladder.
fn multiply(point: &PublicKey, scalar: &SecretKey) -> Result<PublicKey, OutOfGroup> {
    let mut bytes = [4; 65];
    let [_, xy @ ..] = &mut bytes;
    *xy = shared_secret_point(point, scalar);
    PublicKey::from_slice(&bytes).map_err(|_| OutOfGroup)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the banned helpers are the oracle")]
mod tests {
    use super::*;
    use cashu::dhke;

    #[test]
    fn signatures_and_proofs_are_those_of_the_cashu_crate() {
        // The variable-time helpers are the oracle here, with keys that are worth nothing.
        for seed in 1..20u8 {
            let pair = KeyPair::new(SecretKey::from_slice(&[seed; 32]).unwrap());
            let (blinded, _) = dhke::blind_message(&[seed], None).unwrap();
            let (signature, dleq) = pair.sign(&blinded).unwrap();
            assert_eq!(signature, dhke::sign_message(&pair.secret, &blinded).unwrap());
            let id = "009a1f293253e41e".parse().unwrap();
            let theirs =
                cashu::BlindSignature::new(1.into(), signature, id, &blinded, &pair.secret)
                    .unwrap();
            // Tests [deterministic-signatures]
            assert_eq!(theirs.dleq.as_ref(), Some(&dleq));
            theirs.verify_dleq(pair.public, blinded).unwrap();
        }
    }

    #[test]
    fn only_the_right_signature_verifies() {
        let pair = KeyPair::new(SecretKey::from_slice(&[7; 32]).unwrap());
        let y = dhke::hash_to_curve(b"coin").unwrap();
        let signature = dhke::sign_message(&pair.secret, &y).unwrap();
        assert!(pair.verifies(&y, &signature));
        assert!(!pair.verifies(&dhke::hash_to_curve(b"other").unwrap(), &signature));
        let negated: PublicKey = signature.negate(&cashu::SECP256K1).into();
        assert!(!pair.verifies(&y, &negated), "the sign of y counts");
    }
}
