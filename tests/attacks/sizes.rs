//! T34 and T68: what a length tells. Nothing is compressed, and everything that is sealed has one of six lengths.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chopmark_core::{
    secret::Secret,
    session::{BUCKETS, Session},
    signature::SigningKey,
    time::Timestamp,
};
use chopmark_testkit::party::{NOW, Party};
use chopmark_wire::{
    content::{Body, Content, Edit, Fallback, MessageId, Reaction, Receipt, ReceiptKind},
    payload::{ManifestMark, Payload},
    payment::{DeclineReason, PaymentCancel, PaymentDecline, PaymentId, RequestId},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

use super::money;

/// The one place that knows how a session is used: the envelope, and the state after it.
fn sealed(session: &mut Session, content: &[u8], now: Timestamp, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let sealed = session.seal(content, now, rng).unwrap();
    let sent = sealed.commit(|_, _| Ok::<_, std::convert::Infallible>(())).unwrap();
    sent.envelope.into_bytes()
}

fn opened(session: &mut Session, envelope: &[u8], now: Timestamp) {
    let opened = session.open(envelope, now).unwrap();
    opened.commit(|_, _| Ok::<_, std::convert::Infallible>(())).unwrap();
}

fn payload(body: Body) -> Bytes {
    let content = Content {
        salt: [1; 16],
        sent_at: NOW,
        fallback: Fallback::default(),
        reply_to: None,
        thread_root: None,
        expiry: None,
        extensions: Vec::new(),
        body,
    };
    let manifest = ManifestMark { recovery_epoch: 1_800_000_000, version: 3, hash: [2; 16] };
    let content = Some(content.encode().unwrap());
    Payload { manifest, manifest_bytes: None, content, resend_after: None }.encode().unwrap()
}

/// What people say and pay in a day, and an empty message.
fn ordinary() -> Vec<(&'static str, Bytes)> {
    let id = MessageId::from_bytes([7; 32]);
    let receipt = |kind, count| Body::Receipt(Receipt { kind, messages: vec![id; count] });
    let decline = |signatures| PaymentDecline {
        payment: PaymentId([1; 32]),
        reason: DeclineReason::Expired,
        release: vec![[9; 64]; signatures],
    };
    let device = SigningKey::from_secret(&Secret::new([3; 32]));
    let mut all = vec![
        ("nothing", Bytes::new()),
        ("one letter", payload(Body::Text("k".into()))),
        ("a sentence", payload(Body::Text("on my way, five minutes".into()))),
        ("a long text", payload(Body::Text("x".repeat(1_400)))),
        ("a reaction", payload(Body::Reaction(Reaction { message: id, emoji: "👍🏽".into() }))),
        ("an edit", payload(Body::Edit(Edit { message: id, text: "six minutes".into() }))),
        ("a retraction", payload(Body::Retract(id))),
        ("delivered", payload(receipt(ReceiptKind::Delivered, 1))),
        ("read, many", payload(receipt(ReceiptKind::Read, 40))),
        ("a request", payload(Body::PaymentRequest(money::request().encode().unwrap()))),
        ("a receipt", payload(Body::PaymentReceipt(money::receipt(&device).encode()))),
        ("a decline", payload(Body::PaymentDecline(decline(5).encode()))),
        (
            "a cancellation",
            payload(Body::PaymentCancel(PaymentCancel { request: RequestId([1; 32]) }.encode())),
        ),
    ];
    for coins in 1..=8 {
        all.push(("a payment", payload(Body::Payment(money::payment(coins).encode()))));
    }
    all
}

/// The length of each, sealed by a copy of the session with a copy of the randomness. All of them must be one.
fn one_length(
    session: &Session,
    all: &[(&str, Bytes)],
    now: Timestamp,
    rng: &ChaCha20Rng,
) -> usize {
    let exported = session.export();
    let mut lengths = BTreeMap::new();
    for (name, content) in all {
        let mut copy = Session::import(&exported).unwrap();
        let envelope = sealed(&mut copy, content, now, &mut rng.clone());
        lengths.entry(envelope.len()).or_insert_with(Vec::new).push(*name);
    }
    assert_eq!(lengths.len(), 1, "{lengths:?} in epoch {}", session.epoch());
    *lengths.keys().next().unwrap()
}

// Tests [lifted-alike], [bucket-before-anything].
#[test]
fn t68_no_length_tells_a_payment_from_a_word() {
    let mut rng = ChaCha20Rng::from_seed([68; 32]);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let all = ordinary();
    let mut now = NOW;
    let mut seen = BTreeSet::new();
    // The init block rides, three messages long.
    let mut alice = a.initiate(&b, &mut rng);
    let mut first = Vec::new();
    for _ in 0..3 {
        seen.insert(("init block", one_length(&alice, &all, now, &rng)));
        first = sealed(&mut alice, b"hello", now, &mut rng);
    }
    let mut bob = b.respond(&a, &first);
    // Bob's first message is no user's: SPEC §6.9 [ct3-rides-alike].
    let ct3 = sealed(&mut bob, b"", now, &mut rng);
    seen.insert(("ct3", ct3.len()));
    opened(&mut alice, &ct3, now);
    // Every state that a conversation comes through: turns, monologues, and silences of more than a week.
    for round in 0..60_u64 {
        for alice_sends in [true, false] {
            let monologue = if round % 10 == 7 { 60 } else { 1 + round % 3 };
            for message in 0..monologue {
                let (from, to) =
                    if alice_sends { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
                if message < 2 || message % 20 == 0 {
                    seen.insert(("later", one_length(from, &all, now, &rng)));
                }
                let size = [3, 700, 1_500][(round as usize + message as usize) % 3];
                let envelope = sealed(from, &vec![7; size], now, &mut rng);
                assert!(BUCKETS.contains(&envelope.len()));
                opened(to, &envelope, now);
            }
        }
        let days = if round % 7 == 3 { 9 } else { 0 };
        now = Timestamp(now.0 + days * 24 * 3_600_000 + 60_000);
    }
    assert!(alice.epoch() > 5, "objects rode along: {}", alice.epoch());
    let expected = [("ct3", 2048), ("init block", 4096), ("later", 2048), ("later", 4096)];
    assert_eq!(seen, expected.into_iter().collect());
}

// Tests [bucket-before-anything].
#[test]
fn t68_every_length_is_a_bucket_and_says_no_more() {
    let mut rng = ChaCha20Rng::from_seed([69; 32]);
    let (mut alice, mut bob, _) = chopmark_testkit::party::met(&mut rng);
    let mut at = BTreeMap::new();
    for length in (0..=alice.max_content()).step_by(97).chain([alice.max_content()]) {
        let envelope = sealed(&mut alice, &vec![1; length], NOW, &mut rng);
        let bucket = envelope.len();
        assert!(BUCKETS.contains(&bucket), "{length}");
        assert!(
            *at.entry(bucket).or_insert(length) <= length,
            "longer contents have longer envelopes"
        );
        if length % 11 == 0 {
            opened(&mut bob, &envelope, NOW);
        }
    }
    assert_eq!(at.len(), BUCKETS.len());
}

// Tests [one-ttl]: what stands beside an envelope is one value each, in the one place that deposits.
#[test]
fn t68_what_a_relay_is_told_beside_an_envelope_is_always_the_same() {
    let source = include_str!("../../crates/client/src/drive/sender.rs");
    for (field, value) in [("ttl: ", "TtlClass::Month,"), ("urgency: ", "Urgency::Normal,")] {
        let said: Vec<_> =
            source.lines().filter_map(|line| line.trim().strip_prefix(field)).collect();
        assert_eq!(said, [value]);
    }
}

/// Crates that compress, by the beginning of their names.
const COMPRESSORS: &[&str] = &[
    "async-compression",
    "brotli",
    "bzip2",
    "compression-",
    "deflate",
    "flate2",
    "heatshrink",
    "inflate",
    "libbz2",
    "libdeflate",
    "libflate",
    "liblzma",
    "libz-",
    "lz4",
    "lzma",
    "lzss",
    "lzzzz",
    "miniz",
    "ruzstd",
    "snap",
    "xz",
    "yazi",
    "zip",
    "zlib",
    "zopfli",
    "zstd",
];

/// What the lock file says that the packages of ours which ship are built from.
fn shipped() -> BTreeSet<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| -> toml::Table {
        std::fs::read_to_string(root.join(path)).unwrap().parse().unwrap()
    };
    let lock = read("Cargo.lock");
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let listed = package.get("dependencies").and_then(toml::Value::as_array);
        let names =
            listed.into_iter().flatten().filter_map(|name| name.as_str()?.split(' ').next());
        needs.entry(package["name"].as_str().unwrap()).or_default().extend(names);
    }
    let mut waiting: Vec<String> = Vec::new();
    for folder in ["core", "wire", "mailbox", "pay", "client", "relay", "mint", "cli"] {
        let manifest = read(&format!("crates/{folder}/Cargo.toml"));
        let tables = ["dependencies", "build-dependencies"];
        let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
        waiting.extend(tables.flat_map(|table| table.keys().cloned()));
    }
    let mut found = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        // Ours were taken above, without what only their tests use.
        if name.starts_with("chopmark") || !found.insert(name.clone()) {
            continue;
        }
        let needed = needs.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not locked"));
        waiting.extend(needed.iter().map(|name| (*name).to_owned()));
    }
    found
}

// Seen to fail with `flate2` added to the dependencies of crates/pay.
#[test]
fn t34_nothing_that_compresses_is_in_what_ships() {
    let shipped = shipped();
    assert!(shipped.contains("chacha20poly1305") && shipped.contains("rustls"), "{shipped:?}");
    let found: Vec<_> = shipped
        .iter()
        .filter(|name| COMPRESSORS.iter().any(|compressor| name.starts_with(compressor)))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    // Nor is anybody asked to compress for us.
    for (path, source) in [
        ("issuer.rs", include_str!("../../crates/client/src/connection/issuer.rs")),
        ("http.rs", include_str!("../../crates/mint/src/http.rs")),
    ] {
        let lower = source.to_lowercase();
        for word in ["accept-encoding", "accept_encoding", "content_encoding", "content-encoding"] {
            assert!(!lower.contains(word), "{path}: {word}");
        }
    }
}

// What a stranger wrote beside a secret changes no length by being alike: an oracle of compression would show here.
#[test]
fn t34_no_length_tells_what_repeats() {
    let mut rng = ChaCha20Rng::from_seed([34; 32]);
    let (mut alice, _, _) = chopmark_testkit::party::met(&mut rng);
    let secret = "the words of the day are correct horse battery staple ".repeat(30);
    let mut noise = vec![0; secret.len()];
    rng.fill_bytes(&mut noise);
    let noise: String = noise.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    for guess in [secret.as_str(), &noise, &"a".repeat(secret.len())] {
        let raw = payload(Body::Text(format!("{secret}{guess}")));
        assert!(raw.len() > 2 * secret.len());
        let envelope = sealed(&mut alice, &raw, NOW, &mut rng);
        assert_eq!(envelope.len(), 4096);
    }
    // One byte more of text is one byte more of payload, whatever was said before.
    for text in [&secret, &noise] {
        let lengths: Vec<_> =
            (1_000..1_040).map(|end| payload(Body::Text(text[..end].to_owned())).len()).collect();
        assert!(lengths.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}
