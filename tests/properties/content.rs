//! Contents, payloads and frames: what is sent is what arrives.

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
    payload::{ManifestMark, Payload, ResendAfter},
    relay::{
        Capability, CapabilityHash, CapabilityKind, Deposit, Fetch, FetchId, FrameReader,
        FromClient, Grant, Handle, Hour, Rate, Request, RequestId, TtlClass, Urgency,
    },
};
use proptest::prelude::*;

use super::cases;

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 1..max).prop_map(Bytes::from)
}

fn id() -> impl Strategy<Value = MessageId> {
    any::<[u8; 32]>().prop_map(MessageId::from_bytes)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (
        "[a-z]{1,9}\\.example",
        1_u16..,
        any::<[u8; 16]>(),
        any::<([u8; 32], u32, u32, Option<[u8; 16]>)>(),
    )
        .prop_map(|(host, port, hash, (capability, priority, version, renewal))| {
            let relay = RelayAddress::new(&host, port, hash).unwrap();
            Endpoint { relay, capability, priority, version, renewal }
        })
}

fn body() -> impl Strategy<Value = Body> {
    let kind = prop::sample::select(vec![ReceiptKind::Delivered, ReceiptKind::Read]);
    let lock_key = (2_u8..=3, any::<[u8; 32]>()).prop_map(|(sign, x)| {
        let mut key = [sign; 33];
        key[1..].copy_from_slice(&x);
        key
    });
    prop_oneof![
        "\\PC{1,60}".prop_map(Body::Text),
        (kind, prop::collection::vec(id(), 1..=64))
            .prop_map(|(kind, messages)| Body::Receipt(Receipt { kind, messages })),
        (id(), "\\PC{0,9}")
            .prop_map(|(message, emoji)| Body::Reaction(Reaction { message, emoji })),
        (id(), "\\PC{1,60}").prop_map(|(message, text)| Body::Edit(Edit { message, text })),
        id().prop_map(Body::Retract),
        bytes(99).prop_map(Body::PaymentRequest),
        bytes(99).prop_map(Body::Payment),
        bytes(99).prop_map(Body::PaymentReceipt),
        bytes(99).prop_map(Body::PaymentDecline),
        bytes(99).prop_map(Body::PaymentCancel),
        ("[a-z0-9.-]{1,64}", bytes(99))
            .prop_map(|(kind, data)| Body::Custom(Custom { kind, data })),
        (prop::collection::vec(endpoint(), 1..=4), prop::collection::vec(lock_key, 0..=4))
            .prop_map(|(endpoints, lock_keys)| Body::Introduction(Introduction {
                endpoints,
                lock_keys
            })),
    ]
}

prop_compose! {
    pub(super) fn content()(
        salt: [u8; 16], sent_at in 0_u64..=253_402_300_799_999, hide: bool, fallback in "\\PC{0,40}",
        reply_to in prop::option::of(id()), thread_root in prop::option::of(id()),
        expiry in prop::option::of(1_u32..), body in body(),
        extensions in prop::collection::btree_map(1_u32.., bytes(40), 0..4),
    ) -> Content {
        let policy = if hide { FallbackPolicy::Hide } else { FallbackPolicy::Show };
        Content {
            salt,
            sent_at: Timestamp(sent_at),
            fallback: Fallback { policy, text: fallback },
            reply_to,
            thread_root,
            expiry: expiry.map(|seconds| Duration::from_secs(seconds.into())),
            extensions: extensions
                .into_iter()
                .map(|(id, data)| Extension { id, critical: false, data })
                .collect(),
            body,
        }
    }
}

prop_compose! {
    pub(super) fn payload()(
        recovery_epoch: u32, version: u32, hash: [u8; 16], manifest in prop::option::of(bytes(200)),
        content in prop::option::of(bytes(200)), resend in prop::option::of(any::<([u8; 8], u32)>()),
    ) -> Payload {
        Payload {
            manifest: ManifestMark { recovery_epoch, version, hash },
            manifest_bytes: manifest,
            content,
            resend_after: resend.map(|(chain, count)| ResendAfter { chain, count }),
        }
    }
}

fn request() -> impl Strategy<Value = Request> {
    let capability = any::<[u8; 32]>().prop_map(|key| Capability::new(Secret::new(key)));
    let hash = capability.clone().prop_map(|capability| capability.hash());
    let grant = (hash.clone(), any::<([u8; 8], bool, Option<u32>)>(), 1_u32..=4096, 1_u32..=4096);
    let ttl = prop::sample::select(vec![TtlClass::Day, TtlClass::Week, TtlClass::Month]);
    prop_oneof![
        Just(Request::Create { token: None }),
        Just(Request::Delete),
        any::<u64>().prop_map(|after| Request::Subscribe { after }),
        hash.prop_map(Request::Revoke),
        capability.clone().prop_map(Request::Probe),
        grant.prop_map(|(capability, (handle, knock, expires), burst, per_hour)| {
            let kind = if knock { CapabilityKind::Knock } else { CapabilityKind::Private };
            Request::Grant(Grant {
                capability,
                handle: Handle(handle),
                kind,
                expires: expires.map(|hours| Hour(u64::from(hours) + 1)),
                rate: Rate::new(burst, per_hour).unwrap(),
            })
        }),
        (capability.clone(), ttl, 0_usize..2, any::<u8>()).prop_map(
            |(capability, ttl, at, byte)| {
                let envelope = vec![byte; chopmark_core::session::BUCKETS[at]].into();
                let urgency = Urgency::default();
                Request::Deposit(Deposit { capability, ttl, urgency, envelope })
            }
        ),
        (capability, any::<[u8; 16]>())
            .prop_map(|(knock, id)| Request::Fetch(Fetch { knock, id: FetchId(id) })),
    ]
}

fn frame() -> impl Strategy<Value = FromClient> {
    prop_oneof![
        4 => (1_u64.., request()).prop_filter_map("a number", |(id, request)| {
            RequestId::new(id).map(|id| FromClient::Request { id, request })
        }),
        1 => prop::collection::vec(any::<u64>(), 1..=64).prop_map(FromClient::Ack),
    ]
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_content_arrives_as_it_was_sent(content in content()) {
        let bytes = content.encode().unwrap();
        let read = Content::decode(&bytes).unwrap();
        prop_assert!(read == content);
        prop_assert_eq!(read.encode().unwrap(), bytes);
    }

    // Tests [one-body], [unknown-body].
    #[test]
    fn a_body_of_a_later_version_is_kept_as_it_came(content in content(), field in 28_u32..128, later in bytes(60)) {
        let bytes = content.encode().unwrap();
        // A content without a body is what stands before the first key of a body.
        let only = |body| Content { extensions: Vec::new(), body, ..content.clone() };
        let (one, two) = (only(Body::Text("a".into())), only(Body::Text("aa".into())));
        let (one, two) = (one.encode().unwrap(), two.encode().unwrap());
        let front = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
        // What differs first is the length of the body, behind two bytes of key.
        let mut raw = one[..front - 2].to_vec();
        raw.extend(super::naive::key(field, 2));
        raw.extend(super::naive::varint(later.len() as u64));
        raw.extend_from_slice(&later);
        let raw = Bytes::from(raw);
        match Content::decode(&raw).map(|read| read.body) {
            Ok(Body::Unknown(unknown)) => prop_assert_eq!(unknown.raw, raw.clone()),
            _ => prop_assert!(false, "a body {} is not unknown", field),
        }
        prop_assert_eq!(Content::decode(&raw).unwrap().encode().unwrap(), raw);
        // Beside a body that is known it is one too many.
        let mut both = bytes.to_vec();
        both.extend(super::naive::key(field, 2));
        both.push(0);
        prop_assert!(Content::decode(&both.into()).is_err());
    }

    // Tests [critical-extension].
    #[test]
    fn an_unknown_critical_extension_makes_a_body_unknown(content in content(), id in 1_u32.., data in bytes(30)) {
        let bytes = content.encode().unwrap();
        let extension = [
            &super::naive::key(1, 0)[..], &super::naive::varint(id.into()), &[0x10, 1, 0x1a],
            &super::naive::varint(data.len() as u64), &data,
        ].concat();
        let mut raw = bytes.to_vec();
        raw.push(0x3a);
        raw.extend(super::naive::varint(extension.len() as u64));
        raw.extend(extension);
        let read = Content::decode(&raw.into()).unwrap();
        prop_assert!(matches!(read.body, Body::Unknown(_)));
    }

    // Tests [hash-what-came].
    #[test]
    fn a_message_is_named_by_everything_that_names_it(
        conversation: [u8; 32], sender: [u8; 32], raw: Vec<u8>, at: prop::sample::Index, bit in 0..8
    ) {
        let id = MessageId::of(&conversation, &sender, &raw);
        let whole = [&conversation[..], &sender, &raw].concat();
        let mut other = whole.clone();
        other[at.index(whole.len())] ^= 1_u8 << bit;
        let conversation: [u8; 32] = other[..32].try_into().unwrap();
        let sender: [u8; 32] = other[32..64].try_into().unwrap();
        prop_assert!(MessageId::of(&conversation, &sender, &other[64..]) != id);
    }

    // Tests [payload-parts].
    #[test]
    fn a_payload_arrives_as_it_was_sent(payload in payload()) {
        let bytes = payload.encode().unwrap();
        let read = Payload::decode(&bytes);
        prop_assert_eq!(read.as_ref(), Ok(&payload));
        prop_assert_eq!(payload.is_probe(), payload.content.is_none());
    }

    #[test]
    fn a_frame_arrives_as_it_was_sent_however_the_stream_is_cut(
        frames in prop::collection::vec(frame(), 1..5), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().to_vec()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        cuts.push(stream.len());
        let (mut reader, mut from, mut read) = (FrameReader::new(), 0, Vec::new());
        for cut in cuts {
            reader.push(&stream[from..cut]);
            from = cut;
            while let Some(frame) = reader.next_frame().unwrap() {
                read.push(FromClient::decode(&frame).unwrap());
            }
        }
        prop_assert_eq!(reader.buffered(), 0);
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn a_capability_is_known_by_its_hash_only(one: [u8; 32], other: [u8; 32]) {
        let hash = |key| Capability::new(Secret::new(key)).hash();
        prop_assert_eq!(hash(one) == hash(other), one == other);
        prop_assert!(hash(one) != CapabilityHash(one));
    }
}
