//! Signatures: keys and nonce points of small and of mixed order, large scalars, second names; and no way to pair a
//! secret with another's public key.

use chopmark_core::{
    codec::DecodeError,
    hazmat::primitives,
    label,
    secret::Secret,
    signature::{
        Signature, SigningKey, VerifyingKey,
        root::{RootSignature, RootSigningKey, SigningFailed},
    },
};
use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION, traits::IsIdentity};
use sha2::{Digest, Sha512};

/// Every string of 32 bytes that some decoder takes for a point of small order: the eight points, the sign of zero
/// set, and y written as y + p where that fits.
fn names_of_small_order() -> Vec<[u8; 32]> {
    let mut names: Vec<[u8; 32]> =
        EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    // y = p - 1 and y = 1 with x = 0 and the sign set: a zero that is negative.
    for canonical in [EIGHT_TORSION[0], EIGHT_TORSION[4]] {
        let mut name = canonical.compress().to_bytes();
        name[31] |= 0x80;
        names.push(name);
    }
    // y = p, a second name of 0, and y = p + 1, one of 1; with either sign.
    for low in [0xed, 0xee] {
        for sign in [0, 0x80] {
            let mut name = [0xff; 32];
            name[0] = low;
            name[31] = 0x7f | sign;
            names.push(name);
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The challenge of RFC 8032 for these 64 bytes and this message.
fn challenge(nonce_point: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(nonce_point).chain_update(key).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

fn signature(nonce_point: &[u8; 32], scalar: &Scalar) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(nonce_point);
    bytes[32..].copy_from_slice(scalar.as_bytes());
    Signature::from_bytes(bytes)
}

type RootSigned = Result<RootSignature, SigningFailed>;

/// A secret scalar with its public point, as the owner of a key has them who keeps to no rule.
fn dishonest() -> (Scalar, EdwardsPoint) {
    let secret = Scalar::from_bytes_mod_order([3; 32]);
    (secret, EdwardsPoint::mul_base(&secret))
}

// Tests [ed25519-strict].
#[test]
fn t03_a_key_of_small_order_or_with_a_second_name_is_refused() {
    let names = names_of_small_order();
    assert_eq!(names.len(), 14);
    for name in names {
        assert_eq!(VerifyingKey::parse(&name).map(drop), Err(DecodeError::InvalidKey), "{name:?}");
    }
    // Every y from p to 2^255 - 1, with either sign.
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut name = [0xff; 32];
            name[0] = low;
            name[31] = high;
            assert_eq!(VerifyingKey::parse(&name).map(drop), Err(DecodeError::InvalidKey));
        }
    }
}

// Tests [ed25519-strict].
#[test]
fn t03_a_nonce_point_of_small_order_is_refused() {
    let (secret, public) = dishonest();
    let key = public.compress().to_bytes();
    let verifying = VerifyingKey::parse(&key).unwrap();
    let mut lax = 0;
    for name in names_of_small_order() {
        // The equation without its cofactor holds for R the identity, with it for all of them.
        let challenge = challenge(&name, &key, b"message");
        let forged = signature(&name, &(challenge * secret));
        assert!(!primitives::ed25519_verify(&verifying, b"message", &forged), "{name:?}");
        let recomputed = EdwardsPoint::mul_base(&(challenge * secret)) - challenge * public;
        lax += usize::from(recomputed.compress().to_bytes() == name);
    }
    assert_eq!(lax, 1, "the identity satisfies the equation, so that the check is what refuses it");
}

// Tests [ed25519-strict].
// A = aB + T and R = rB + U with T, U of small order. Verification with the cofactor takes all of these; ours takes
// what satisfies the equation as it stands, so that no two strict verifiers ever differ.
#[test]
fn t03_keys_and_nonce_points_of_mixed_order_satisfy_the_equation_without_the_cofactor_or_are_refused()
 {
    let (secret, public) = dishonest();
    let nonce = Scalar::from_bytes_mod_order([5; 32]);
    let (mut taken, mut refused) = (0, 0);
    for of_key in EIGHT_TORSION {
        for of_nonce in EIGHT_TORSION {
            for number in 0..16_u8 {
                let key = (public + of_key).compress().to_bytes();
                let nonce_point = (EdwardsPoint::mul_base(&nonce) + of_nonce).compress().to_bytes();
                let challenge = challenge(&nonce_point, &key, &[number]);
                let made = signature(&nonce_point, &(nonce + challenge * secret));
                // What is left of small order: U + kT. With the cofactor it always vanishes.
                let rest = of_nonce + challenge * of_key;
                assert!(rest.mul_by_cofactor().is_identity());
                let verifying = VerifyingKey::parse(&key).unwrap();
                let verified = primitives::ed25519_verify(&verifying, &[number], &made);
                assert_eq!(verified, rest.is_identity());
                if verified {
                    taken += 1
                } else {
                    refused += 1
                }
                if of_key.is_identity() {
                    // Under an honest key no nonce point of mixed order is taken at all.
                    assert_eq!(verified, of_nonce.is_identity());
                }
            }
        }
    }
    assert!(refused > 800 && taken > 16, "{taken} taken, {refused} refused");
}

// Tests [ed25519-strict].
#[test]
fn t03_a_scalar_of_the_group_order_or_above_is_refused() {
    let key = SigningKey::from_secret(&Secret::new([3; 32]));
    let good = *key.sign(label::STAMP, &[b"message"]).as_bytes();
    let verify = |bytes| {
        let signature = Signature::from_bytes(bytes);
        key.verifying_key().verify(label::STAMP, &[b"message"], &signature).is_ok()
    };
    assert!(verify(good));
    // S + L, S + 2 L, …, as long as they fit: the same scalar by other names.
    let order = (Scalar::ZERO - Scalar::ONE).to_bytes();
    let mut other = good;
    for multiple in 1..=14 {
        // L = (L - 1) + 1.
        let mut carry = 1;
        for (byte, order) in other[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert_eq!(carry, 0, "it fits");
        assert!(!verify(other), "S + {multiple} L");
    }
    // The high bits that lax decoders drop.
    for bit in [0x20, 0x40, 0x80] {
        let mut other = good;
        other[63] |= bit;
        assert!(!verify(other));
    }
    // A second name of R.
    for low in 0xed..=0xff {
        let mut other = good;
        other[..32].fill(0xff);
        (other[0], other[31]) = (low, 0x7f);
        assert!(!verify(other));
    }
}

// The shape of signing is checked by the compiler: a key, a label, a message, and nothing that could be a public key.
// A signature by the secret of one key over the public half of another would give the secret away.
// The documentation of `SigningKey` holds the call that must not compile.
#[test]
fn t04_no_signing_interface_takes_a_public_key() {
    let _: fn(&SigningKey, &str, &[&[u8]]) -> Signature = SigningKey::sign;
    let _: fn(&RootSigningKey, &str, &[&[u8]]) -> RootSigned = RootSigningKey::sign;
    // A key is made from its seed alone, and its public half with it.
    let _: fn(&Secret) -> SigningKey = SigningKey::from_secret;
    let _: fn(Secret) -> RootSigningKey = RootSigningKey::from_secret;
    let key = SigningKey::from_secret(&Secret::new([4; 32]));
    let again = SigningKey::from_secret(&key.to_secret());
    assert_eq!(key.verifying_key(), again.verifying_key());

    // Nobody reaches around it: the half-open interfaces of the libraries are named nowhere.
    let words = ["ExpandedSecretKey", "raw_sign", "from_keypair_bytes", "ed25519_dalek::hazmat"];
    let mut findings = Vec::new();
    for source in crate::tidy::sources() {
        for (number, line) in source.code() {
            if words.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{number}: {line}", source.path));
            }
        }
    }
    assert!(findings.is_empty(), "{findings:#?}");
}
