//! Texts of bodies and whole envelopes. SPEC §5.1, §5.5, §5.6.

use chopmark_core::{
    handshake::InitBlock,
    hazmat::{
        envelope::{Keys, Refused, Text},
        header::Header,
        kem_epoch::Object,
    },
    kem::DecapsulationKey,
    session::{Acknowledged, BUCKETS},
};

use super::{Outcome, Outputs, Vector, altered, drawn, header};

/// What an envelope of version 1 is besides its body.
const OVERHEAD: usize = 89;

/// Where the header and the body of version 1 begin.
const HEADER: usize = 1;
const BODY: usize = 73;

pub(super) fn cases() -> Vec<Vector> {
    let mut cases = text_cases();
    cases.extend(seal_cases());
    cases.extend(open_cases());
    cases
}

fn text(acknowledged: (u64, u32), content: &[u8], object: Option<Object>) -> Text {
    let (chain, count) = acknowledged;
    let acknowledged = Acknowledged { chain, count };
    Text { acknowledged, content: content.to_vec(), object }
}

fn encapsulation_key() -> Object {
    let key = DecapsulationKey::from_seed(&drawn("body: ML-KEM seed"));
    Object::EncapsulationKey(key.encapsulation_key().as_bytes().to_vec())
}

fn ciphertext() -> Object {
    Object::Ciphertext(drawn::<1088>("body: ct").to_vec(), drawn("body: confirmation"))
}

fn with_text(case: Vector, text: &Text) -> Vector {
    let case = case
        .with("acknowledged chain", text.acknowledged.chain)
        .with("acknowledged count", text.acknowledged.count)
        .with_bytes("content", &text.content);
    match &text.object {
        None => case.with("object kind", 0),
        Some(Object::EncapsulationKey(key)) => case.with("object kind", 1).with_bytes("ek", key),
        Some(Object::Ciphertext(ct, confirmation)) => {
            let case = case.with("object kind", 2).with_bytes("ct", ct);
            case.with_bytes("confirmation", confirmation)
        }
    }
}

fn text_cases() -> Vec<Vector> {
    let mut cases = Vec::new();
    for (name, comment, text) in [
        ("empty", "A message without content acknowledges nothing.", text((0, 0), b"", None)),
        ("content", "A content, and an acknowledgement.", text((3, 7), b"hello", None)),
        ("key", "An encapsulation key.", text((1 << 40, 9), b"k", Some(encapsulation_key()))),
        ("ciphertext", "A ciphertext.", text((0, 1), b"c", Some(ciphertext()))),
    ] {
        let case = Vector::new(format!("text-{name}"), comment, "ok").with("operation", "text");
        cases.push(with_text(case.with("text length", BUCKETS[0] - OVERHEAD), &text));
    }
    let whole = |text: Text| text.encode(BUCKETS[0] - OVERHEAD).expect("it fits").0;
    let plain = whole(text((3, 7), b"hello", None));
    let with_object = whole(text((0, 1), b"c", Some(ciphertext())));
    let last = plain.len() - 1;
    let mut unknown = plain.clone();
    unknown[16 + 5] = 3;
    let mut long = plain.clone();
    long[14] = 0xff;
    for (name, comment, expect, bytes) in [
        ("text-read", "It is taken apart.", "ok", plain.clone()),
        ("text-read-object", "So is one with an object.", "ok", with_object.clone()),
        ("padding-first", "The first byte of padding is 1.", "misbehaved", altered(&plain, 22)),
        ("padding-last", "The last byte of padding is 1.", "misbehaved", altered(&plain, last)),
        (
            "padding-behind-an-object",
            "So is one behind an object.",
            "misbehaved",
            altered(&with_object, 18 + 1120),
        ),
        ("object-unknown", "An object of kind 3.", "misbehaved", unknown),
        ("content-too-long", "The length of the content is beyond the end.", "misbehaved", long),
    ] {
        let case = Vector::new(name, comment, expect).with("operation", "read text");
        cases.push(case.with_bytes("text", &bytes));
    }
    cases
}

/// What the envelopes of this area are sealed with.
struct Fixture {
    session: [u8; 32],
    header_key: [u8; 32],
    leaf: [u8; 32],
    init: Box<[u8; InitBlock::LENGTH]>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            session: drawn("body: session id"),
            header_key: drawn("body: header key"),
            leaf: drawn("body: leaf"),
            init: Box::new(drawn("body: init block")),
        }
    }

    fn given(&self, case: Vector) -> Vector {
        case.with_bytes("session id", &self.session)
            .with_bytes("header key", &self.header_key)
            .with_bytes("leaf", &self.leaf)
    }

    fn keys(&self, with_init: bool) -> Keys<'_> {
        let init = with_init.then_some(&*self.init);
        Keys { session: &self.session, init, header: &self.header_key, leaf: &self.leaf }
    }
}

fn seal_cases() -> Vec<Vector> {
    let fixture = Fixture::new();
    let case = |name: &str, comment: &str, n: u32, length: usize, text: Text, init: bool| {
        let case = Vector::new(format!("seal-{name}"), comment, "ok").with("operation", "seal");
        let case = fixture.given(case);
        let case = if init { case.with_bytes("init block", fixture.init.as_slice()) } else { case };
        let case = case
            .with_bytes("ratchet key", &drawn::<32>("body: ratchet key"))
            .with("n", n)
            .with("pn", 2)
            .with("epoch", 1)
            .with_bytes("hedge", &drawn::<32>(&format!("body: hedge {name}")))
            .with("envelope length", length);
        with_text(case, &text)
    };
    let content = |length: usize| b"0123456789abcdef".iter().copied().cycle().take(length);
    let sized = |length: usize| text((1, 2), &content(length).collect::<Vec<u8>>(), None);
    vec![
        case("short", "A short content.", 0, 2048, text((1, 2), b"hello", None), false),
        case("empty", "No content: a probe.", 1, 2048, text((0, 0), b"", None), false),
        case("full", "A content that leaves no padding.", 2, 2048, sized(2048 - 106), false),
        case(
            "with-key",
            "A key in the padding.",
            3,
            2048,
            text((1, 2), b"hello", Some(encapsulation_key())),
            false,
        ),
        case(
            "with-ciphertext",
            "A ciphertext in the padding.",
            4,
            2048,
            text((1, 2), b"hello", Some(ciphertext())),
            false,
        ),
        case("init", "Version 2, with an init block.", 0, 4096, sized(100), true),
        case("longer", "One byte more takes the next bucket.", 5, 4096, sized(2048 - 105), false),
        case("lifted", "A bucket larger than the content needs.", 6, 8192, sized(5), false),
        case("largest", "The most content there is.", 7, 65536, sized(64_147), false),
    ]
}

fn open_cases() -> Vec<Vector> {
    let fixture = Fixture::new();
    let header = Header {
        ratchet_key: drawn("body: ratchet key"),
        n: 3,
        pn: 2,
        epoch: 1,
        nonce: drawn("body: nonce"),
    };
    let sealed = |init: bool, length: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let room = length - OVERHEAD - if init { InitBlock::LENGTH } else { 0 };
        let (mut text, _) = text((1, 2), b"hello", None).encode(room).expect("it fits");
        change(&mut text);
        fixture.keys(init).seal(&header, &text).expect("it seals")
    };
    let plain = sealed(false, 2048, &|_| {});
    let first = sealed(true, 4096, &|_| {});
    let case = |name: &str, comment: &str, expect: &str, envelope: &[u8]| {
        let case = Vector::new(format!("open-{name}"), comment, expect).with("operation", "open");
        fixture.given(case).with_bytes("envelope", envelope)
    };
    let mut other_version = plain.clone();
    other_version[0] = 3;
    let mut as_first = first.clone();
    as_first[0] = 1;
    let end = plain.len();
    let (none, other) = ("not an envelope", "not for this session");
    let swapped = {
        let mut swapped = plain.clone();
        let theirs = sealed(false, 2048, &|text| text[17] ^= 1);
        swapped[..BODY].copy_from_slice(&theirs[..BODY]);
        swapped
    };
    let mut cases = vec![
        case("plain", "Version 1 opens.", "ok", &plain),
        case("init", "Version 2 opens.", "ok", &first),
        case("short", "A byte less than a bucket.", none, &plain[..end - 1]),
        case("long", "A byte more than a bucket.", none, &[&plain[..], &[0]].concat()),
        case("nothing", "No byte.", none, &[]),
        case("version-3", "An unknown version.", none, &other_version),
        case(
            "version-stripped",
            "Version 2 said to be 1: the init block is read as header.",
            other,
            &as_first,
        ),
        case("header-altered", "A bit of the sealed header.", other, &altered(&plain, HEADER)),
        case("header-tag-altered", "A bit of the header's tag.", other, &altered(&plain, BODY - 1)),
        case("body-altered-first", "The first bit of the body.", "forged", &altered(&plain, BODY)),
        case("body-altered-last", "A bit of the padding.", "forged", &altered(&plain, end - 17)),
        case(
            "tag-altered-first",
            "The body tag's front is the header's nonce.",
            other,
            &altered(&plain, end - 16),
        ),
        case("tag-altered-last", "The body tag's end is not.", "forged", &altered(&plain, end - 1)),
        case("init-altered", "A bit of the init block.", "forged", &altered(&first, 1)),
        case("header-of-another", "The header of another message.", other, &swapped),
        case(
            "padding",
            "Authentic, and its padding is not zeros.",
            "misbehaved",
            &sealed(false, 2048, &|text| text[1000] = 1),
        ),
        case(
            "object-3",
            "Authentic, and its object is of kind 3.",
            "misbehaved",
            &sealed(false, 2048, &|text| text[21] = 3),
        ),
    ];
    for (name, comment, expect, key) in [
        ("open-other-session", "Another session id.", "forged", "session id"),
        ("open-other-leaf", "Another leaf.", "forged", "leaf"),
        ("open-other-header-key", "Another header key.", other, "header key"),
    ] {
        let case = Vector::new(name, comment, expect).with("operation", "open");
        let mut changed = Fixture::new();
        match key {
            "session id" => changed.session[0] ^= 1,
            "leaf" => changed.leaf[0] ^= 1,
            _ => changed.header_key[0] ^= 1,
        }
        cases.push(changed.given(case).with_bytes("envelope", &plain));
    }
    cases
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    if vector.operation() == "read text" {
        return read(&vector.bytes("text"), Outputs::new());
    }
    if vector.operation() == "text" {
        let (text, _) =
            given_text(vector).encode(vector.number("text length")).ok_or("too long")?;
        return Ok(Outputs::new().with_bytes("text", &text));
    }
    let init = vector.find("init block").map(|_| vector.array("init block"));
    let (session, header_key) = (vector.array("session id"), vector.array("header key"));
    let leaf = vector.array("leaf");
    let keys = Keys { session: &session, init: init.as_ref(), header: &header_key, leaf: &leaf };
    if vector.operation() == "open" {
        let (header, text) =
            keys.open(&vector.bytes("envelope")).map_err(|refused| match refused {
                Refused::NotAnEnvelope => "not an envelope",
                Refused::NotForThisSession => "not for this session",
                Refused::Forged => "forged",
                Refused::Misbehaved => "misbehaved",
            })?;
        return read(&text, header::opened(&header));
    }
    let length: usize = vector.number("envelope length");
    let room = length - OVERHEAD - init.map_or(0, |init| init.len());
    let (text, written) = given_text(vector).encode(room).ok_or("too long")?;
    let mut header = Header {
        ratchet_key: vector.array("ratchet key"),
        n: vector.number("n"),
        pn: vector.number("pn"),
        epoch: vector.number("epoch"),
        nonce: [0; 12],
    };
    header.nonce = keys.nonce(&vector.array("hedge"), &header, length, &text[..written]);
    let (body_key, nonce_key) = keys.of_body();
    let envelope = keys.seal(&header, &text).ok_or("bug")?;
    let outputs = Outputs::new()
        .with_bytes("k_body", &body_key)
        .with_bytes("k_nonce", &nonce_key)
        .with_bytes("body nonce", &header.nonce)
        .with_bytes("AAD", &keys.associated(&header));
    Ok(if length > BUCKETS[1] {
        outputs.with_bytes("sha256 of the envelope", &super::sha256(&envelope))
    } else {
        outputs.with_bytes("envelope", &envelope)
    })
}

fn given_text(vector: &Vector) -> Text {
    let object = match vector.text("object kind") {
        "0" => None,
        "1" => Some(Object::EncapsulationKey(vector.bytes("ek"))),
        _ => Some(Object::Ciphertext(vector.bytes("ct"), vector.array("confirmation"))),
    };
    let chain = vector.number("acknowledged chain");
    text((chain, vector.number("acknowledged count")), &vector.bytes("content"), object)
}

fn read(text: &[u8], outputs: Outputs) -> Outcome {
    let text = Text::decode(text).map_err(|_| "misbehaved")?;
    let outputs = outputs
        .with("acknowledged chain", text.acknowledged.chain)
        .with("acknowledged count", text.acknowledged.count)
        .with_bytes("content", &text.content);
    Ok(match text.object {
        None => outputs.with("object kind", 0),
        Some(Object::EncapsulationKey(key)) => {
            outputs.with("object kind", 1).with_bytes("ek", &key)
        }
        Some(Object::Ciphertext(ct, confirmation)) => outputs
            .with("object kind", 2)
            .with_bytes("ct", &ct)
            .with_bytes("confirmation", &confirmation),
    })
}
