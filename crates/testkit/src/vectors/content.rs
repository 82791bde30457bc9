//! Contents and payloads: their names, and what is refused. SPEC §7.1 to §7.4.

use bytes::Bytes;
use chopmark_core::{hash, label};
use chopmark_wire::{
    content::{Body, Content, MessageId},
    payload::Payload,
};

use super::{Outcome, Outputs, Vector, drawn};

/// The first millisecond of the year 10000.
const TOO_LATE: u64 = 253_402_300_800_000;

pub(super) fn cases() -> Vec<Vector> {
    let (a, b): ([u8; 32], [u8; 32]) = (drawn("account A"), drawn("account B"));
    let conversation = |name: &str, one: &[u8], other: &[u8]| {
        let comment = "A conversation has one name for both sides.";
        let case = Vector::new(name, comment, "ok").with("operation", "conversation");
        case.with_bytes("account id 1", one).with_bytes("account id 2", other)
    };
    let id = |name: &str, comment: &str, sender: &[u8], content: &[u8]| {
        Vector::new(name, comment, "ok")
            .with("operation", "message id")
            .with_bytes("account id 1", &a)
            .with_bytes("account id 2", &b)
            .with_bytes("sender", sender)
            .with_bytes("content", content)
    };
    let text = content(&[text_body("hello")]);
    // A field that nobody knows, behind: other bytes, so another message.
    let more = [text.clone(), field(15, b"later")].concat();
    let mut cases = vec![
        conversation("conversation", &a, &b),
        conversation("conversation-swapped", &b, &a),
        id("message-id", "What A said.", &a, &text),
        id("message-id-of-b", "The same bytes, by B.", &b, &text),
        id("message-id-as-received", "A field that nobody knows is hashed too.", &a, &more),
    ];
    cases.extend(content_cases(&text, &more));
    cases.extend(payload_cases(&text));
    cases
}

/// One field of wire type 2.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    [varint(u64::from(number) << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// One field of wire type 0.
fn number(field: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A salt, a time, and these fields.
fn content(fields: &[Vec<u8>]) -> Vec<u8> {
    let salt = field(1, &drawn::<16>("content: salt"));
    [salt, number(2, 1_800_000_000_000), fields.concat()].concat()
}

fn text_body(text: &str) -> Vec<u8> {
    field(17, &field(1, text.as_bytes()))
}

fn content_cases(text: &[u8], more: &[u8]) -> Vec<Vector> {
    let case = |name: &str, comment: &str, expect: &str, bytes: &[u8]| {
        let case = Vector::new(format!("content-{name}"), comment, expect);
        case.with("operation", "read content").with_bytes("content", bytes)
    };
    let time = |at: u64| [&text[..18], &number(2, at), &text_body("hello")].concat();
    let salted = |length| [field(1, &vec![7; length]), number(2, 1), text_body("hello")].concat();
    let extension = |id: u64, critical: u64| {
        let critical = if critical == 1 { number(2, 1) } else { Vec::new() };
        field(7, &[number(1, id), critical, field(3, b"x")].concat())
    };
    let mut long_way = text.to_vec();
    // The length of the salt in two bytes.
    long_way.splice(1..2, [0x90, 0]);
    let ids = |count: usize| field(18, &field(2, &[9; 32]).repeat(count));
    let malformed = "malformed";
    vec![
        case("text", "A text.", "ok", text),
        case("unknown-field", "A field that nobody knows.", "ok", more),
        case(
            "unknown-body",
            "A body that nobody knows, of field 127.",
            "ok",
            &content(&[field(127, b"later")]),
        ),
        case("receipt", "A receipt of two messages.", "ok", &content(&[ids(2)])),
        case(
            "extension",
            "An extension that is not critical.",
            "ok",
            &content(&[extension(5, 0), text_body("hello")]),
        ),
        case(
            "critical-extension",
            "A critical one makes the body unknown.",
            "ok",
            &content(&[extension(5, 1), text_body("hello")]),
        ),
        case(
            "extension-0",
            "Extension 0.",
            malformed,
            &content(&[extension(0, 0), text_body("hello")]),
        ),
        case("no-body", "No body.", malformed, &content(&[])),
        case(
            "two-bodies",
            "Two bodies.",
            malformed,
            &content(&[text_body("hello"), field(21, &field(1, &[9; 32]))]),
        ),
        case(
            "body-twice",
            "One body twice.",
            malformed,
            &content(&[text_body("hello"), text_body("hello")]),
        ),
        case("empty-text", "A text without a character.", malformed, &content(&[text_body("")])),
        case(
            "longest-text",
            "The longest text.",
            "ok",
            &content(&[text_body(&"x".repeat(32_768))]),
        ),
        case(
            "too-long-text",
            "A byte more.",
            malformed,
            &content(&[text_body(&"x".repeat(32_769))]),
        ),
        case(
            "not-utf8",
            "A text that is not UTF-8.",
            malformed,
            &content(&[field(17, &field(1, &[0xff]))]),
        ),
        case("65-receipts", "A receipt of 65 messages.", malformed, &content(&[ids(65)])),
        case("short-salt", "A salt of 15 bytes.", malformed, &salted(15)),
        case("long-salt", "A salt of 17 bytes.", malformed, &salted(17)),
        case("year-9999", "The last millisecond of the year 9999.", "ok", &time(TOO_LATE - 1)),
        case("year-10000", "A millisecond later.", malformed, &time(TOO_LATE)),
        case(
            "varint-not-shortest",
            "A length in two bytes that one would hold.",
            malformed,
            &long_way,
        ),
        case("cut", "A byte is missing.", malformed, &text[..text.len() - 1]),
        case("nothing", "No byte.", malformed, &[]),
    ]
}

fn payload_cases(text: &[u8]) -> Vec<Vector> {
    let case = |name: &str, comment: &str, expect: &str, fields: &[Vec<u8>]| {
        let case = Vector::new(format!("payload-{name}"), comment, expect);
        case.with("operation", "read payload").with_bytes("payload", &fields.concat())
    };
    let mark = [number(1, 1), number(2, 2), field(3, &[3; 16])].concat();
    let resend = |length| field(6, &[field(1, &vec![4; length]), number(2, 5)].concat());
    let malformed = "malformed";
    vec![
        case("probe", "A payload without a content.", "ok", std::slice::from_ref(&mark)),
        case("with-content", "With a content.", "ok", &[mark.clone(), field(5, text)]),
        case(
            "with-all",
            "With everything.",
            "ok",
            &[mark.clone(), field(4, b"manifest"), field(5, text), resend(8)],
        ),
        case("no-manifest-hash", "Without a manifest hash.", malformed, &[number(1, 1)]),
        case(
            "long-manifest-hash",
            "A manifest hash of 17 bytes.",
            malformed,
            &[field(3, &[3; 17])],
        ),
        case(
            "empty-content",
            "A content that is there and empty.",
            malformed,
            &[mark.clone(), field(5, &[])],
        ),
        case(
            "empty-manifest",
            "A manifest that is there and empty.",
            malformed,
            &[mark.clone(), field(4, &[])],
        ),
        case("short-chain-id", "A chain id of 7 bytes.", malformed, &[mark, resend(7)]),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let outputs = Outputs::new();
    let conversation = || {
        let (one, other): ([u8; 32], [u8; 32]) =
            (vector.array("account id 1"), vector.array("account id 2"));
        hash::sha256(label::CONVERSATION, &[&one.min(other), &one.max(other)])
    };
    Ok(match vector.operation() {
        "conversation" => outputs.with_bytes("conversation", &conversation()),
        "message id" => {
            let sender = vector.array("sender");
            let id = MessageId::of(&conversation(), &sender, &vector.bytes("content"));
            outputs.with_bytes("message id", id.as_bytes())
        }
        "read content" => {
            let content = Content::decode(&Bytes::from(vector.bytes("content")));
            let content = content.map_err(|_| "malformed")?;
            outputs
                .with_bytes("salt", &content.salt)
                .with("sent at", content.sent_at.0)
                .with("extensions", content.extensions.len())
                .with("body", name(&content.body))
        }
        "read payload" => {
            let payload = Payload::decode(&Bytes::from(vector.bytes("payload")));
            let payload = payload.map_err(|_| "malformed")?;
            let part = |part: Option<&Bytes>| part.map_or_else(|| "none".into(), |b| super::hex(b));
            let outputs = outputs
                .with("recovery epoch", payload.manifest.recovery_epoch)
                .with("version", payload.manifest.version)
                .with_bytes("manifest hash", &payload.manifest.hash)
                .with("manifest", part(payload.manifest_bytes.as_ref()))
                .with("content", part(payload.content.as_ref()));
            match payload.resend_after {
                None => outputs,
                Some(after) => {
                    outputs.with_bytes("chain id", &after.chain).with("count", after.count)
                }
            }
        }
        other => panic!("{}: operation {other}", vector.name),
    })
}

fn name(body: &Body) -> &'static str {
    match body {
        Body::Text(_) => "text",
        Body::Receipt(_) => "receipt",
        Body::Unknown(_) => "unknown",
        _ => "another",
    }
}
