//! Contents that come back, contents of later versions, and contents that are refused.

use super::*;
use crate::{address::RelayAddress, identity::Endpoint};

fn content(body: Body) -> Content {
    Content {
        salt: [9; 16],
        sent_at: Timestamp(1_700_000_000_000),
        fallback: Fallback::default(),
        reply_to: None,
        thread_root: None,
        expiry: None,
        extensions: Vec::new(),
        body,
    }
}

fn id(byte: u8) -> MessageId {
    MessageId::from_bytes([byte; 32])
}

fn bodies() -> Vec<Body> {
    let relay = RelayAddress::new("relay.example", 4433, [1; 16]).unwrap();
    let renewal = Some([4; 16]);
    let endpoint = Endpoint { relay, capability: [2; 32], priority: 0, version: 1, renewal };
    let mut lock_key = [7; 33];
    lock_key[0] = 2;
    let messages = vec![id(1), id(2)];
    let payment = Bytes::from_static(b"signed elsewhere");
    vec![
        Body::Introduction(Introduction { endpoints: vec![endpoint], lock_keys: vec![lock_key] }),
        Body::Text("hello".into()),
        Body::Receipt(Receipt { kind: ReceiptKind::Delivered, messages: messages.clone() }),
        Body::Receipt(Receipt { kind: ReceiptKind::Read, messages }),
        Body::Reaction(Reaction { message: id(1), emoji: "👍".into() }),
        Body::Reaction(Reaction { message: id(1), emoji: String::new() }),
        Body::Edit(Edit { message: id(1), text: "hallo".into() }),
        Body::Retract(id(1)),
        Body::PaymentRequest(payment.clone()),
        Body::Payment(payment.clone()),
        Body::PaymentReceipt(payment.clone()),
        Body::PaymentDecline(payment.clone()),
        Body::PaymentCancel(payment.clone()),
        Body::Custom(Custom { kind: "com.example.poll".into(), data: payment }),
    ]
}

#[test]
fn every_body_comes_back() {
    for body in bodies() {
        let content = content(body);
        assert_eq!(Content::decode(&content.encode().unwrap()).unwrap(), content);
    }
}

#[test]
fn every_other_part_comes_back() {
    let content = Content {
        fallback: Fallback { policy: FallbackPolicy::Hide, text: "something".into() },
        reply_to: Some(id(3)),
        thread_root: Some(id(4)),
        expiry: Some(Duration::from_secs(3_600)),
        extensions: vec![Extension { id: 5, critical: false, data: Bytes::from_static(b"x") }],
        ..content(Body::Text("hello".into()))
    };
    assert_eq!(Content::decode(&content.encode().unwrap()).unwrap(), content);
}

// Tests [unknown-body]. Seen to fail with `later_bodies` returning 0.
#[test]
fn a_body_of_a_later_version_is_kept_as_it_came() {
    let mut raw = content(Body::Text("x".into())).encode().unwrap().to_vec();
    // Field 17 becomes field 60, which no version has yet.
    let body = raw.len() - 6;
    raw.splice(body..body + 2, [0xe2, 0x03]);
    let raw = Bytes::from(raw);
    let later = Content::decode(&raw).unwrap();
    assert_eq!(later.body, Body::Unknown(UnknownBody { raw: raw.clone() }));
    assert_eq!(later.encode().unwrap(), raw);
}

// Tests [critical-extension]. Seen to fail with the flag ignored.
#[test]
fn an_unknown_critical_extension_makes_the_body_unknown() {
    let extension = Extension { id: 5, critical: true, data: Bytes::new() };
    let content = Content { extensions: vec![extension], ..content(Body::Text("x".into())) };
    let raw = content.encode().unwrap();
    assert_eq!(Content::decode(&raw).unwrap().body, Body::Unknown(UnknownBody { raw }));
}

// Tests [one-body].
#[test]
fn a_content_has_one_body() {
    let one = content(Body::Text("x".into())).encode().unwrap().to_vec();
    let none = Bytes::copy_from_slice(&one[..one.len() - 6]);
    assert_eq!(Content::decode(&none), Err(DecodeError::Missing("body")));
    let two = Bytes::from([&one[..], &[0xb2, 1, 1, 0]].concat());
    assert_eq!(Content::decode(&two), Err(DecodeError::Repeated(22)));
    let known_and_later = Bytes::from([&one[..], &[0xe2, 3, 0]].concat());
    assert_eq!(Content::decode(&known_and_later), Err(DecodeError::Invalid("body")));
}

#[test]
fn a_message_id_binds_conversation_sender_and_bytes() {
    let base = MessageId::of(&[1; 32], &[2; 32], b"raw");
    assert_eq!(base, MessageId::of(&[1; 32], &[2; 32], b"raw"));
    assert_ne!(base, MessageId::of(&[2; 32], &[2; 32], b"raw"));
    assert_ne!(base, MessageId::of(&[1; 32], &[1; 32], b"raw"));
    assert_ne!(base, MessageId::of(&[1; 32], &[2; 32], b"Raw"));
}

// Tests [content-limits]. Seen to fail with each limit lifted.
#[test]
fn what_is_too_long_or_empty_is_not_sent() {
    let invalid = |content: Content, what| {
        assert_eq!(content.encode(), Err(EncodeError(DecodeError::Invalid(what))));
    };
    invalid(content(Body::Text(String::new())), "text");
    invalid(content(Body::Text("a".repeat(limits::TEXT_MAX + 1))), "text");
    let emoji = "a".repeat(limits::REACTION_MAX + 1);
    invalid(content(Body::Reaction(Reaction { message: id(1), emoji })), "reaction");
    invalid(content(Body::Payment(Bytes::new())), "payment body");
    let kind = "Upper".to_owned();
    let custom = Body::Custom(Custom { kind, data: Bytes::new() });
    invalid(content(custom), "name of the custom body");
    let text = "a".repeat(limits::FALLBACK_TEXT_MAX + 1);
    let fallback = Fallback { policy: FallbackPolicy::Show, text };
    invalid(Content { fallback, ..content(Body::Text("x".into())) }, "fallback text");
    let sent_at = Timestamp(limits::SENT_AT_MS_MAX + 1);
    invalid(Content { sent_at, ..content(Body::Text("x".into())) }, "sending time");
    let introduction = Introduction { endpoints: Vec::new(), lock_keys: Vec::new() };
    assert_eq!(
        content(Body::Introduction(introduction)).encode(),
        Err(EncodeError(DecodeError::Missing("endpoint")))
    );
    let Body::Introduction(full) = bodies().remove(0) else { panic!("bodies begin with it") };
    let endpoints = vec![full.endpoints[0].clone(); limits::ENDPOINTS_MAX + 1];
    let crowded = Body::Introduction(Introduction { endpoints, ..full });
    assert_eq!(
        content(crowded).encode(),
        Err(EncodeError(DecodeError::TooMany { field: 1, max: 4 }))
    );
}

#[test]
fn debug_says_nothing_of_what_was_said() {
    let shown = format!("{:?}", content(Body::Text("secret words".into())));
    assert_eq!(shown, "Content { body: Text(..), .. }");
}
