//! Attacks on the decoders: T28 to T33.

use bytes::Bytes;
use chopmark_core::{secret::Secret, signature::SigningKey, time::Timestamp};
use chopmark_testkit::corpus;
use chopmark_wire::{
    content::{Body, Content, MessageId},
    display::sanitised,
    limits,
    link::ContactLink,
    payload::Payload,
    payment::{
        IssuerUrl, Payment, PaymentCancel, PaymentDecline, PaymentReceipt, PaymentRequest,
        ReceiptStatement, Unit,
    },
    relay::{Descriptor, FromClient, FromRelay},
    strict::DecodeError,
};

use super::money;

/// Reads bytes from outside.
type Door = fn(&Bytes) -> Result<(), DecodeError>;

/// Every door that takes protobuf.
const DOORS: &[(&str, Door)] = &[
    ("payload", |bytes| Payload::decode(bytes).map(drop)),
    ("content", |bytes| Content::decode(bytes).map(drop)),
    ("request", |bytes| PaymentRequest::decode(bytes).map(drop)),
    ("payment", |bytes| Payment::decode(bytes).map(drop)),
    ("receipt", |bytes| PaymentReceipt::decode(bytes).map(drop)),
    ("decline", |bytes| PaymentDecline::decode(bytes).map(drop)),
    ("cancel", |bytes| PaymentCancel::decode(bytes).map(drop)),
    ("from client", |bytes| FromClient::decode(bytes).map(drop)),
    ("from relay", |bytes| FromRelay::decode(bytes).map(drop)),
];

fn key() -> SigningKey {
    SigningKey::from_secret(&Secret::new([3; 32]))
}

/// A varint in its shortest form.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Field `number` with wire type 2 and these bytes in it.
fn delimited(number: u64, inner: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(inner.len() as u64), inner.to_vec()].concat()
}

/// A content of one text, less its body: what follows is the attack.
fn before_the_body() -> Vec<u8> {
    let whole = content("x").encode().unwrap();
    whole[..whole.len() - 6].to_vec()
}

fn content(text: &str) -> Content {
    let raw = corpus::seeds("content").swap_remove(2).1;
    let mut content = Content::decode(&raw.into()).unwrap();
    content.body = Body::Text(text.into());
    content
}

/// `depth` messages in each other, all of them real: each in field `number` of the one around it.
fn nested(number: u64, depth: usize) -> Vec<u8> {
    // From the inside the lengths are known, from the outside they are written.
    let mut lengths = Vec::with_capacity(depth);
    let key = varint(number << 3 | 2).len();
    let mut length = 0;
    for _ in 0..depth {
        lengths.push(length);
        length += key + varint(length as u64).len();
    }
    let mut bytes = Vec::with_capacity(length);
    for length in lengths.into_iter().rev() {
        bytes.extend(varint(number << 3 | 2));
        bytes.extend(varint(length as u64));
    }
    bytes
}

// Tests [nesting-is-bounded], [no-groups].
// Seen to fail with wire types 3 and 4 stepped over as empty: prost then follows the groups.
#[test]
fn t28_nesting_ends_in_an_error_and_not_the_stack() {
    let attack = || {
        let refused = |taken| matches!(taken, Err(DecodeError::WireType | DecodeError::TooLong(_)));
        for depth in [1, 101, 1_000, 20_000, 100_000] {
            for number in 1..=32 {
                let messages = Bytes::from(nested(number, depth));
                let open: Vec<u8> = varint(number << 3 | 3).repeat(depth);
                let closed = [open.clone(), varint(number << 3 | 4).repeat(depth)].concat();
                let (open, closed) = (Bytes::from(open), Bytes::from(closed));
                for (name, door) in DOORS {
                    assert!(refused(door(&open)), "{name} took open groups");
                    assert!(refused(door(&closed)), "{name} took groups");
                    // In a field that is known it is not what the field holds; in another one it is not looked at, and
                    // a message of nothing else lacks all its parts.
                    assert!(door(&messages).is_err(), "{name} took {depth} of {number}");
                }
                for body in [16, 17, 18, 19, 20, 21, 27] {
                    let inside = delimited(body, &messages);
                    let _ = Content::decode(&[before_the_body(), inside].concat().into());
                    let groups = delimited(body, &open);
                    let raw = [before_the_body(), groups].concat();
                    assert!(refused(Content::decode(&raw.into()).map(drop)), "groups in {body}");
                }
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(attack).unwrap();
    thread.join().unwrap();
}

/// The most memory that a call held at once.
fn peak(call: impl FnOnce()) -> u64 {
    allocation_counter::measure(call).bytes_max
}

// Tests [elements-are-capped], [lengths-within].
// Seen to fail with the caps of `Shape` lifted.
#[test]
fn t29_memory_follows_the_input_and_not_its_claims() {
    let mut inputs: Vec<Vec<u8>> = Vec::new();
    for number in 1..=32 {
        // Ten bytes behind a length of 2^63 or nearly so, and a packed field that claims 2^31.
        for claim in [1 << 63, (1 << 63) - 1, u64::MAX, 1 << 31] {
            for before in [Vec::new(), before_the_body()] {
                let lying = [varint(number << 3 | 2), varint(claim), vec![1; 10]].concat();
                let raw = Bytes::from([before, lying].concat());
                for (name, door) in DOORS {
                    assert!(door(&raw).is_err(), "{name} believed a length of {claim}");
                }
                inputs.push(raw.to_vec());
            }
        }
        // As many empty elements as fit: at the top, inside every body, and behind a content that is whole so far.
        for size in [1 << 10, 50_000, 65_000, 1 << 20] {
            let empty = delimited(number, &[]);
            let many: Vec<u8> = empty.iter().copied().cycle().take(size / 2 * 2).collect();
            inputs.push(many.clone());
            inputs.push([before_the_body(), many.clone()].concat());
            if size < limits::CONTENT_MAX {
                for body in 16..28 {
                    let inside = delimited(body, &many);
                    inputs.push([before_the_body(), inside].concat());
                }
            }
        }
        inputs.push([before_the_body(), delimited(number, &varint(1).repeat(50_000))].concat());
    }
    let mut most = 0_f64;
    for input in inputs {
        let bound = 8 * input.len() as u64 + 64 * 1024;
        let bytes = Bytes::from(input);
        for (name, door) in DOORS {
            let held = peak(|| {
                let _ = door(&bytes);
            });
            assert!(held <= bound, "{name} held {held} for {} bytes", bytes.len());
            most = most.max(held as f64 / bound as f64);
        }
    }
    // The counter counts: a real content holds something.
    let real = Bytes::from(corpus::seeds("content").swap_remove(1).1);
    assert!(peak(|| drop(Content::decode(&real))) > 0);
    assert!(most > 0.0);
}

/// Moments that no clock shows: i64::MIN and -1 as protobuf writes them, the year 292 billion, and the last of 64 bits.
const BEYOND: [u64; 6] =
    [1 << 63, u64::MAX, i64::MAX as u64, i64::MAX as u64 / 1000, (1 << 63) + 1, u64::MAX - 1];

// Tests [content-limits]. Seen to fail with the limit of the sending time lifted.
#[test]
fn t30_times_beyond_time_are_refused() {
    for millis in BEYOND.into_iter().chain([limits::SENT_AT_MS_MAX + 1]) {
        let mut late = content("x");
        late.sent_at = Timestamp(millis);
        assert!(late.encode().is_err());
        // The same by hand, since an attacker asks no encoder.
        let raw = [
            delimited(1, &[9; 16]),
            varint(2 << 3),
            varint(millis),
            delimited(17, &delimited(1, b"x")),
        ];
        assert_eq!(
            Content::decode(&raw.concat().into()),
            Err(DecodeError::Invalid("sending time"))
        );
    }
    let mut last = content("x");
    last.sent_at = Timestamp(limits::SENT_AT_MS_MAX);
    assert!(last.encode().is_ok());
    // Other parts of a second do not exist: a field of nanoseconds is not known, and one of seconds has 32 bits.
    let expiry = |seconds: u64| {
        let raw = [
            delimited(1, &[9; 16]),
            varint(6 << 3),
            varint(seconds),
            delimited(17, &delimited(1, b"x")),
        ];
        Content::decode(&raw.concat().into())
    };
    assert!(expiry(u32::MAX.into()).is_ok());
    for seconds in BEYOND.into_iter().chain([1 << 32]) {
        assert_eq!(expiry(seconds), Err(DecodeError::OutOfRange(6)));
    }
}

// Where a time is no limit of the wire, it is a number that nothing is counted from without care: SPEC §8.2, §8.4, §6.2.
#[test]
fn t30_times_in_money_and_keys_end_in_an_error_or_an_answer() {
    let request = money::request();
    for millis in BEYOND {
        let mut early = request.clone();
        early.created_at = Timestamp(millis);
        assert!(early.encode().is_err(), "it expires before it was made");
        let mut long = request.clone();
        long.expires_at = Timestamp(millis);
        let (_, read) = PaymentRequest::decode(&long.encode().unwrap()).unwrap();
        assert_eq!(read.expires_at.saturating_since(Timestamp(0)).as_millis(), u128::from(millis));
        assert!(read.expires_at.saturating_add(std::time::Duration::MAX) >= read.expires_at);
        let mut statement = money::receipt(&key()).claims().clone();
        statement.at = Timestamp(millis);
        assert_eq!(ReceiptStatement::decode(&statement.encode()), Ok(statement));
        let mut payment = money::payment(2);
        payment.locktime = millis;
        assert_eq!(Payment::decode(&payment.encode()).unwrap().locktime, millis);
        let mut descriptor = money::descriptor(&key().verifying_key());
        (descriptor.not_before, descriptor.not_after) = (Timestamp(millis), Timestamp(millis));
        assert_eq!(Descriptor::decode(&descriptor.encode()), Ok(descriptor));
    }
}

// Tests [varint-shortest], [field-once]. Seen to fail with either check of the scanner removed.
#[test]
fn t31_one_value_has_one_form() {
    let body = delimited(17, &delimited(1, b"x"));
    let with = |time: &[u8]| -> Result<Content, DecodeError> {
        Content::decode(&[&delimited(1, &[9; 16]), &[16][..], time, &body].concat().into())
    };
    assert!(with(&[1]).is_ok());
    assert_eq!(with(&[0x81, 0]), Err(DecodeError::Varint), "overlong one");
    assert_eq!(with(&[0x80, 0]), Err(DecodeError::Varint), "overlong zero");
    let eleven = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(with(&eleven), Err(DecodeError::Varint), "eleven bytes");
    let tenth = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
    assert_eq!(with(&tenth), Err(DecodeError::Varint), "a tenth byte above 1");
    assert_eq!(with(&[1, 16, 2]), Err(DecodeError::Repeated(2)), "a scalar twice");
    assert_eq!(with(&[]).err().map(|_| ()), Some(()), "no value");

    let whole = content("x").encode().unwrap();
    for trailing in [&[0][..], &[8], &[0x0a], &[0xff]] {
        let raw = [&whole[..], trailing].concat();
        assert!(Content::decode(&raw.into()).is_err(), "trailing {trailing:?}");
    }
    for (name, door) in DOORS {
        assert!(door(&Bytes::new()).is_err(), "{name} took a message without its required parts");
    }
    // What the encoder writes is what the decoder reads, and nothing else says the same.
    assert_eq!(Content::decode(&whole).unwrap().encode().unwrap(), whole);
}

// Tests [varint-shortest], [field-once], [one-body], [unknown-body].
#[test]
fn t31_what_a_schema_does_not_know_is_refused_or_kept_and_never_guessed() {
    // An enum of the relay's frames with a number of a later version, and no oneof at all.
    let frame =
        |number: u64, body: &[u8]| Bytes::from([&[8, 1][..], &delimited(number, body)].concat());
    for unknown in [0, 3, 100, u64::from(u32::MAX)] {
        let kind = [
            delimited(1, &[1; 32]),
            delimited(2, &[2; 8]),
            [varint(3 << 3), varint(unknown)].concat(),
            vec![40, 1, 48, 1],
        ];
        assert!(
            FromClient::decode(&frame(4, &kind.concat())).is_err(),
            "capability kind {unknown}"
        );
        let refused = [varint(1 << 3), varint(unknown + 8)].concat();
        assert!(FromRelay::decode(&frame(4, &refused)).is_err(), "refusal {unknown}");
    }
    for number in [1, 13, 19, 25, 99] {
        assert!(FromClient::decode(&frame(number, b"")).is_err(), "request {number}");
    }
    assert!(FromClient::decode(&Bytes::from_static(&[8, 1])).is_err(), "a request for nothing");
    assert!(FromRelay::decode(&Bytes::from_static(&[8, 1])).is_err(), "an answer of nothing");
    // A receipt of a later kind is kept as it came; a decline for a later reason is a decline.
    let raw = Bytes::from(
        [before_the_body(), delimited(18, &[vec![8, 7], delimited(2, &[5; 32])].concat())].concat(),
    );
    let read = Content::decode(&raw).unwrap();
    assert!(matches!(read.body, Body::Unknown(_)));
    assert_eq!(read.encode().unwrap(), raw);
    // Two bodies, or one of them twice, are none.
    for (one, other) in [(17, 17), (17, 18), (17, 99), (99, 99)] {
        let body = |number| delimited(number, &delimited(1, b"x"));
        let raw = [before_the_body(), body(one), body(other)].concat();
        assert!(Content::decode(&raw.into()).is_err(), "{one} and {other}");
    }
}

// Tests [one-encoding], [no-trailing-bytes]: what is signed or hashed in a layout of its own has one encoding. Whatever
// was altered is refused, or is another value that encodes to exactly the altered bytes.
#[test]
fn t31_what_decodes_encodes_to_the_same_bytes() {
    type Again = fn(&[u8]) -> Option<Vec<u8>>;
    let doors: [(&str, Vec<u8>, Again); 6] = [
        ("statement", money::receipt(&key()).claims().encode().to_vec(), |bytes| {
            ReceiptStatement::decode(bytes).ok().map(|read| read.encode().to_vec())
        }),
        ("descriptor", money::descriptor(&key().verifying_key()).encode().to_vec(), |bytes| {
            Descriptor::decode(bytes).ok().map(|read| read.encode().to_vec())
        }),
        ("link", money::link().encode().to_vec(), |bytes| {
            ContactLink::decode(bytes).ok().map(|read| read.encode().to_vec())
        }),
        ("payment", money::payment(2).encode().to_vec(), |bytes| {
            // Unknown fields are allowed in protobuf and named by the hash of what came: only known ones are altered here.
            Payment::decode(&Bytes::copy_from_slice(bytes)).ok().map(|read| read.encode().to_vec())
        }),
        ("request", money::request().encode().unwrap().to_vec(), |bytes| {
            PaymentRequest::decode(&Bytes::copy_from_slice(bytes))
                .ok()
                .map(|(_, read)| read.encode().unwrap().to_vec())
        }),
        ("receipt", money::receipt(&key()).encode().to_vec(), |bytes| {
            PaymentReceipt::decode(&Bytes::copy_from_slice(bytes))
                .ok()
                .map(|read| read.encode().to_vec())
        }),
    ];
    for (name, whole, again) in doors {
        assert_eq!(again(&whole).as_ref(), Some(&whole), "{name}");
        let mut altered_and_taken = 0;
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut altered = whole.clone();
                altered[at] ^= 1 << bit;
                if let Some(encoded) = again(&altered) {
                    // A flip in a key of protobuf makes the field unknown: then it is gone from what is known, and the
                    // hash is of what came all the same.
                    let protobuf = matches!(name, "payment" | "request" | "receipt");
                    assert!(
                        encoded == altered || (protobuf && encoded.len() < altered.len()),
                        "{name}: byte {at}"
                    );
                    altered_and_taken += 1;
                }
            }
        }
        assert!(altered_and_taken > 0, "{name} has no part that may vary");
        for cut in 1..whole.len() {
            if let Some(encoded) = again(&whole[..cut]) {
                assert_eq!(encoded, whole[..cut], "{name} cut to {cut}");
            }
        }
        if matches!(name, "statement" | "descriptor" | "link") {
            for extra in [&[0][..], &[1], &[0; 8]] {
                assert_eq!(
                    again(&[&whole[..], extra].concat()),
                    None,
                    "{name} with something behind"
                );
            }
        }
    }
}

// Tests [hash-what-came]. Seen to fail with `MessageId::of` given `content.encode()` in place of what came.
#[test]
fn t32_an_id_is_of_the_bytes_that_came() {
    let (conversation, sender) = ([1; 32], [2; 32]);
    let id = |raw: &Bytes| MessageId::of(&conversation, &sender, raw);
    let ours = content("pay me").encode().unwrap();
    let body = delimited(17, &delimited(1, b"pay me"));
    let rest = &ours[..ours.len() - body.len()];
    assert_eq!([rest, &body].concat(), ours);
    // The same content with its parts in another order, and with a field of a later version before or behind.
    let turned = Bytes::from([&body[..], rest].concat());
    let later = Bytes::from([&ours[..], &delimited(9, b"new")].concat());
    let mut ids = vec![id(&ours)];
    for came in [turned, later] {
        let read = Content::decode(&came).unwrap();
        assert_eq!(read.body, Body::Text("pay me".into()), "what is known keeps its meaning");
        assert_eq!(read.encode().unwrap(), ours, "this is what a re-encoding would hash");
        ids.push(id(&came));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "two messages that differ in a byte have one id");

    // What is signed in a payment reaches the verifier as it came.
    let signed = Bytes::from(delimited(99, b"later field, signed too"));
    let mut money = content("");
    money.body = Body::PaymentRequest(signed.clone());
    let raw = money.encode().unwrap();
    assert_eq!(Content::decode(&raw).unwrap().body, Body::PaymentRequest(signed));
}

// Tests [request-id-of-the-bytes], [receipt-signed], [signed-bytes-as-received].
#[test]
fn t32_money_is_named_and_signed_as_it_came() {
    let ours = money::request().encode().unwrap();
    let (id, read) = PaymentRequest::decode(&ours).unwrap();
    // A field of a later version before or behind, and two known ones changed about.
    let later = delimited(77, b"of a later version");
    let nonce = delimited(1, &money::request().nonce);
    assert!(ours.starts_with(&nonce));
    let turned = [&ours[nonce.len()..], &nonce].concat();
    let mut ids = vec![id];
    for came in [[&ours[..], &later].concat(), [&later[..], &ours].concat(), turned] {
        let came = Bytes::from(came);
        let (id, same) = PaymentRequest::decode(&came).unwrap();
        assert_eq!(same, read, "what is known keeps its meaning");
        assert_eq!(same.encode().unwrap(), ours, "this is what a re-encoding would hash");
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "two requests that differ in a byte have one id");

    // Around a statement anything may stand, and it verifies; in it nothing may.
    let key = key();
    let signed = money::receipt(&key);
    let around = Bytes::from([&signed.encode()[..], &later].concat());
    let read = PaymentReceipt::decode(&around).unwrap();
    assert_eq!(read.verify(&key.verifying_key()).unwrap(), signed.claims());
    let statement = signed.claims().encode();
    for at in 0..statement.len() {
        let mut altered = statement.to_vec();
        altered[at] ^= 1;
        let signature = &signed.encode()[signed.encode().len() - 64..];
        let raw = [delimited(1, &altered), delimited(2, signature)].concat();
        let read = PaymentReceipt::decode(&raw.into());
        assert!(!read.is_ok_and(|read| read.verify(&key.verifying_key()).is_ok()), "byte {at}");
    }
}

// Tests [display-text], [display-one-alphabet].
#[test]
fn t33_words_beside_an_amount_show_what_they_are() {
    let whole = money::request();
    assert!(whole.encode().is_ok());
    let raw = |memo: &[u8], item: &[u8]| {
        // By hand: an attacker asks no encoder.
        let line = [delimited(1, item), vec![16, 1], [vec![24], varint(1_250)].concat()].concat();
        let ours = whole.encode().unwrap();
        Bytes::from([&ours[..], &delimited(5, &line), &delimited(6, memo)].concat())
    };
    assert!(PaymentRequest::decode(&raw(b"lunch", b"two soups")).is_ok());
    let bad: &[&[u8]] = &[
        b"\xff",
        b"lunch\xc0\xaf",
        "12.50 \u{202e}00.1".as_bytes(),
        "\u{2067}hidden\u{2069}".as_bytes(),
        "pay\u{200b}pal".as_bytes(),
        "pay\u{2060}pal".as_bytes(),
        "pay\u{ad}pal".as_bytes(),
        "p\u{430}ypal".as_bytes(),
        "\u{1d429}aypal".as_bytes(),
        b"one\ntwo",
        b"\x1b[2J",
        b" edge",
    ];
    for bad in bad {
        assert!(PaymentRequest::decode(&raw(bad, b"soup")).is_err(), "memo {bad:?}");
        assert!(PaymentRequest::decode(&raw(b"lunch", bad)).is_err(), "line item {bad:?}");
        let Ok(text) = std::str::from_utf8(bad) else { continue };
        let shown = sanitised(text);
        assert!(shown == text.trim_matches(' ') || shown.contains('\u{fffd}') || text == " edge");
    }
    // Where coins come from is ASCII, and a currency lower-case ASCII.
    for url in
        ["https://b\u{430}nk.example", "https://bank.example/\u{202e}", "https://bänk.example"]
    {
        assert!(IssuerUrl::parse(url).is_err(), "{url}");
    }
    for code in ["c\u{43d}op", "chop\u{200b}", "CHOP", "ch op"] {
        assert!(Unit::new(code, 2).is_err(), "{code}");
    }
}
