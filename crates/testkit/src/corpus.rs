//! Where the fuzz targets begin: one well-formed input of every kind, and ways to bend it.

mod relay;
mod scripts;

use std::time::Duration;

use bytes::Bytes;
use chopmark_core::{secret::Secret, time::Timestamp};
use chopmark_wire::{
    address::RelayAddress,
    content::{
        Body, Content, Custom, Edit, Extension, Fallback, FallbackPolicy, Introduction, MessageId,
        Reaction, Receipt, ReceiptKind,
    },
    identity::Endpoint,
    link::{ContactLink, LinkUse},
    payload::{ManifestMark, Payload, ResendAfter},
    relay::{
        Capability, CapabilityKind, Deposit, Fetch, FetchId, FromClient, Grant, Handle, Rate,
        Request, RequestId, TtlClass, Urgency,
    },
};
use rand::RngExt as _;
use rand_chacha::ChaCha20Rng;

use crate::{
    party::{self, Party},
    seed::Seed,
};

/// The seeds of a target, by name. A target that nobody knows has none. Those named `live` are made by the core and change
/// with it.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let seeds: Vec<Vec<u8>> = match target {
        "content" => contents(),
        "envelope" => payloads(),
        "wire_frame" => frames(),
        "link" => links(),
        "state_import" => scripts::state_import(),
        "handshake" => scripts::handshake(),
        "chain_ops" => scripts::chain_ops(),
        "header" => scripts::header(),
        "kem_epoch" => scripts::kem_epoch(),
        "session_ops" => scripts::session_ops(),
        "relay_session" => relay::relay_session(),
        "store_ops" => scripts::store_ops(),
        _ => Vec::new(),
    };
    let live = if target == "envelope" { live() } else { Vec::new() };
    let named = |name: &'static str| move |(n, seed)| (format!("{name}-{n:02}"), seed);
    let seeds = seeds.into_iter().enumerate().map(named("seed"));
    seeds.chain(live.into_iter().enumerate().map(named("live"))).collect()
}

/// A first message, a later one, a state and a manifest.
fn live() -> Vec<Vec<u8>> {
    let mut rng = Seed::fixed(3).rng();
    let (mut alice, bob, first) = party::met(&mut rng);
    // The one envelope that the target's session opens: the same draws in the same order.
    let genuine = party::seal(&mut alice, b"genuine", &mut rng);
    let manifest = Party::new(&mut rng).manifest.as_bytes().to_vec();
    vec![first, genuine, bob.export().to_vec(), manifest]
}

/// One of `seeds` with a few bytes changed, cut, doubled or taken from another.
pub fn mutated(seeds: &[(String, Vec<u8>)], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let pick = |rng: &mut ChaCha20Rng, len: usize| rng.random_range(0..len.max(1));
    let other = |rng: &mut ChaCha20Rng| seeds[rng.random_range(0..seeds.len())].1.clone();
    let mut data = other(rng);
    for _ in 0..=pick(rng, 4) {
        let at = pick(rng, data.len());
        match rng.random_range(0..6) {
            0 if !data.is_empty() => data[at] = rng.random(),
            1 if !data.is_empty() => data[at] ^= 1 << pick(rng, 8),
            2 => data.truncate(at),
            3 => data.insert(at, rng.random()),
            4 => {
                let tail = data[at.min(data.len())..].to_vec();
                data.extend_from_slice(&tail);
            }
            _ => {
                let donor = other(rng);
                let from = pick(rng, donor.len());
                let to = from + pick(rng, donor.len() - from);
                data.splice(at..at, donor[from..to].iter().copied());
            }
        }
        data.truncate(1 << 16);
    }
    data
}

fn relay() -> RelayAddress {
    RelayAddress::new("relay.example.org", 4433, [7; 16]).expect("an address")
}

fn content(body: Body) -> Content {
    Content {
        salt: [9; 16],
        sent_at: Timestamp(1_767_225_600_000),
        fallback: Fallback::default(),
        reply_to: None,
        thread_root: None,
        expiry: None,
        extensions: Vec::new(),
        body,
    }
}

fn contents() -> Vec<Vec<u8>> {
    let id = MessageId::from_bytes([5; 32]);
    let renewal = Some([3; 16]);
    let endpoint =
        Endpoint { relay: relay(), capability: [2; 32], priority: 0, version: 1, renewal };
    let money = Bytes::from_static(&[10, 4, 1, 2, 3, 4]);
    let receipt = |kind| Body::Receipt(Receipt { kind, messages: vec![id, id] });
    let introduction = |count: usize| {
        let endpoints = vec![endpoint.clone(); count];
        Body::Introduction(Introduction { endpoints, lock_keys: vec![[2; 33]] })
    };
    let mut contents: Vec<Content> = [
        introduction(1),
        introduction(4),
        Body::Text("hello".into()),
        receipt(ReceiptKind::Delivered),
        receipt(ReceiptKind::Read),
        Body::Reaction(Reaction { message: id, emoji: "👍".into() }),
        Body::Edit(Edit { message: id, text: "hallo".into() }),
        Body::Retract(id),
        Body::PaymentRequest(money.clone()),
        Body::Payment(money.clone()),
        Body::PaymentReceipt(money.clone()),
        Body::PaymentDecline(money.clone()),
        Body::PaymentCancel(money.clone()),
        Body::Custom(Custom { kind: "com.example.poll".into(), data: money }),
    ]
    .map(content)
    .into();
    contents.push(Content {
        fallback: Fallback { policy: FallbackPolicy::Hide, text: "newer".into() },
        reply_to: Some(id),
        thread_root: Some(id),
        expiry: Some(Duration::from_secs(60)),
        extensions: vec![
            Extension { id: 1, critical: false, data: Bytes::from_static(b"x") },
            Extension { id: 2, critical: true, data: Bytes::new() },
        ],
        ..content(Body::Text("all parts".into()))
    });
    contents.push(Content {
        reply_to: Some(MessageId::from_bytes([6; 32])),
        thread_root: Some(id),
        expiry: Some(Duration::from_secs(3_600)),
        extensions: vec![Extension { id: 3, critical: false, data: Bytes::from_static(b"y") }],
        ..content(Body::Text("all parts that are known".into()))
    });
    let mut raw: Vec<Vec<u8>> = contents
        .iter()
        .map(|content| content.encode().expect("a seed is well-formed").to_vec())
        .collect();
    // A body of a later version: field 60.
    let mut later = raw[2].clone();
    let body = later.len() - 10;
    later.splice(body..body + 2, [0xe2, 3]);
    raw.push(later);
    raw
}

fn payloads() -> Vec<Vec<u8>> {
    let manifest = ManifestMark { recovery_epoch: 1, version: 2, hash: [3; 16] };
    let probe = Payload { manifest, manifest_bytes: None, content: None, resend_after: None };
    let mut payloads = vec![
        probe.clone(),
        Payload { manifest_bytes: Some(Bytes::from_static(&[1; 64])), ..probe.clone() },
        Payload { resend_after: Some(ResendAfter { chain: [4; 8], count: 5 }), ..probe.clone() },
    ];
    for content in contents() {
        payloads.push(Payload { content: Some(content.into()), ..probe.clone() });
    }
    let encode = |payload: &Payload| payload.encode().expect("a seed is well-formed").to_vec();
    payloads.iter().map(encode).collect()
}

fn frames() -> Vec<Vec<u8>> {
    let capability = Capability::new(Secret::new([1; 32]));
    let grant = Grant {
        capability: capability.hash(),
        handle: Handle([2; 8]),
        kind: CapabilityKind::Knock,
        expires: None,
        rate: Rate::KNOCK,
    };
    let deposit = Deposit {
        capability: capability.clone(),
        ttl: TtlClass::Month,
        urgency: Urgency::default(),
        envelope: Bytes::from(vec![0; 2_048]),
    };
    let requests = [
        Request::Create { token: None },
        Request::Delete,
        Request::Subscribe { after: 7 },
        Request::Revoke(capability.hash()),
        Request::Probe(capability.clone()),
        Request::Grant(grant),
        Request::Deposit(deposit),
        Request::Fetch(Fetch { knock: capability, id: FetchId([3; 16]) }),
    ];
    let mut frames: Vec<Vec<u8>> = requests
        .into_iter()
        .map(|request| FromClient::Request { id: RequestId::FIRST, request }.encode().to_vec())
        .collect();
    frames.push(FromClient::Ack(vec![1, 2, 3]).encode().to_vec());
    frames.push(frames.iter().take(4).flatten().copied().collect());
    // The doors take a frame without its length; the cutter takes it with.
    let bare: Vec<Vec<u8>> = frames.iter().take(9).map(|frame| frame[4..].to_vec()).collect();
    frames.extend(bare);
    frames
}

fn links() -> Vec<Vec<u8>> {
    let mut links = Vec::new();
    for host in ["relay.example.org", "127.0.0.1", "[::1]"] {
        for uses in [LinkUse::OneTime, LinkUse::Reusable] {
            let relay = RelayAddress::new(host, 4433, [7; 16]).expect("an address");
            let link = ContactLink::new(uses, [1; 32], relay, [0xa5; 16]);
            links.push(link.encode().to_vec());
            links.push(link.to_string().into_bytes());
            links.push(link.to_qr_text().into_bytes());
            // One that goes on behind its end.
            links.push([&link.encode()[..], &[0]].concat());
        }
    }
    links
}
