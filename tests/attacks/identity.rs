//! Attacks on keys, signatures, manifests and bundles: everything that is believed before a session exists.

use core::convert::Infallible;

use chopmark_core::{
    codec::{DecodeError, Writer},
    dh,
    identity::{
        AccountId, DeviceId, DeviceKeys, ManifestError, Purpose, RootKeys, SafetyNumber, Seed,
        SignedManifest, Stamp,
    },
    label,
    link::{LinkSecret, Published},
    prekey::{
        BundleError, OneTimePrekeySecret, PrekeyId, SignedPart, SignedPrekey, SignedPrekeySecret,
        VerifiedBundle,
    },
    secret::Secret,
    signature::{SigningKey, VerifyingKey, root::RootSigningKey},
    time::Timestamp,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::{TryCryptoRng, TryRng};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DEVICE: DeviceId = DeviceId(1);
/// Where the X25519 key stands in a published signed prekey, and where the ML-KEM key begins (SPEC §3.1).
const PREKEY_DH: usize = 12;
const PREKEY_KEM: usize = 44;

/// An account with everything that it publishes.
struct Person {
    seed: Seed,
    keys: DeviceKeys,
    manifest: SignedManifest,
    part: SignedPart,
    one_time: Vec<u8>,
}

impl Person {
    fn number(number: u8) -> Self {
        let mut rng = ChaCha20Rng::from_seed([number; 32]);
        let seed = Seed::generate(&mut rng).unwrap();
        let keys = DeviceKeys::generate(&mut rng).unwrap();
        let root = RootKeys::from_seed(&seed);
        let next = RootKeys::from_seed(&seed.next()).public().commitment();
        let manifest = SignedManifest::create(&root, next, vec![keys.entry(DEVICE)]).unwrap();
        let stamp = Stamp::create(keys.signing(), DEVICE, &manifest, NOW).unwrap();
        let prekey = SignedPrekeySecret::generate(PrekeyId(1), NOW, &mut rng).unwrap();
        let prekey = prekey.publish(manifest.account(), DEVICE, &keys);
        let one_time = OneTimePrekeySecret::generate(PrekeyId(1), &mut rng).unwrap();
        let one_time = one_time.publish(manifest.account(), DEVICE, &keys).to_bytes();
        let part = SignedPart { manifest: manifest.clone(), stamp, prekey };
        Self { seed, keys, manifest, part, one_time }
    }

    /// The published signed part, with the bytes of the signed prekey replaced.
    fn part_with(&self, prekey: &[u8]) -> Vec<u8> {
        let mut part = self.part.to_bytes().unwrap();
        part.truncate(part.len() - SignedPrekey::LENGTH);
        part.extend_from_slice(prekey);
        part
    }

    /// The verdict of someone who has this account's link.
    fn verdict(&self, part: &[u8], one_time: Option<&[u8]>) -> Result<VerifiedBundle, BundleError> {
        VerifiedBundle::verify(part, one_time, self.manifest.account(), NOW)
    }

    /// A published signed prekey of these key bytes with a genuine signature of the device: what an account that means
    /// harm would publish.
    fn prekey_of(&self, dh: &[u8], kem: &[u8], kind: u8) -> Vec<u8> {
        let mut signed = Writer::new();
        let expiry = NOW.saturating_add(chopmark_core::prekey::SIGNED_PREKEY_VALIDITY);
        signed.u8(1).bytes(self.manifest.account().as_bytes()).u32(DEVICE.0).u8(kind);
        signed.u32(7).u64(expiry.0).bytes(dh).bytes(kem);
        let signature = self.keys.signing().sign(label::PREKEY, &[&signed.finish()]);
        let mut prekey = Writer::new();
        prekey.u32(7).u64(expiry.0).bytes(dh).bytes(kem).bytes(signature.as_bytes());
        prekey.finish()
    }
}

/// The points of low order, and every other name that X25519 implementations take for them.
pub(super) fn doubtful_points() -> Vec<[u8; 32]> {
    let hex = |text: &str| {
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        bytes
    };
    let canonical = [
        // 0, 1, the two of order 8, p - 1, p, p + 1.
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let mut points: Vec<_> = canonical.into_iter().map(hex).collect();
    let high_bit = points.clone().into_iter().map(|mut point| {
        point[31] |= 0x80;
        point
    });
    points.extend(high_bit);
    points
}

// Tests [x25519-inputs-refused].
// Seen to fail with the low-order table of `dh` emptied, and with its check of canonical form removed.
#[test]
fn t01_a_low_order_point_is_refused_wherever_a_peer_publishes_one() {
    let mallory = Person::number(1);
    let kem = mallory.part.prekey.kem();
    let good = mallory.prekey_of(mallory.part.prekey.dh().as_bytes(), kem.as_bytes(), 1);
    assert!(mallory.verdict(&mallory.part_with(&good), None).is_ok());
    for point in doubtful_points() {
        assert_eq!(dh::PublicKey::parse(&point), Err(DecodeError::InvalidKey));

        let prekey = mallory.prekey_of(&point, kem.as_bytes(), 1);
        assert_eq!(
            mallory.verdict(&mallory.part_with(&prekey), None),
            Err(BundleError::Malformed(DecodeError::InvalidKey))
        );

        let mut one_time = mallory.one_time.clone();
        one_time[4..36].copy_from_slice(&point);
        assert_eq!(
            mallory.verdict(&mallory.part.to_bytes().unwrap(), Some(&one_time)),
            Err(BundleError::Malformed(DecodeError::InvalidKey))
        );

        // In a device entry, with both root signatures genuine.
        let manifest = mallory.manifest.as_bytes();
        let mut signed = manifest[..manifest.len() - 64 - 3309].to_vec();
        let entry = signed.len() - 1252;
        signed[entry + 36..entry + 68].copy_from_slice(&point);
        let ed25519 = SigningKey::from_secret(&mallory.seed.derive(Purpose::RootEd25519));
        let ml_dsa = RootSigningKey::from_secret(mallory.seed.derive(Purpose::RootMlDsa));
        let signatures = (
            ed25519.sign(label::MANIFEST, &[&signed]),
            ml_dsa.sign(label::MANIFEST, &[&signed]).unwrap(),
        );
        signed.extend_from_slice(signatures.0.as_bytes());
        signed.extend_from_slice(signatures.1.as_bytes());
        assert_eq!(
            SignedManifest::verify(&signed),
            Err(ManifestError::Malformed(DecodeError::InvalidKey))
        );
    }
}

// Tests [ed25519-strict].
// Seen to fail with the small-order check of `VerifyingKey::parse` removed.
#[test]
fn t03_a_signature_of_a_small_order_key_or_with_a_large_scalar_is_refused() {
    // The identity as key: with R the identity and S zero it "signs" everything where verification is lax.
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(VerifyingKey::parse(&identity).map(drop), Err(DecodeError::InvalidKey));

    let key = SigningKey::from_secret(&Secret::new([3; 32]));
    let signature = key.sign(label::STAMP, &[b"message"]);
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleated = *signature.as_bytes();
    let mut carry = 0_u16;
    for (byte, order) in malleated[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + order + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    let verify = |bytes: [u8; 64]| {
        let signature = chopmark_core::signature::Signature::from_bytes(bytes);
        key.verifying_key().verify(label::STAMP, &[b"message"], &signature).is_ok()
    };
    assert!(verify(*signature.as_bytes()));
    assert!(!verify(malleated));
    let mut small_r = *signature.as_bytes();
    small_r[..32].copy_from_slice(&identity);
    assert!(!verify(small_r));
}

// Tests [safety-number-is-symmetric].
// Seen to fail with one of the two accounts left out of the number.
#[test]
fn t16_a_relay_in_the_middle_cannot_show_both_sides_one_number() {
    let [alice, bob, mallory] = [1, 2, 3].map(|n| *Person::number(n).manifest.account());
    let honest = SafetyNumber::of(&alice, &bob);
    assert_eq!(honest, SafetyNumber::of(&bob, &alice));
    // Alice speaks to Mallory in the belief that it is Bob, and Bob to Mallory as if to Alice.
    let (at_alice, at_bob) = (SafetyNumber::of(&alice, &mallory), SafetyNumber::of(&mallory, &bob));
    assert_ne!(at_alice.digits(), at_bob.digits());
    assert!(!at_alice.matches_qr(&at_bob.qr_bytes()));
    assert_ne!(at_alice.digits(), honest.digits());
    assert!(!at_bob.matches_qr(&at_alice.qr_bytes()));
    // Nor can the relay show both a number of its own making: each half is of one account, whoever asks.
    let halves = |number: &SafetyNumber| {
        let bytes = number.qr_bytes();
        [bytes[1..33].to_vec(), bytes[33..].to_vec()]
    };
    let of_alice: Vec<_> =
        halves(&honest).into_iter().filter(|half| halves(&at_alice).contains(half)).collect();
    assert_eq!(of_alice.len(), 1);
    assert!(!halves(&at_bob).contains(&of_alice[0]));
}

// Tests [safety-number-is-symmetric], [manifest-of-the-account], [bundle-is-verified-whole].
#[test]
fn t16_no_device_and_no_role_passes_for_an_account() {
    let (alice, bob) = (Person::number(1), Person::number(2));
    let [of_alice, of_bob] = [&alice, &bob].map(|person| *person.manifest.account());
    // Roles: neither side is the first, and no code says who shows it. A code of another kind or with its halves changed
    // about is no code.
    let number = SafetyNumber::of(&of_alice, &of_bob);
    let qr = number.qr_bytes();
    assert_eq!(qr, SafetyNumber::of(&of_bob, &of_alice).qr_bytes());
    let turned = [&qr[..1], &qr[33..], &qr[1..33]].concat();
    assert!(!number.matches_qr(&turned));
    for version in (0..=255).filter(|version| *version != 1) {
        assert!(!number.matches_qr(&[&[version], &qr[1..]].concat()));
    }
    assert!(!number.matches_qr(&[&qr[..], &[0]].concat()) && !number.matches_qr(&qr[..64]));
    assert!(!number.matches_qr(of_bob.as_bytes()));
    // One account beside itself is not two, and no number of anyone with somebody else.
    assert_ne!(SafetyNumber::of(&of_alice, &of_alice), number);

    // A device has a number and keys in the manifest and no name of its own: the same number, and even the very keys of
    // somebody else's device, in an account of Mallory's are Mallory's.
    let seed = Seed::generate(&mut ChaCha20Rng::from_seed([66; 32])).unwrap();
    let (root, next) = (RootKeys::from_seed(&seed), RootKeys::from_seed(&seed.next()));
    let borrowed = bob.keys.entry(DEVICE);
    let next = next.public().commitment();
    let manifest = SignedManifest::create(&root, next, vec![borrowed]).unwrap();
    let mallory = *manifest.account();
    assert!(
        mallory != of_bob && !number.matches_qr(&SafetyNumber::of(&of_alice, &mallory).qr_bytes())
    );
    assert_eq!(
        SignedManifest::verify_for(manifest.as_bytes(), &of_bob),
        Err(ManifestError::OtherAccount)
    );
    // What follows from an account's id is the id of no other: keys taken as an id give another number.
    for key in [bob.keys.entry(DEVICE).hash(), *root.public().commitment().as_bytes()] {
        let confused = AccountId::from_bytes(key);
        assert_ne!(SafetyNumber::of(&of_alice, &confused).digits(), number.digits());
    }
    // A relay in the middle hands out a bundle of its own: it is not of the account that the link names.
    let eve = Person::number(3);
    let part = eve.part.to_bytes().unwrap();
    assert_eq!(
        bob.verdict(&part, Some(&eve.one_time)),
        Err(BundleError::Manifest(ManifestError::OtherAccount))
    );
}

// Tests [prekey-signature-covers] [bundle-is-verified-whole].
// Seen to fail with the verification of prekeys removed from `VerifiedBundle::verify`.
#[test]
fn t18_a_prekey_of_another_identity_or_with_a_wrong_signature_is_refused() {
    let (bob, eve) = (Person::number(1), Person::number(2));
    assert!(bob.verdict(&bob.part.to_bytes().unwrap(), Some(&bob.one_time)).is_ok());

    let of_eve = eve.part.prekey.to_bytes();
    assert_eq!(bob.verdict(&bob.part_with(&of_eve), None), Err(BundleError::ForgedPrekey));
    let part = bob.part.to_bytes().unwrap();
    assert_eq!(bob.verdict(&part, Some(&eve.one_time)), Err(BundleError::ForgedPrekey));

    let mut wrong = bob.part.prekey.to_bytes();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    assert_eq!(bob.verdict(&bob.part_with(&wrong), None), Err(BundleError::ForgedPrekey));

    // Eve's bundle, whole and genuine, in place of Bob's.
    assert_eq!(
        bob.verdict(&eve.part.to_bytes().unwrap(), Some(&eve.one_time)),
        Err(BundleError::Manifest(ManifestError::OtherAccount))
    );

    // A one-time prekey signed by the right device, presented as the signed prekey that lasts.
    let (dh, kem) = (bob.part.prekey.dh(), bob.part.prekey.kem());
    let other_kind = bob.prekey_of(dh.as_bytes(), kem.as_bytes(), 2);
    assert_eq!(bob.verdict(&bob.part_with(&other_kind), None), Err(BundleError::ForgedPrekey));
}

// Tests [prekey-signature-covers] [bundle-is-verified-whole] [kem-modulus-check].
// Seen to fail with the ML-KEM key left out of what a prekey's signature covers.
#[test]
fn t18_the_post_quantum_half_is_neither_swapped_nor_stripped() {
    let (bob, eve) = (Person::number(1), Person::number(2));
    let genuine = bob.part.prekey.to_bytes();

    let mut swapped = genuine.clone();
    let kem_end = PREKEY_KEM + 1184;
    swapped[PREKEY_KEM..kem_end].copy_from_slice(eve.part.prekey.kem().as_bytes());
    assert_eq!(bob.verdict(&bob.part_with(&swapped), None), Err(BundleError::ForgedPrekey));

    let mut other_half = genuine.clone();
    other_half[PREKEY_DH..PREKEY_KEM].copy_from_slice(eve.part.prekey.dh().as_bytes());
    assert_eq!(bob.verdict(&bob.part_with(&other_half), None), Err(BundleError::ForgedPrekey));

    let stripped = [&genuine[..PREKEY_KEM], &genuine[kem_end..]].concat();
    assert!(matches!(
        bob.verdict(&bob.part_with(&stripped), None),
        Err(BundleError::Malformed(DecodeError::Truncated))
    ));

    // The same for one-time prekeys: id 4, X25519 32, ML-KEM 1184, signature 64.
    let part = bob.part.to_bytes().unwrap();
    for (from, to) in [(0, 4), (4, 36), (36, 36 + 1184)] {
        let mut changed = bob.one_time.clone();
        match from {
            0 => changed[3] ^= 1,
            _ => changed[from..to].copy_from_slice(&eve.one_time[from..to]),
        }
        assert_eq!(bob.verdict(&part, Some(&changed)), Err(BundleError::ForgedPrekey), "{from}");
    }
    let stripped = [&bob.one_time[..36], &bob.one_time[36 + 1184..]].concat();
    assert!(matches!(
        bob.verdict(&part, Some(&stripped)),
        Err(BundleError::Malformed(DecodeError::Truncated))
    ));
    let mut zeroed = bob.one_time.clone();
    zeroed[36..36 + 1184].fill(0);
    assert_eq!(bob.verdict(&part, Some(&zeroed)), Err(BundleError::ForgedPrekey));

    // Zeros are a valid ML-KEM encoding, and still not the key that was signed.
    let mut zeroed = genuine.clone();
    zeroed[PREKEY_KEM..kem_end].fill(0);
    assert_eq!(bob.verdict(&bob.part_with(&zeroed), None), Err(BundleError::ForgedPrekey));
    let mut above_modulus = genuine;
    above_modulus[PREKEY_KEM..kem_end].fill(0xff);
    assert_eq!(
        bob.verdict(&bob.part_with(&above_modulus), None),
        Err(BundleError::Malformed(DecodeError::InvalidKey))
    );
}

// Tests [signed-bytes-as-received] [one-encoding] [no-trailing-bytes].
// Seen to fail with `Reader::finish` answering Ok always, and with the signature of a stamp ignored.
#[test]
fn t32_a_signed_object_has_one_encoding_and_no_room_for_more() {
    let bob = Person::number(1);
    let part = bob.part.to_bytes().unwrap();
    let verified = bob.verdict(&part, Some(&bob.one_time)).unwrap();

    // What was read encodes to the very bytes that were received.
    assert_eq!(verified.manifest().as_bytes(), bob.manifest.as_bytes());
    assert_eq!(verified.signed_prekey().to_bytes(), bob.part.prekey.to_bytes());
    assert_eq!(verified.one_time_prekey().unwrap().to_bytes(), bob.one_time);

    // Nothing can be added at the end or in the middle, nothing taken away, no byte changed.
    for extra in [&[0][..], &[0x78, 0x01], &[0; 32]] {
        assert!(bob.verdict(&[&part, extra].concat(), None).is_err());
        assert!(bob.verdict(&part, Some(&[&bob.one_time, extra].concat())).is_err());
        for place in [1, 5, 8, 2000, part.len() - SignedPrekey::LENGTH] {
            let longer = [&part[..place], extra, &part[place..]].concat();
            assert!(bob.verdict(&longer, None).is_err(), "{place}");
        }
    }
    for length in (0..part.len()).step_by(41) {
        assert!(bob.verdict(&part[..length], None).is_err(), "{length}");
    }
    for position in (0..part.len()).step_by(23) {
        let mut changed = part.clone();
        changed[position] ^= 0x40;
        assert!(bob.verdict(&changed, None).is_err(), "{position}");
    }
}

/// A source of randomness that fails: with an error, or silently with zeros.
struct Broken;

impl TryRng for Broken {
    type Error = core::fmt::Error;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Err(core::fmt::Error)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Err(core::fmt::Error)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(1);
        Err(core::fmt::Error)
    }
}

impl TryCryptoRng for Broken {}

struct Zeros;

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
// Seen to fail with the result of the source ignored, and with the check for zeros removed.
#[test]
fn t27_a_broken_source_of_randomness_makes_nothing() {
    fn makes_nothing(rng: &mut impl TryCryptoRng, bob: &Person) {
        assert!(Seed::generate(rng).is_err());
        assert!(DeviceKeys::generate(rng).is_err());
        assert!(SignedPrekeySecret::generate(PrekeyId(1), NOW, rng).is_err());
        assert!(OneTimePrekeySecret::generate(PrekeyId(1), rng).is_err());
        assert!(bob.part.prekey.kem().encapsulate(rng).is_err());
        let link = LinkSecret::from_bytes(&[1; 16]);
        assert!(link.bundle_key().seal_published(Published::SignedPart, b"", rng).is_err());
        assert!(LinkSecret::generate(rng).is_err());
    }
    let bob = Person::number(1);
    makes_nothing(&mut Broken, &bob);
    makes_nothing(&mut Zeros, &bob);
}
