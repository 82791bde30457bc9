//! The handshake: init blocks, the key schedule, and what a responder refuses. SPEC §4.

use chopmark_core::{
    dh::SecretKey,
    handshake::{InitBlock, InitiateError, RespondError},
    hash,
    hazmat::handshake::{self, Keys},
    kem::Ciphertext,
    label,
    secret::Secret,
};

use super::{
    Outcome, Outputs, Vector, altered,
    device::{
        Device, Prekeys, device_secrets, encoded, one_time_secret, signed_secret, with_device,
    },
    drawn,
    draws::Draws,
};

/// Where the parts of an init block begin.
const FLAG: usize = 4;
const ONE_TIME_ID: usize = 5;
const EK: usize = 9;
const CT1: usize = 41;
const CT2: usize = 1129;
const BOX: usize = 2217;

const EXPIRY: u64 = 1_802_592_000_000;

/// A handshake of A with B: with a one-time prekey or without.
fn initiation(case: Vector, one_time: bool) -> Vector {
    let case = with_device(case.with("operation", "initiate"), "A", 3);
    let case = with_device(case, "B", 0x0102_0304);
    let case = case.with_bytes("SPKb secrets", &signed_secret("B", 7, EXPIRY));
    let case =
        if one_time { case.with_bytes("OPKb secrets", &one_time_secret("B", 9)) } else { case };
    let name = case.name.clone();
    case.with_bytes("EK private key", &drawn::<32>(&format!("{name}: EK")))
        .with_bytes("m of ct1", &drawn::<32>(&format!("{name}: m1")))
        .with_bytes("m of ct2", &drawn::<32>(&format!("{name}: m2")))
}

pub(super) fn cases() -> Vec<Vector> {
    let new = |name: &str, comment: &str| Vector::new(name, comment, "ok");
    let with =
        initiation(new("initiate-with-one-time", "A begins; B has a one-time prekey."), true);
    let without = initiation(new("initiate-without", "A begins; B has none left."), false);
    let again = initiation(new("initiate-again", "The same prekeys, drawn anew."), true);
    let blocks = [block(&with), block(&without)];
    let mut cases = vec![with, without, again];

    let respond = |name: &str, comment: &str, expect: &str, one_time: bool, block: &[u8]| {
        let case = Vector::new(name, comment, expect).with("operation", "respond");
        let case = with_device(case, "B", 0x0102_0304);
        let case = case.with_bytes("SPKb secrets", &signed_secret("B", 7, EXPIRY));
        let case =
            if one_time { case.with_bytes("OPKb secrets", &one_time_secret("B", 9)) } else { case };
        case.with_bytes("init block", block)
    };
    cases.extend([
        respond("respond-with-one-time", "B answers.", "ok", true, &blocks[0]),
        respond("respond-without", "B answers without a one-time prekey.", "ok", false, &blocks[1]),
    ]);
    let [with, without] = &blocks;
    for (name, comment, at) in [
        ("ek", "EK differs, and is a key.", EK),
        ("ct1-first", "The first bit of ct1.", CT1),
        ("ct1-last", "The last byte of ct1.", CT2 - 1),
        ("ct2-first", "The first bit of ct2.", CT2),
        ("ct2-last", "The last byte of ct2.", BOX - 1),
        ("box-account", "The account id in the box.", BOX),
        ("box-device", "The device id in the box.", BOX + 35),
        ("box-entry", "The hash of the entry in the box.", BOX + 36),
        ("box-key", "The X25519 key in the box.", BOX + 68),
        ("box-tag", "The tag of the box.", BOX + 115),
    ] {
        let name = format!("respond-{name}-altered");
        cases.push(respond(&name, comment, "forged", true, &altered(with, at)));
    }
    let put = |block: &[u8], at: usize, bytes: &[u8]| {
        let mut changed = block.to_vec();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let stripped = put(with, FLAG, &[0; 5]);
    let added = put(without, FLAG, &[1, 0, 0, 0, 9]);
    let (malformed, other) = ("malformed", "wrong prekey");
    let high_bit = put(with, EK + 31, &[with[EK + 31] | 0x80]);
    cases.extend([
        respond(
            "respond-one-time-stripped",
            "The one-time prekey is denied.",
            "forged",
            false,
            &stripped,
        ),
        respond("respond-one-time-added", "A one-time prekey is claimed.", "forged", true, &added),
        respond(
            "respond-other-signed-id",
            "Another signed prekey is named.",
            other,
            true,
            &put(with, 3, &[8]),
        ),
        respond(
            "respond-other-one-time-id",
            "Another one-time prekey is named.",
            other,
            true,
            &put(with, ONE_TIME_ID + 3, &[8]),
        ),
        respond(
            "respond-one-time-gone",
            "The one-time prekey was used before.",
            other,
            false,
            with,
        ),
        respond(
            "respond-flag-2",
            "The flag is neither 0 nor 1.",
            malformed,
            true,
            &put(with, FLAG, &[2]),
        ),
        respond(
            "respond-id-beside-flag-0",
            "An id beside flag 0.",
            malformed,
            false,
            &put(with, FLAG, &[0]),
        ),
        respond("respond-ek-zero", "EK is 0.", malformed, true, &put(with, EK, &[0; 32])),
        respond("respond-ek-high-bit", "EK has its high bit set.", malformed, true, &high_bit),
    ]);
    cases.extend(other_responders(with));
    cases
}

/// The right init block at a device for which it was not made.
fn other_responders(block: &[u8]) -> Vec<Vector> {
    let signed = signed_secret("B", 7, EXPIRY);
    let one_time = one_time_secret("B", 9);
    let case = |name: &str, comment: &str, id: u32, signed: &[u8], one_time: &[u8]| {
        let case = Vector::new(format!("respond-{name}"), comment, "forged");
        let case = with_device(case.with("operation", "respond"), "B", id);
        case.with_bytes("SPKb secrets", signed)
            .with_bytes("OPKb secrets", one_time)
            .with_bytes("init block", block)
    };
    let mine = 0x0102_0304;
    vec![
        case("as-other-device", "B's device id is another.", 5, &signed, &one_time),
        case(
            "with-other-signed-prekey",
            "Another key under the signed prekey's id.",
            mine,
            &signed_secret("C", 7, EXPIRY),
            &one_time,
        ),
        case(
            "with-other-one-time-prekey",
            "Another key under the one-time prekey's id.",
            mine,
            &signed,
            &one_time_secret("C", 9),
        ),
        case("other-account", "B's account is another.", mine, &signed, &one_time)
            .replaced("B account id", &drawn::<32>("account C")),
        case("other-device-keys", "B's device keys are others.", mine, &signed, &one_time)
            .replaced("B device secrets", &device_secrets("C")),
    ]
}

/// The init block that an initiation gives.
fn block(initiation: &Vector) -> Vec<u8> {
    begin(initiation).expect("a handshake").0
}

fn begin(vector: &Vector) -> Result<(Vec<u8>, Keys), InitiateError> {
    let (a, b) = (Device::of(vector, "A"), Device::of(vector, "B"));
    let (entry, prekeys) = (b.entry(), Prekeys::of(vector));
    let draws = ["EK private key", "m of ct1", "m of ct2"].map(|key| vector.bytes(key));
    let mut draws = Draws::of(&draws.each_ref().map(Vec::as_slice));
    let begun = handshake::initiate(&a.own(), &b.responder(&entry, &prekeys), &mut draws);
    assert!(draws.is_spent(), "{}: a draw is left", vector.name);
    begun
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    match vector.operation() {
        "initiate" => initiate(vector),
        "respond" => respond(vector),
        other => panic!("{}: operation {other}", vector.name),
    }
}

fn initiate(vector: &Vector) -> Outcome {
    let (block, keys) = begin(vector).map_err(|_| "invalid key")?;
    let (a, b) = (Device::of(vector, "A"), Device::of(vector, "B"));
    let (entry, prekeys) = (b.entry(), Prekeys::of(vector));
    let init: &[u8; InitBlock::LENGTH] = block.as_slice().try_into().expect("its length");
    let to = b.responder(&entry, &prekeys);
    let offer = handshake::offer(&to, init).map_err(|_| "bug")?;
    let ephemeral = SecretKey::from_secret(Secret::new(vector.array("EK private key")));
    let agree = |key| ephemeral.diffie_hellman(key).map_err(|_| "invalid key");
    let mut secrets = vec![agree(entry.dh())?, agree(prekeys.signed.dh().public())?];
    if let Some(one_time) = &prekeys.one_time {
        secrets.push(agree(one_time.dh().public())?);
    }
    let mut outputs = Outputs::new()
        .with_bytes("A device entry hash", &a.entry().hash())
        .with_bytes("B device entry", &encoded(&entry));
    for (name, secret) in ["DH2", "DH3", "DH4"].iter().zip(&secrets) {
        outputs = outputs.with_bytes(name, secret.expose());
    }
    let kem = prekeys.one_time.as_ref().map_or(prekeys.signed.kem(), |one_time| one_time.kem());
    let part = |at: usize| {
        let part = block[at..at + 1088].try_into().expect("1088 bytes");
        Ciphertext::from_bytes(part)
    };
    let (first, second) = (kem.decapsulate(&part(CT1)), b.keys.kem().decapsulate(&part(CT2)));
    outputs = outputs.with_bytes("ss1", first.expose()).with_bytes("ss2", second.expose());
    secrets.extend([first, second]);
    let secrets: Vec<[u8; 32]> = secrets.iter().map(|secret| *secret.expose()).collect();
    let outputs = outputs
        .with_bytes("T0", &offer)
        .with_bytes("ck", &handshake::chaining_key(&offer, &secrets))
        .with_bytes("init block", &block);
    Ok(with_keys(outputs, &block, &offer, &keys))
}

fn respond(vector: &Vector) -> Outcome {
    let (b, prekeys) = (Device::of(vector, "B"), Prekeys::of(vector));
    let block = vector.array("init block");
    let (signed, one_time) = (&prekeys.signed, prekeys.one_time.as_ref());
    let answered = handshake::respond(&b.own(), signed, one_time, &block);
    let (peer, keys) = answered.map_err(|error| match error {
        RespondError::NoInitBlock => "malformed",
        RespondError::WrongPrekey => "wrong prekey",
        RespondError::Forged => "forged",
        RespondError::NonContributory => "invalid key",
        _ => "misbehaved",
    })?;
    let entry = b.entry();
    let offer = handshake::offer(&b.responder(&entry, &prekeys), &block).map_err(|_| "bug")?;
    let outputs = Outputs::new()
        .with_bytes("A account id", peer.account.as_bytes())
        .with("A device id", peer.device.0)
        .with_bytes("A device entry hash", &peer.entry)
        .with_bytes("IKa", peer.dh.as_bytes())
        .with_bytes("T0", &offer);
    Ok(with_keys(outputs, &block, &offer, &keys))
}

fn with_keys(outputs: Outputs, block: &[u8], offer: &[u8; 32], keys: &Keys) -> Outputs {
    let init_id = handshake::init_id(block.try_into().expect("its length")).expect("an init block");
    let transcript = hash::sha256(label::HANDSHAKE_TRANSCRIPT, &[offer, &block[BOX..]]);
    outputs
        .with_bytes("init id", init_id.as_bytes())
        .with_bytes("T", &transcript)
        .with_bytes("RK", &keys.root)
        .with_bytes("HKa", &keys.header_a)
        .with_bytes("NHKb", &keys.header_b)
        .with_bytes("session id", &keys.session)
}
