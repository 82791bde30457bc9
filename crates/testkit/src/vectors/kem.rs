//! ML-KEM keys, encapsulations and their confirmation. SPEC §1.2, §5.7.

use chopmark_core::{
    hash,
    hazmat::kem_epoch::confirmed,
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey},
    label,
};

use super::{Outcome, Outputs, Vector, altered, drawn, draws::Draws, kem_machine};

pub(super) fn cases() -> Vec<Vector> {
    let seed: [u8; 64] = drawn("kem: seed");
    let key = DecapsulationKey::from_seed(&seed);
    let ek = *key.encapsulation_key().as_bytes();
    let m: [u8; 32] = drawn("kem: m");
    let (ct, _) = key.encapsulation_key().encapsulate(&mut Draws::of(&[&m])).expect("a draw");
    let ct = *ct.as_bytes();
    let case = |name: &str, comment: &str, expect: &str, operation: &str| {
        Vector::new(name, comment, expect).with("operation", operation)
    };
    let other: [u8; 64] = drawn("kem: another seed");
    let mut cases = vec![
        case("key-pair", "A key from its seed.", "ok", "key pair").with_bytes("ML-KEM seed", &seed),
        case("key-pair-other", "Another.", "ok", "key pair").with_bytes("ML-KEM seed", &other),
        case("encapsulate", "An encapsulation with its m.", "ok", "encapsulate")
            .with_bytes("ek", &ek)
            .with_bytes("m", &m),
        case("decapsulate", "The secret comes back.", "ok", "decapsulate")
            .with_bytes("ML-KEM seed", &seed)
            .with_bytes("ct", &ct),
        case(
            "decapsulate-mauled",
            "A mauled ciphertext gives another secret.",
            "ok",
            "decapsulate",
        )
        .with_bytes("ML-KEM seed", &seed)
        .with_bytes("ct", &altered(&ct, 500)),
        case("decapsulate-other-key", "So does one for another key.", "ok", "decapsulate")
            .with_bytes("ML-KEM seed", &other)
            .with_bytes("ct", &ct),
    ];
    cases.extend(modulus_cases(&ek));
    for epoch in [1, 2, 3, 65_536] {
        let comment = "The confirmation binds epoch, key and ciphertext; the transcript is mixed.";
        let case = case(&format!("confirm-epoch-{epoch}"), comment, "ok", "confirm");
        let case = case.with("epoch", epoch).with_bytes("ek", &ek).with_bytes("ct", &ct);
        cases.push(case.with_bytes("ss", &drawn::<32>("kem: ss")));
    }
    let receive = |name: &str, comment: &str, expect: &str, epoch: u32, ct: &[u8], right: &[u8]| {
        case(name, comment, expect, "receive")
            .with_bytes("ML-KEM seed", &seed)
            .with("epoch", epoch)
            .with_bytes("ct", ct)
            .with_bytes("confirmation", right)
    };
    let right = |epoch| {
        let shared = key.decapsulate(&Ciphertext::from_bytes(&ct));
        let ct = Ciphertext::from_bytes(&ct);
        confirmed(epoch, key.encapsulation_key(), &ct, shared.expose()).confirmation
    };
    let refused = "wrong confirmation";
    cases.extend([
        receive("receive", "A ciphertext with its confirmation.", "ok", 1, &ct, &right(1)),
        receive("receive-epoch-3", "The same in epoch 3.", "ok", 3, &ct, &right(3)),
        receive("receive-epoch-before", "Confirmed for epoch 2.", refused, 3, &ct, &right(2)),
        receive(
            "receive-altered",
            "The confirmation differs in its last bit.",
            refused,
            1,
            &ct,
            &altered(&right(1), 31),
        ),
        receive(
            "receive-mauled",
            "The ciphertext was mauled.",
            refused,
            1,
            &altered(&ct, 0),
            &right(1),
        ),
        receive("receive-zeros", "A confirmation of zeros.", refused, 1, &ct, &[0; 32]),
    ]);
    cases.extend(kem_machine::cases());
    cases
}

/// Keys with one coefficient set: two of 12 bits in three bytes, little-endian.
fn modulus_cases(ek: &[u8; 1184]) -> Vec<Vector> {
    let mut cases = Vec::new();
    for (name, at, coefficient, expect) in [
        ("highest-good", 0, 3328_u16, "ok"),
        ("q-first", 0, 3329, "invalid key"),
        ("q-in-the-middle", 600, 3329, "invalid key"),
        ("all-ones", 0, 4095, "invalid key"),
        ("q-near-the-end", 1149, 3329, "invalid key"),
    ] {
        let [low, high] = coefficient.to_le_bytes();
        let mut bytes = *ek;
        bytes[at] = low;
        bytes[at + 1] = (bytes[at + 1] & 0xf0) | high;
        let comment = format!("The coefficient at byte {at} is {coefficient}.");
        let case = Vector::new(format!("modulus-{name}"), &comment, expect);
        cases.push(case.with("operation", "check key").with_bytes("ek", &bytes));
    }
    let mut bytes = *ek;
    (bytes[1150], bytes[1151]) = (bytes[1150] | 0xf0, 0xff);
    let case = Vector::new("modulus-last", "The last coefficient is too high.", "invalid key");
    cases.push(case.with("operation", "check key").with_bytes("ek", &bytes));
    cases
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let ek = || EncapsulationKey::parse(&vector.array("ek")).map_err(|_| "invalid key");
    let ct = || Ciphertext::from_bytes(&vector.array("ct"));
    let key = || DecapsulationKey::from_seed(&vector.array("ML-KEM seed"));
    let key_hash =
        |ek: &EncapsulationKey| hash::sha256(label::KEM_KEY, &[ek.as_bytes().as_slice()]);
    let outputs = Outputs::new();
    Ok(match vector.operation() {
        "key pair" => {
            let key = key();
            let ek = key.encapsulation_key();
            outputs.with_bytes("ek", ek.as_bytes()).with_bytes("hash of ek", &key_hash(ek))
        }
        "check key" => outputs.with_bytes("hash of ek", &key_hash(&ek()?)),
        "encapsulate" => {
            let m = vector.bytes("m");
            let (ct, ss) = ek()?.encapsulate(&mut Draws::of(&[&m])).map_err(|_| "bug")?;
            let hash = hash::sha256(label::KEM_CIPHERTEXT, &[ct.as_bytes().as_slice()]);
            let outputs = outputs.with_bytes("ct", ct.as_bytes()).with_bytes("ss", ss.expose());
            outputs.with_bytes("hash of ct", &hash)
        }
        "decapsulate" => outputs.with_bytes("ss", key().decapsulate(&ct()).expose()),
        "confirm" => {
            let made = confirmed(vector.number("epoch"), &ek()?, &ct(), &vector.array("ss"));
            outputs
                .with_bytes("confirmation", &made.confirmation)
                .with_bytes("transcript", &made.transcript)
        }
        "receive" => {
            let (key, ct) = (key(), ct());
            let ss = key.decapsulate(&ct);
            let (epoch, ek) = (vector.number("epoch"), key.encapsulation_key());
            let made = confirmed(epoch, ek, &ct, ss.expose());
            if made.confirmation != vector.array("confirmation") {
                return Err("wrong confirmation");
            }
            let outputs = outputs.with_bytes("ss", ss.expose());
            outputs.with_bytes("transcript", &made.transcript)
        }
        _ => return kem_machine::evaluate(vector),
    })
}
