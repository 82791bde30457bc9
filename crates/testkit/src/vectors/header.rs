//! Sealed headers. SPEC §5.2.

use chopmark_core::hazmat::header::Header;

use super::{Outcome, Outputs, Vector, altered, drawn};

const KEY: &str = "header key";
const TAG: &str = "body tag";
const SEALED: &str = "sealed header";

pub(super) fn cases() -> Vec<Vector> {
    let key: [u8; 32] = drawn("header: key");
    let tag: [u8; 16] = drawn("header: body tag");
    let header = |n, pn, epoch| Header {
        ratchet_key: drawn("header: ratchet key"),
        n,
        pn,
        epoch,
        nonce: drawn("header: nonce"),
    };
    let sealed = header(3, 1, 1).seal(&key, &tag).expect("a header seals");
    let seal = |name: &str, comment: &str, header: Header| {
        Vector::new(name, comment, "ok")
            .with("operation", "seal")
            .with_bytes(KEY, &key)
            .with_bytes(TAG, &tag)
            .with_bytes("ratchet key", &header.ratchet_key)
            .with("n", header.n)
            .with("pn", header.pn)
            .with("epoch", header.epoch)
            .with_bytes("body nonce", &header.nonce)
    };
    let open = |name: &str, comment: &str, expect, key: &[u8], tag: &[u8], sealed: &[u8]| {
        Vector::new(name, comment, expect)
            .with("operation", "open")
            .with_bytes(KEY, key)
            .with_bytes(TAG, tag)
            .with_bytes(SEALED, sealed)
    };
    let refused = "not for this session";
    let mut cases = vec![
        seal("seal-first", "The first message of a session.", header(0, 0, 0)),
        seal("seal-later", "A later message, of KEM epoch 1.", header(3, 1, 1)),
        seal("seal-high", "All counters near their end.", header(u32::MAX - 1, u32::MAX, u32::MAX)),
        open("open", "What was sealed opens.", "ok", &key, &tag, &sealed),
        open(
            "open-with-another-key",
            "Another header key.",
            refused,
            &altered(&key, 31),
            &tag,
            &sealed,
        ),
        open(
            "open-beside-a-tag-whose-end-differs",
            "The nonce is the first 12 bytes of the body tag: the last 4 bind the body only.",
            "ok",
            &key,
            &altered(&tag, 12),
            &sealed,
        ),
    ];
    for at in [0, 11] {
        let name = format!("open-beside-a-tag-altered-at-{at:02}");
        let comment = "The body tag differs within its first 12 bytes, so the nonce does.";
        cases.push(open(&name, comment, refused, &key, &altered(&tag, at), &sealed));
    }
    for (at, what) in
        [(0, "ratchet key"), (35, "n"), (39, "pn"), (43, "epoch"), (55, "body nonce"), (56, "tag")]
    {
        let name = format!("open-altered-at-{at:02}");
        let comment = format!("One bit of the sealed header's {what} differs.");
        cases.push(open(&name, &comment, refused, &key, &tag, &altered(&sealed, at)));
    }
    cases
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let (key, tag) = (vector.array(KEY), vector.array(TAG));
    match vector.operation() {
        "seal" => {
            let header = Header {
                ratchet_key: vector.array("ratchet key"),
                n: vector.number("n"),
                pn: vector.number("pn"),
                epoch: vector.number("epoch"),
                nonce: vector.array("body nonce"),
            };
            let sealed = header.seal(&key, &tag).ok_or("bug")?;
            Ok(Outputs::new().with_bytes("header", &header.encode()).with_bytes(SEALED, &sealed))
        }
        "open" => {
            let header = Header::open(&key, &vector.array(SEALED), &tag);
            Ok(opened(&header.ok_or("not for this session")?))
        }
        other => panic!("{}: operation {other}", vector.name),
    }
}

/// A header in the clear, field by field.
pub(super) fn opened(header: &Header) -> Outputs {
    Outputs::new()
        .with_bytes("ratchet key", &header.ratchet_key)
        .with("n", header.n)
        .with("pn", header.pn)
        .with("epoch", header.epoch)
        .with_bytes("body nonce", &header.nonce)
}
