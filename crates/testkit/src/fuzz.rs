//! Bodies of the fuzz targets, as plain functions: `fuzz/` calls them with libFuzzer, the tests here with the corpora.
//!
//! A body panics when a door breaks a promise: what it takes can be written again, what was written is taken again and
//! means the same, and no input makes it panic itself.

use std::sync::OnceLock;

use bytes::Bytes;
use chopmark_core::{handshake::InitBlock, identity::SignedManifest, session::Session};
use chopmark_wire::{
    content::{Body, Content},
    link::ContactLink,
    payload::Payload,
    payment::{Payment, PaymentCancel, PaymentDecline, PaymentReceipt, PaymentRequest},
    relay::{FrameReader, FromClient, FromRelay},
};

use crate::{party, seed::Seed};

/// One target: its name, which is that of its corpus, and its body.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The folder in `fuzz/corpus/`.
    pub name: &'static str,
    /// Takes any bytes.
    pub body: fn(&[u8]),
}

/// Every target of `fuzz/`.
pub const TARGETS: &[Target] = &[
    Target { name: "envelope", body: envelope },
    Target { name: "wire_frame", body: wire_frame },
    Target { name: "content", body: content },
    Target { name: "link", body: link },
];

/// An envelope for a session, everything of the core that is read from outside, and what a sealed body held.
pub fn envelope(data: &[u8]) {
    sealed(data);
    payload(data);
}

/// What the core reads: it takes what was made for it, once, and nothing else.
fn sealed(data: &[u8]) {
    // Two sessions, made once: to open is pure.
    static SESSIONS: OnceLock<(Vec<u8>, Session, Vec<u8>)> = OnceLock::new();
    let (state, session, genuine) = SESSIONS.get_or_init(|| {
        let mut rng = Seed::fixed(3).rng();
        let (mut alice, bob, _) = party::met(&mut rng);
        let genuine = party::seal(&mut alice, b"genuine", &mut rng);
        (bob.export().to_vec(), bob, genuine)
    });
    if session.open(data, party::NOW).is_ok() {
        assert!(data == genuine.as_slice(), "a forgery was opened");
    }
    assert!(session.export().as_slice() == state.as_slice(), "opening changed the session");
    let _ = InitBlock::peek(data);
    if let Ok(read) = Session::import(data) {
        assert!(read.export().as_slice() == data, "a state has two forms");
    }
    if let Ok(read) = SignedManifest::verify(data) {
        assert!(read.as_bytes() == data, "a manifest has two forms");
    }
}

fn payload(data: &[u8]) {
    let Ok(payload) = Payload::decode(&Bytes::copy_from_slice(data)) else { return };
    let again = payload.encode().expect("what was taken can be sent");
    assert_eq!(Payload::decode(&again).as_ref(), Ok(&payload), "a payload changed by being sent");
    assert!(again.len() <= data.len(), "a payload grew by being sent");
    if let Some(inner) = &payload.content {
        content(inner);
    }
}

/// A content and, where it is of money, the message inside its body.
pub fn content(data: &[u8]) {
    let Ok(read) = Content::decode(&Bytes::copy_from_slice(data)) else { return };
    let again = read.encode().expect("what was taken can be sent");
    let back = Content::decode(&again).expect("what was sent is taken");
    assert_eq!(back.encode().as_ref(), Ok(&again), "a content has two forms");
    match &read.body {
        Body::Unknown(unknown) => assert_eq!(unknown.raw, data, "an unknown body was not kept"),
        _ => assert!(back == read, "a content changed by being sent"),
    }
    match &read.body {
        Body::PaymentRequest(bytes) => {
            if let Ok((_, request)) = PaymentRequest::decode(bytes) {
                let again = request.encode().expect("what was taken can be sent");
                assert!(PaymentRequest::decode(&again).is_ok(), "a request cannot be sent again");
            }
        }
        Body::Payment(bytes) => {
            if let Ok(payment) = Payment::decode(bytes) {
                let back = Payment::decode(&payment.encode());
                assert!(back.as_ref() == Ok(&payment), "a payment changed by being sent");
            }
        }
        Body::PaymentReceipt(bytes) => drop(PaymentReceipt::decode(bytes)),
        Body::PaymentDecline(bytes) => drop(PaymentDecline::decode(bytes)),
        Body::PaymentCancel(bytes) => drop(PaymentCancel::decode(bytes)),
        _ => {}
    }
}

/// Frames of both directions, alone and cut from a stream that arrives in two pieces.
pub fn wire_frame(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    if let Ok(read) = FromClient::decode(&frame) {
        assert_eq!(FromClient::decode(&without_length(&read.encode())), Ok(read));
    }
    if let Ok(read) = FromRelay::decode(&frame) {
        assert_eq!(FromRelay::decode(&without_length(&read.encode())), Ok(read));
    }
    let mut whole = FrameReader::new();
    whole.push(data);
    let mut pieces = FrameReader::new();
    let middle = data.first().map_or(0, |first| usize::from(*first) % data.len());
    pieces.push(&data[..middle]);
    let mut early = Vec::new();
    while let Ok(Some(frame)) = pieces.next_frame() {
        early.push(frame);
    }
    pieces.push(&data[middle..]);
    for expected in early {
        assert_eq!(whole.next_frame(), Ok(Some(expected)), "cutting depends on the pieces");
    }
    loop {
        let (one, other) = (whole.next_frame(), pieces.next_frame());
        assert_eq!(one, other, "cutting depends on the pieces");
        if !matches!(one, Ok(Some(_))) {
            break;
        }
    }
}

fn without_length(frame: &Bytes) -> Bytes {
    let mut reader = FrameReader::new();
    reader.push(frame);
    reader.next_frame().ok().flatten().expect("an encoded frame is whole")
}

/// A contact link, as bytes and as text.
pub fn link(data: &[u8]) {
    if let Ok(read) = ContactLink::decode(data) {
        assert_eq!(read.encode().as_slice(), data, "a link has two forms");
        assert_eq!(read.to_string().parse::<ContactLink>().as_ref(), Ok(&read));
        assert_eq!(read.to_qr_text().parse::<ContactLink>().as_ref(), Ok(&read));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(read) = text.parse::<ContactLink>() {
        let known = [read.to_string(), read.to_qr_text()];
        assert!(
            known.iter().any(|known| known.eq_ignore_ascii_case(text)),
            "a link has three texts"
        );
    }
}

#[cfg(test)]
mod tests;
