//! A point of low order in each place where a peer can put an X25519 key, everything else about it genuine: T02.
//!
//! Where the agreement would be zeros, the attacker knows its result and computes all that follows from it. So these
//! are whole forgeries, and the point is all that is wrong with them.

use chopmark_core::{
    codec::{DecodeError, Writer},
    dh::{self, SecretKey},
    handshake::{InitBlock, RespondError},
    hash,
    hazmat::{
        chain::Chain,
        derivation,
        envelope::{Keys, Text},
        handshake::{self, PublicPrekey, Responder},
        header::Header,
        primitives, root,
    },
    identity::{DeviceKeys, ManifestError, Purpose, RootKeys, Seed, SignedManifest},
    label,
    prekey::{BundleError, SIGNED_PREKEY_VALIDITY, VerifiedBundle},
    secret::{Key, Secret},
    session::{Acknowledged, Session},
    signature::{SigningKey, root::RootSigningKey},
};
use chopmark_testkit::party::{DEVICE, NOW, Party};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([2; 32])
}

/// The points of low order and all their other names: 0, 1, the two of order 8, p - 1, then p and p + 1, and each with
/// the high bit.
fn points() -> Vec<[u8; 32]> {
    let hex = |text: &str| {
        let digit = |i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
        core::array::from_fn(digit)
    };
    let mut points: Vec<[u8; 32]> = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .into_iter()
    .map(hex)
    .collect();
    for at in 0..points.len() {
        let mut high = points[at];
        high[31] |= 0x80;
        points.push(high);
    }
    points
}

/// An honest point to compare with: what is refused below is taken with it.
fn honest() -> [u8; 32] {
    *SecretKey::from_secret(Secret::new([9; 32])).public().as_bytes()
}

// Tests [x25519-inputs-refused].
#[test]
fn t02_a_low_order_point_as_a_device_key_is_in_no_manifest() {
    let seed = Seed::generate(&mut rng()).unwrap();
    let root = RootKeys::from_seed(&seed);
    let next = RootKeys::from_seed(&seed.next()).public().commitment();
    let entry = DeviceKeys::generate(&mut rng()).unwrap().entry(DEVICE);
    let manifest = SignedManifest::create(&root, next, vec![entry]).unwrap();
    let ed25519 = SigningKey::from_secret(&seed.derive(Purpose::RootEd25519));
    let ml_dsa = RootSigningKey::from_secret(seed.derive(Purpose::RootMlDsa));
    let verdict = |point: &[u8; 32]| {
        let manifest = manifest.as_bytes();
        let mut signed = manifest[..manifest.len() - 64 - 3309].to_vec();
        let key = signed.len() - 1252 + 36;
        signed[key..key + 32].copy_from_slice(point);
        let signatures = (
            ed25519.sign(label::MANIFEST, &[&signed]),
            ml_dsa.sign(label::MANIFEST, &[&signed]).unwrap(),
        );
        SignedManifest::verify(
            &[&signed, &signatures.0.as_bytes()[..], signatures.1.as_bytes()].concat(),
        )
    };
    assert!(verdict(&honest()).is_ok());
    for point in points() {
        assert_eq!(verdict(&point), Err(ManifestError::Malformed(DecodeError::InvalidKey)));
    }
}

/// A prekey of `kind` with this X25519 half and a genuine signature of the party's device.
fn prekey(of: &Party, kind: u8, point: &[u8; 32]) -> Vec<u8> {
    let (id, kem) = (1_u32, of.signed.kem().encapsulation_key().as_bytes());
    let expiry = NOW.saturating_add(SIGNED_PREKEY_VALIDITY).0;
    let mut covered = Writer::new();
    covered.u8(1).bytes(of.account.as_bytes()).u32(DEVICE.0).u8(kind).u32(id);
    let mut published = Writer::new();
    published.u32(id);
    covered.u64(if kind == 1 { expiry } else { 0 });
    if kind == 1 {
        published.u64(expiry);
    }
    covered.bytes(point).bytes(kem);
    let signature = of.keys.signing().sign(label::PREKEY, &[&covered.finish()]);
    published.bytes(point).bytes(kem).bytes(signature.as_bytes());
    published.finish()
}

// Tests [x25519-inputs-refused], [bundle-is-verified-whole].
#[test]
fn t02_a_low_order_point_as_a_signed_prekey_is_in_no_bundle() {
    let peer = Party::new(&mut rng());
    let verdict = |point: &[u8; 32]| {
        let prekey = prekey(&peer, 1, point);
        let part = &peer.signed_part[..peer.signed_part.len() - prekey.len()];
        VerifiedBundle::verify(&[part, &prekey].concat(), None, &peer.account, NOW)
    };
    assert!(verdict(&honest()).is_ok());
    for point in points() {
        assert_eq!(verdict(&point), Err(BundleError::Malformed(DecodeError::InvalidKey)));
    }
}

// Tests [x25519-inputs-refused], [bundle-is-verified-whole].
#[test]
fn t02_a_low_order_point_as_a_one_time_prekey_is_in_no_bundle() {
    let peer = Party::new(&mut rng());
    let verdict = |point: &[u8; 32]| {
        let prekey = prekey(&peer, 2, point);
        VerifiedBundle::verify(&peer.signed_part, Some(&prekey), &peer.account, NOW)
    };
    assert!(verdict(&honest()).is_ok());
    for point in points() {
        assert_eq!(verdict(&point), Err(BundleError::Malformed(DecodeError::InvalidKey)));
    }
}

/// Which key of a first message is replaced by the point.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Ephemeral,
    Identity,
    Ratchet,
}

/// A first message to `peer` made by hand, with the point in one slot. What an agreement with the point would yield is
/// taken to be zeros, as it is for a point of low order.
fn first_message(peer: &Party, slot: Slot, point: &[u8; 32], known: Option<&SecretKey>) -> Vec<u8> {
    let mut rng = rng();
    let fresh = |byte| SecretKey::from_secret(Secret::new([byte; 32]));
    let agree = |ours: &SecretKey, theirs: &dh::PublicKey, at: Slot| match (slot == at, known) {
        (true, None) => Key::new([0; 32]),
        (true, Some(known)) => known.diffie_hellman(theirs).unwrap(),
        (false, _) => ours.diffie_hellman(theirs).unwrap(),
    };
    let public = |ours: &SecretKey, at: Slot| match slot == at {
        true => *point,
        false => *ours.public().as_bytes(),
    };
    let (ephemeral, identity, ratchet) = (fresh(11), fresh(12), fresh(13));
    let entry = peer.keys.entry(DEVICE);
    let prekey = PublicPrekey {
        id: peer.signed.id(),
        dh: peer.signed.dh().public(),
        kem: peer.signed.kem().encapsulation_key(),
    };
    let to = Responder { account: peer.account, entry: &entry, signed: prekey, one_time: None };

    // The init block up to the identity box, SPEC §4.1.
    let (first, first_shared) = prekey.kem.encapsulate(&mut rng).unwrap();
    let (second, second_shared) = entry.kem().encapsulate(&mut rng).unwrap();
    let mut block = Writer::new();
    block.u32(prekey.id.0).flag(false).u32(0);
    let unboxed = block.finish();
    let block = |key: &[u8; 32], boxed: &[u8]| -> [u8; InitBlock::LENGTH] {
        [&unboxed, &key[..], first.as_bytes(), second.as_bytes(), boxed]
            .concat()
            .try_into()
            .unwrap()
    };
    // The offer with the honest key is asked of the core and the one with the point computed here, as no key of the
    // core can hold it.
    let offer = |key: &[u8; 32]| {
        hash::sha256(
            label::HANDSHAKE_OFFER,
            &[
                &[1],
                peer.account.as_bytes(),
                &DEVICE.0.to_be_bytes(),
                &entry.hash(),
                &prekey.id.0.to_be_bytes(),
                prekey.dh.as_bytes(),
                prekey.kem.as_bytes(),
                &[],
                &[],
                &[],
                key,
                first.as_bytes(),
                second.as_bytes(),
            ],
        )
    };
    let honest_block = block(ephemeral.public().as_bytes(), &[0; 116]);
    assert_eq!(handshake::offer(&to, &honest_block), Ok(offer(ephemeral.public().as_bytes())));
    let key = public(&ephemeral, Slot::Ephemeral);
    let offer = offer(&key);

    // SPEC §4.2.
    let early = [
        *agree(&ephemeral, entry.dh(), Slot::Ephemeral).expose(),
        *agree(&ephemeral, prekey.dh, Slot::Ephemeral).expose(),
        *first_shared.expose(),
        *second_shared.expose(),
    ];
    let chaining = handshake::chaining_key(&offer, &early);
    let mut claimed = Writer::new();
    claimed.bytes(&[7; 32]).u32(1).bytes(&[8; 32]).bytes(&public(&identity, Slot::Identity));
    let mut boxed = claimed.finish();
    let box_key = derivation::derive(&chaining, label::HANDSHAKE_BOX, &[]);
    let tag = primitives::chacha20_poly1305_seal(&box_key, &[0; 12], &offer, &mut boxed).unwrap();
    boxed.extend_from_slice(&tag);
    let transcript = hash::sha256(label::HANDSHAKE_TRANSCRIPT, &[&offer, &boxed]);
    let agreed = agree(&identity, prekey.dh, Slot::Identity);
    let extracted = derivation::extract(&chaining, &[agreed.expose()]);
    let [root_key, header_key, _, session] =
        derivation::expand::<4>(&extracted, label::HANDSHAKE_ROOT, &[&transcript]);
    let block = block(&key, &boxed);

    // The first step and the first message, SPEC §5.4 and §5.5.
    let agreed = agree(&ratchet, prekey.dh, Slot::Ratchet);
    let step = root::step(&root_key, agreed.expose(), 0, None);
    let leaf = Chain::new(&step.chain).take(0).unwrap();
    let keys = Keys { session: &session, init: Some(&block), header: &header_key, leaf: &leaf };
    let ratchet_key = public(&ratchet, Slot::Ratchet);
    let header = Header { ratchet_key, n: 0, pn: 0, epoch: 0, nonce: [5; 12] };
    let acknowledged = Acknowledged { chain: 0, count: 0 };
    let text = Text { acknowledged, content: b"forged".to_vec(), object: None };
    let length = 4096 - 1 - InitBlock::LENGTH - 72 - 16;
    keys.seal(&header, &text.encode(length).unwrap().0).unwrap()
}

fn refused(slot: Slot, error: RespondError) {
    let peer = Party::new(&mut rng());
    let respond = |message: &[u8]| {
        Session::respond(&peer.own(), &peer.signed, None, message, NOW).map(|opened| {
            assert_eq!(&opened.message.content[..], b"forged");
        })
    };
    // By hand, but with keys that are good, it is a message like any other.
    let known = SecretKey::from_secret(Secret::new([9; 32]));
    assert_eq!(respond(&first_message(&peer, slot, &honest(), Some(&known))), Ok(()));
    for point in points() {
        assert_eq!(respond(&first_message(&peer, slot, &point, None)), Err(error), "{point:?}");
    }
}

// Tests [x25519-inputs-refused], [init-block-decodes].
#[test]
fn t02_a_low_order_point_as_ephemeral_key_begins_no_session() {
    refused(Slot::Ephemeral, RespondError::NoInitBlock);
}

// Tests [x25519-inputs-refused].
#[test]
fn t02_a_low_order_point_as_identity_of_an_initiator_begins_no_session() {
    refused(Slot::Identity, RespondError::PeerMisbehaved);
}

// Tests [x25519-inputs-refused].
#[test]
fn t02_a_low_order_point_as_ratchet_key_begins_no_session() {
    refused(Slot::Ratchet, RespondError::NonContributory);
}
