//! Two implementations of one standard must give one answer: libcrux, which the core wraps, against RustCrypto.

use chopmark_core::{
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey},
    label,
    secret::Secret,
    signature::root::{RootSignature, RootSigningKey},
};
use ml_dsa::{EncodedSignature, EncodedVerifyingKey, ExpandedSigningKey, MlDsa65};
use ml_kem::{
    B32, Decapsulate, DecapsulationKey as TheirKey, EncapsulationKey as TheirPublic, KeyExport,
    MlKem768, Seed, array::Array,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::kem::Says;

fn array<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// What may become of an encoding on its way: a bit turned, a stretch overwritten or moved, everything replaced.
fn mutated<const N: usize>(bytes: &[u8; N], rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = *bytes;
    let (at, length) = (rng.random_range(0..N), rng.random_range(1..=N.min(64)));
    let end = (at + length).min(N);
    match rng.random_range(0..7) {
        0 | 1 => bytes[at] ^= 1 << rng.random_range(0..8),
        2 => rng.fill_bytes(&mut bytes[at..end]),
        3 => bytes[at..end].fill(0xff),
        4 => bytes[at..end].fill(0),
        5 => bytes.rotate_left(at.max(1)),
        _ => rng.fill_bytes(&mut bytes),
    }
    bytes
}

// Seen to fail with our decapsulation answering zeros for a ciphertext that was altered.
#[test]
fn two_implementations_of_ml_kem_agree_on_keys_and_ciphertexts_good_and_bad() {
    let mut rng = ChaCha20Rng::seed_from_u64(203);
    let (mut keys, mut ciphertexts, mut rejected) = (0, 0, 0);
    for _ in 0..100 {
        let seed = array::<64>(&mut rng);
        let ours = DecapsulationKey::from_seed(&seed);
        let theirs = TheirKey::<MlKem768>::from_seed(Seed::from(seed));
        let public = *ours.encapsulation_key().as_bytes();
        assert_eq!(theirs.encapsulation_key().to_bytes().as_slice(), public);
        let decapsulated = |ciphertext: &[u8; 1088]| {
            let shared = *ours.decapsulate(&Ciphertext::from_bytes(ciphertext)).expose();
            let theirs = theirs.decapsulate(&Array::try_from(&ciphertext[..]).unwrap());
            assert_eq!(theirs.as_slice(), shared);
            shared
        };
        let message = array::<32>(&mut rng);
        let (ciphertext, shared) =
            ours.encapsulation_key().encapsulate(&mut Says(message.to_vec())).unwrap();
        assert_eq!(decapsulated(ciphertext.as_bytes()), *shared.expose());
        ciphertexts += 1;
        for _ in 0..20 {
            let mauled = mutated(ciphertext.as_bytes(), &mut rng);
            ciphertexts += 1;
            if mauled != *ciphertext.as_bytes() {
                assert_ne!(decapsulated(&mauled), *shared.expose());
                rejected += 1;
            }
        }
        for round in 0..20 {
            let altered = if round == 0 { public } else { mutated(&public, &mut rng) };
            let key = EncapsulationKey::parse(&altered);
            let their_key = TheirPublic::<MlKem768>::new(&Array::try_from(&altered[..]).unwrap());
            assert_eq!(key.is_ok(), their_key.is_ok());
            keys += 1;
            let (Ok(key), Ok(their_key)) = (key, their_key) else { continue };
            let (ciphertext, shared) = key.encapsulate(&mut Says(message.to_vec())).unwrap();
            let (their_ciphertext, their_shared) =
                their_key.encapsulate_deterministic(&B32::from(message));
            assert_eq!(their_ciphertext.as_slice(), ciphertext.as_bytes());
            assert_eq!(their_shared.as_slice(), shared.expose());
        }
    }
    assert!(rejected > 1500, "{rejected}");
    println!("\nexternal: libcrux against RustCrypto, ML-KEM-768: {} cases", keys + ciphertexts);
}

#[test]
fn two_implementations_of_ml_dsa_agree_on_signatures_good_and_bad() {
    let mut rng = ChaCha20Rng::seed_from_u64(204);
    let mut cases = 0;
    for _ in 0..25 {
        let seed = array::<32>(&mut rng);
        let length = rng.random_range(0..300);
        let message: Vec<u8> = (0..length).map(|_| rng.random()).collect();
        let ours = RootSigningKey::from_secret(Secret::new(seed));
        let theirs = ExpandedSigningKey::<MlDsa65>::from_seed(&seed.into());
        let public = *ours.verifying_key().as_bytes();
        assert_eq!(theirs.verifying_key().encode().as_slice(), public);
        let context = label::MANIFEST.as_bytes();
        let signature = *ours.sign(label::MANIFEST, &[&message]).unwrap().as_bytes();
        let their_signature = theirs.sign_deterministic(&message, context).unwrap();
        assert_eq!(their_signature.encode().as_slice(), signature);
        for round in 0..20 {
            let altered = if round == 0 { signature } else { mutated(&signature, &mut rng) };
            let verified = ours
                .verifying_key()
                .verify(label::MANIFEST, &[&message], &RootSignature::from_bytes(&altered))
                .is_ok();
            let key = EncodedVerifyingKey::<MlDsa65>::try_from(&public[..]).unwrap();
            let encoded = EncodedSignature::<MlDsa65>::try_from(&altered[..]).unwrap();
            let their_verdict = ml_dsa::Signature::<MlDsa65>::decode(&encoded).is_some_and(|sig| {
                ml_dsa::VerifyingKey::decode(&key).verify_with_context(&message, context, &sig)
            });
            assert_eq!(verified, their_verdict, "{seed:?}");
            assert_eq!(verified, altered == signature);
            cases += 1;
        }
    }
    println!("\nexternal: libcrux against RustCrypto, ML-DSA-65: {cases} cases");
}
