//! Labelled hashes and derivations. SPEC §1.3.

use chopmark_core::{hash, hazmat::derivation, label};

use super::{Outcome, Outputs, Vector, drawn};

pub(super) fn cases() -> Vec<Vector> {
    let case = |name: &str, comment: &str, operation: &str, label: &str| {
        Vector::new(name, comment, "ok").with("operation", operation).with("label", label)
    };
    let hash = |name: &str, comment: &str| case(name, comment, "LH", label::DEVICE_ENTRY);
    let key = |case: Vector, key: &str| {
        let value: [u8; 32] = drawn(&case.name);
        case.with_bytes(key, &value)
    };
    let derive =
        |name: &str, comment: &str| key(case(name, comment, "Derive", label::SEED_WALLET), "prk");
    let mac = |name: &str, comment: &str, label: &str| key(case(name, comment, "M", label), "key");
    let expand =
        |name: &str, comment: &str| key(case(name, comment, "Expand", label::ROOT_PLAIN), "prk");
    vec![
        hash("hash-of-nothing", "LH with no part: the framed label alone."),
        hash("hash-of-an-empty-part", "LH with one empty part, which is not the same as none.")
            .with_bytes("part 1", &[]),
        hash("hash-of-one-part", "LH with one part.").with_bytes("part 1", b"one part"),
        hash("hash-of-two-parts", "LH with two parts.")
            .with_bytes("part 1", b"ab")
            .with_bytes("part 2", b"c"),
        hash("hash-of-two-parts-cut-elsewhere", "The same bytes cut elsewhere: another hash.")
            .with_bytes("part 1", b"a")
            .with_bytes("part 2", b"bc"),
        case("hash-under-another-label", "One part under another label.", "LH", label::STAMP)
            .with_bytes("part 1", b"one part"),
        derive("derive-without-context", "Derive with x empty.").with_bytes("x", &[]),
        derive("derive-with-context", "Derive with x a u32.").with_bytes("x", &[0, 0, 0, 7]),
        mac("mac-left", "M of section 5.3, for a left child.", label::CHAIN_LEFT),
        mac("mac-body-key", "M of section 5.3 under another label.", label::BODY_KEY),
        expand("expand-three-blocks", "Expand to three keys, as a root step does.")
            .with_bytes("x", &[0, 0, 0, 1]),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    // A label must be one of the table.
    let label = label::ALL.iter().find(|label| **label == vector.text("label"));
    let label = label.ok_or("unknown label")?;
    let outputs = Outputs::new();
    Ok(match vector.operation() {
        "LH" => {
            let parts = vector.numbered("part");
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            outputs.with_bytes("hash", &hash::sha256(label, &parts))
        }
        "Derive" => {
            let derived = derivation::derive(&vector.array("prk"), label, &[&vector.bytes("x")]);
            outputs.with_bytes("derived", &derived)
        }
        "M" => outputs.with_bytes("mac", &derivation::mac(&vector.array("key"), label, &[])),
        "Expand" => {
            let keys: [_; 3] =
                derivation::expand(&vector.array("prk"), label, &[&vector.bytes("x")]);
            outputs.with_bytes("expanded", keys.as_flattened())
        }
        other => panic!("{}: operation {other}", vector.name),
    })
}
