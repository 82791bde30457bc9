//! Primitives behind their doors, and derivations.

use chopmark_core::{
    dh,
    hash::{hmac_sha256, sha256},
    hazmat::{derivation, header::Header, root},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey},
    label,
    secret::Secret,
    signature::SigningKey,
};
use proptest::prelude::*;

use super::{cases, rng};

prop_compose! {
    fn header()(ratchet_key: [u8; 32], n: u32, pn: u32, epoch: u32, nonce: [u8; 12]) -> Header {
        Header { ratchet_key, n, pn, epoch, nonce }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn both_sides_agree(one: [u8; 32], other: [u8; 32]) {
        let secret = |bytes| dh::SecretKey::from_secret(Secret::new(bytes));
        let (one, other) = (secret(one), secret(other));
        let agreed = one.diffie_hellman(other.public()).unwrap();
        prop_assert!(agreed == other.diffie_hellman(one.public()).unwrap());
        prop_assert_eq!(dh::PublicKey::parse(one.public().as_bytes()), Ok(*one.public()));
    }

    // Tests [x25519-inputs-refused].
    #[test]
    fn a_coordinate_is_refused_from_p_on(low: u8, middle in prop::option::of(any::<u8>()), high: u8) {
        let mut bytes = [middle.unwrap_or(0xff); 32];
        (bytes[0], bytes[31]) = (low, high);
        // p is 2^255 - 19: little-endian, the lowest byte ed, the highest 7f, ff between.
        let above = high > 0x7f || (high == 0x7f && bytes[1..31] == [0xff; 30] && low >= 0xed);
        let order = bytes[1..] == [0; 31] && low < 2 || (bytes[1..31] == [0xff; 30] && high == 0x7f && low == 0xec);
        prop_assert_eq!(dh::PublicKey::parse(&bytes).is_err(), above || order);
    }

    // Tests [labels-separate].
    #[test]
    fn a_signature_is_for_one_key_label_and_message(
        seeds: [[u8; 32]; 2], message: Vec<u8>, at: prop::sample::Index, bit in 0..8, labels in prop::sample::subsequence(label::ALL, 2)
    ) {
        prop_assume!(seeds[0] != seeds[1]);
        let [key, other] = seeds.map(|seed| SigningKey::from_secret(&Secret::new(seed)));
        let signature = key.sign(labels[0], &[&message]);
        let verify = |key: &SigningKey, label, message: &[u8]| {
            key.verifying_key().verify(label, &[message], &signature).is_ok()
        };
        prop_assert!(verify(&key, labels[0], &message));
        prop_assert!(!verify(&other, labels[0], &message));
        prop_assert!(!verify(&key, labels[1], &message));
        let mut altered = message.clone();
        altered.push(0);
        let index = at.index(altered.len());
        altered[index] ^= 1_u8 << bit;
        prop_assert!(!verify(&key, labels[0], &altered));
    }

    #[test]
    fn a_ciphertext_is_for_one_key_and_mauled_it_gives_another_secret(seed: u64, at: prop::sample::Index, bit in 0..8) {
        let mut rng = rng(seed);
        let (key, other) = (DecapsulationKey::generate(&mut rng).unwrap(), DecapsulationKey::generate(&mut rng).unwrap());
        let (ciphertext, shared) = key.encapsulation_key().encapsulate(&mut rng).unwrap();
        prop_assert!(key.decapsulate(&ciphertext) == shared);
        prop_assert!(other.decapsulate(&ciphertext) != shared);
        let mut mauled = *ciphertext.as_bytes();
        mauled[at.index(mauled.len())] ^= 1_u8 << bit;
        prop_assert!(key.decapsulate(&Ciphertext::from_bytes(&mauled)) != shared);
        let again = DecapsulationKey::from_seed(key.expose_seed());
        prop_assert!(again.encapsulation_key() == key.encapsulation_key());
    }

    // Tests [kem-modulus-check].
    #[test]
    fn a_key_is_taken_when_each_coefficient_is_below_the_modulus(seed: u64, at in 0_usize..768, value in 3_300_u16..3_360) {
        let key = DecapsulationKey::generate(&mut rng(seed)).unwrap();
        let mut bytes = *key.encapsulation_key().as_bytes();
        // Two coefficients of twelve bits in three bytes, little-endian.
        let three = at / 2 * 3;
        let [low, high] = [(value & 0xff) as u8, (value >> 8) as u8];
        if at % 2 == 0 {
            bytes[three] = low;
            bytes[three + 1] = bytes[three + 1] & 0xf0 | high;
        } else {
            bytes[three + 1] = bytes[three + 1] & 0x0f | low << 4;
            bytes[three + 2] = low >> 4 | high << 4;
        }
        prop_assert_eq!(EncapsulationKey::parse(&bytes).is_ok(), value < 3329);
    }

    #[test]
    fn parts_of_a_hash_do_not_run_into_each_other(parts in prop::collection::vec(any::<Vec<u8>>(), 1..4), cut: prop::sample::Index, key: [u8; 32]) {
        let whole: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let joined = parts.concat();
        let (left, right) = joined.split_at(cut.index(joined.len() + 1));
        let two = [left, right];
        let same = whole == two;
        prop_assert_eq!(sha256("a", &whole) == sha256("a", &two), same);
        prop_assert_eq!(hmac_sha256(&key, "a", &whole) == hmac_sha256(&key, "a", &two), same);
    }

    // Tests [labels-separate].
    #[test]
    fn derivations_under_two_labels_have_nothing_in_common(key: [u8; 32], context: Vec<u8>, labels in prop::sample::subsequence(label::ALL, 2)) {
        let (a, b) = (labels[0], labels[1]);
        let parts: &[&[u8]] = &[&context];
        prop_assert!(derivation::mac(&key, a, parts) != derivation::mac(&key, b, parts));
        let [one, two]: [[u8; 32]; 2] = derivation::expand(&key, a, parts);
        prop_assert!(one == derivation::derive(&key, a, parts) && one != two);
        prop_assert!(!derivation::expand::<2>(&key, b, parts).contains(&one));
    }

    #[test]
    fn a_root_step_depends_on_everything_that_goes_in(
        root: [u8; 32], agreed: [u8; 32], epoch: u32, mix: Option<([u8; 32], [u8; 32])>, field in 0..4, bit in 0..8
    ) {
        let step = |root: &[u8; 32], agreed: &[u8; 32], epoch, mix: Option<&([u8; 32], [u8; 32])>| {
            root::step(root, agreed, epoch, mix.map(|(shared, transcript)| (shared, transcript)))
        };
        let made = step(&root, &agreed, epoch, mix.as_ref());
        let (mut root, mut agreed, mut epoch, mut mix) = (root, agreed, epoch, mix);
        match (field, &mut mix) {
            (0, _) => root[0] ^= 1_u8 << bit,
            (1, _) => agreed[31] ^= 1_u8 << bit,
            (2, Some((shared, _))) => shared[7] ^= 1_u8 << bit,
            (3, Some((_, transcript))) => transcript[7] ^= 1_u8 << bit,
            _ => epoch ^= 1_u32 << bit,
        }
        let other = step(&root, &agreed, epoch, mix.as_ref());
        prop_assert!(made.root != other.root && made.chain != other.chain && made.next_header != other.next_header);
        let keys = [made.root, made.chain, made.next_header];
        prop_assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    }

    #[test]
    fn a_header_opens_under_its_key_beside_its_body_and_unaltered(
        header in header(), key: [u8; 32], tag: [u8; 16], at: prop::sample::Index, bit in 0..8
    ) {
        let sealed = header.seal(&key, &tag).unwrap();
        prop_assert_eq!(Header::open(&key, &sealed, &tag), Some(header));
        let mut altered = sealed;
        altered[at.index(sealed.len())] ^= 1_u8 << bit;
        prop_assert_eq!(Header::open(&key, &altered, &tag), None);
        let mut other = key;
        other[at.index(32)] ^= 1_u8 << bit;
        prop_assert_eq!(Header::open(&other, &sealed, &tag), None);
        let mut beside = tag;
        beside[at.index(12)] ^= 1_u8 << bit;
        prop_assert_eq!(Header::open(&key, &sealed, &beside), None);
    }
}
