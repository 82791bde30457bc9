//! Ed25519 and ML-DSA-65: what is signed, and what is refused. SPEC §1.2, §1.3.

use chopmark_core::{
    label,
    secret::Secret,
    signature::{
        Signature, SigningKey, VerifyingKey,
        root::{RootSignature, RootSigningKey, RootVerifyingKey},
    },
};

use super::{Outcome, Outputs, Vector, altered, drawn, unhex};

/// The group order, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// The key behind the constants below.
const SEED: &str = "3d35e30d387bba62b96ba780f813aa97fd0846c9b3c392e1398b4d7d18827cc0";

/// S = k a beside R = the identity: the equation holds.
const SMALL_R: (&str, &str) = (
    "52206f6620736d616c6c206f726465722030",
    "010000000000000000000000000000000000000000000000000000000000000071424b6f319c88d6cb4b768af298c605f2512963f98c8d35a563031962776708",
);

/// The same key and a point of order 8, added.
const MIXED: &str = "7847c9065e1d37f44340fb3e5c9a37b74f812552b06e8dd42079219a03914cf9";

/// Holds if both sides are multiplied by 8, and not else.
const MIXED_BY_COFACTOR: (&str, &str) = (
    "6d697865642030",
    "916a56053ad55948aedefaa4b28a1b945d439a565e4d80dd4a99cb1ea30b22a99846bd03f5091f9fb1a26567990ad7672ce1ed3b156bba8fb830daf939242c03",
);

/// Holds as it is: k is a multiple of 8.
const MIXED_BY_ITSELF: (&str, &str) = (
    "6d697865642032",
    "dac9fe86a52469555dee90315d8b49742b0a0490c8fccf296d3bc707f706174c7c5c5c593fdefd621a95f44fc0a251ad9a24021181fe007340dbdd9f7d911804",
);

pub(super) fn cases() -> Vec<Vector> {
    let constant = |text: &str| unhex(text).expect("a constant");
    let key = SigningKey::from_secret(&Secret::from_slice(&constant(SEED)).expect("32 bytes"));
    let public = *key.verifying_key().as_bytes();
    let good = *key.sign(label::STAMP, &[b"message"]).as_bytes();
    let sign = |name: &str, comment: &str, label: &str, x: &[u8]| {
        let case = Vector::new(name, comment, "ok").with("operation", "sign");
        case.with_bytes("Ed25519 seed", &constant(SEED)).with("label", label).with_bytes("x", x)
    };
    let verify = |name: &str, comment: &str, expect: &str, label: &str, x: &[u8], bytes: &[u8]| {
        let case = Vector::new(name, comment, expect).with("operation", "verify");
        let case = case.with_bytes("Ed25519 key", &public).with("label", label);
        case.with_bytes("x", x).with_bytes("signature", bytes)
    };
    let forged = |name: &str, comment: &str, bytes: &[u8]| {
        verify(name, comment, "forged", label::STAMP, b"message", bytes)
    };
    let with_key = |name: &str, comment: &str, expect: &str, key: &str, (x, signature)| {
        let case = Vector::new(name, comment, expect).with("operation", "verify");
        let case = case.with("Ed25519 key", key).with("label", label::STAMP);
        case.with("x", x).with("signature", signature)
    };
    let refused = |name: &str, comment: &str, key: &str| {
        with_key(name, comment, "invalid key", key, MIXED_BY_ITSELF)
    };
    let mut high_s = good;
    let mut carry = 0;
    for (byte, more) in high_s[32..].iter_mut().zip(constant(L)) {
        let [high, low] = (u16::from(*byte) + u16::from(more) + carry).to_be_bytes();
        (carry, *byte) = (u16::from(high), low);
    }
    let mut cases = vec![
        sign("ed25519-sign", "A signature under a label.", label::STAMP, b"message"),
        sign("ed25519-sign-nothing", "An empty x: the label and its zero.", label::STAMP, b""),
        sign("ed25519-sign-prekey", "Under another label.", label::PREKEY, b"message"),
        verify("ed25519-verify", "It verifies.", "ok", label::STAMP, b"message", &good),
        verify("ed25519-label", "Another label.", "forged", label::PREKEY, b"message", &good),
        verify("ed25519-message", "Another x.", "forged", label::STAMP, b"messagf", &good),
        forged("ed25519-r-altered", "One bit of R differs.", &altered(&good, 0)),
        forged("ed25519-s-altered", "One bit of S differs.", &altered(&good, 32)),
        forged("ed25519-s-plus-order", "S and the group order, added: S is too high.", &high_s),
        with_key(
            "ed25519-small-r",
            "R is the identity and the equation holds.",
            "forged",
            "a9fc27c62676e7f8159e50047d8fdcec819aad8c16edeacfc18c82ba7177eba2",
            SMALL_R,
        ),
        with_key(
            "ed25519-cofactored",
            "A key with a part of order 8: the equation holds times 8 only.",
            "forged",
            MIXED,
            MIXED_BY_COFACTOR,
        ),
        with_key(
            "ed25519-mixed-key",
            "A key with a part of order 8: the equation holds as it is.",
            "ok",
            MIXED,
            MIXED_BY_ITSELF,
        ),
    ];
    cases.extend([
        refused("ed25519-key-identity", "The identity as key.", &format!("01{}", "00".repeat(31))),
        refused(
            "ed25519-key-order-8",
            "A point of order 8 as key.",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        ),
        refused(
            "ed25519-key-not-canonical",
            "y is p + 3, of a point of high order.",
            &format!("f0{}7f", "ff".repeat(30)),
        ),
        refused("ed25519-key-no-point", "y = 2 is on no point.", &format!("02{}", "00".repeat(31))),
    ]);
    cases.extend(root_cases());
    cases
}

fn root_cases() -> Vec<Vector> {
    let seed: [u8; 32] = drawn("signature: ML-DSA seed");
    let key = RootSigningKey::from_secret(Secret::new(seed));
    let good = key.sign(label::MANIFEST, &[b"manifest"]).expect("it signs");
    let verify = |name: &str, comment: &str, expect: &str, label: &str, x: &[u8], bytes: &[u8]| {
        let case = Vector::new(name, comment, expect).with("operation", "verify ML-DSA");
        let case = case.with_bytes("ML-DSA key", key.verifying_key().as_bytes());
        case.with("label", label).with_bytes("x", x).with_bytes("signature", bytes)
    };
    let (good, label) = (*good.as_bytes(), label::MANIFEST);
    vec![
        Vector::new("ml-dsa-sign", "Deterministic, the label is the context string.", "ok")
            .with("operation", "sign ML-DSA")
            .with_bytes("ML-DSA seed", &seed)
            .with("label", label)
            .with_bytes("x", b"manifest"),
        verify("ml-dsa-verify", "It verifies.", "ok", label, b"manifest", &good),
        verify("ml-dsa-label", "Another label.", "forged", label::STAMP, b"manifest", &good),
        verify("ml-dsa-message", "Another x.", "forged", label, b"manifesu", &good),
        verify(
            "ml-dsa-altered",
            "One bit of z differs.",
            "forged",
            label,
            b"manifest",
            &altered(&good, 1000),
        ),
        verify(
            "ml-dsa-hint-altered",
            "The last byte differs: the hint is not canonical.",
            "forged",
            label,
            b"manifest",
            &altered(&good, 3308),
        ),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let (label, x) = (vector.text("label"), vector.bytes("x"));
    let outputs = Outputs::new();
    Ok(match vector.operation() {
        "sign" => {
            let key = SigningKey::from_secret(&Secret::new(vector.array("Ed25519 seed")));
            outputs
                .with_bytes("Ed25519 key", key.verifying_key().as_bytes())
                .with_bytes("signature", key.sign(label, &[&x]).as_bytes())
        }
        "verify" => {
            let key = VerifyingKey::parse(&vector.array("Ed25519 key"));
            let signature = Signature::from_bytes(vector.array("signature"));
            let key = key.map_err(|_| "invalid key")?;
            key.verify(label, &[&x], &signature).map_err(|_| "forged")?;
            outputs
        }
        "sign ML-DSA" => {
            let key = RootSigningKey::from_secret(Secret::new(vector.array("ML-DSA seed")));
            let signature = key.sign(label, &[&x]).map_err(|_| "bug")?;
            outputs
                .with_bytes("ML-DSA key", key.verifying_key().as_bytes())
                .with_bytes("signature", signature.as_bytes())
        }
        "verify ML-DSA" => {
            let key = RootVerifyingKey::from_bytes(&vector.array("ML-DSA key"));
            let signature = RootSignature::from_bytes(&vector.array("signature"));
            key.verify(label, &[&x], &signature).map_err(|_| "forged")?;
            outputs
        }
        other => panic!("{}: operation {other}", vector.name),
    })
}
