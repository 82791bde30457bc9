//! T12: what was made for one purpose is taken for no other. Labels, signatures and whole objects, each against each.

use bytes::Bytes;
use chopmark_core::{
    hash,
    hazmat::derivation,
    identity::{DeviceKeys, SignedManifest, Stamp},
    label,
    link::{LinkSecret, Published},
    prekey::{OneTimePrekeySecret, SignedPrekeySecret, VerifiedBundle},
    secret::Secret,
    session::Session,
    sessions::Sessions,
    signature::{Signature, SigningKey, root::RootSigningKey},
    time::Timestamp,
};
use chopmark_testkit::party::{DEVICE, NOW, Party, met, seal};
use chopmark_wire::{
    content::{Body, Content, Fallback, MessageId, Reaction, Receipt, ReceiptKind},
    payload::{ManifestMark, Payload},
    payment::{PaymentCancel, PaymentReceipt, PaymentRequest, ReceiptStatement, RequestId},
    relay::{
        self, Auth, ChannelBinding, Descriptor, FromClient, FromRelay, Info, Notice, RelayId,
        Request,
    },
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::money;

/// What is done under a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Hash,
    Kdf,
    Mac,
    Aead,
    Signature,
}
use Use::{Aead, Hash, Kdf, Mac, Signature as Sig};

/// Every label and what is done under it. A new label fails the test until somebody has decided what it is for, and, if
/// something is signed or sealed under it, has put that among [`signed`] or [`objects`].
const USES: &[(&str, &[Use])] = &[
    (label::ACCOUNT_ID, &[Hash]),
    (label::NEXT_ROOT, &[Hash]),
    (label::SEED_EXTRACT, &[Kdf]),
    (label::SEED_ROOT_ED25519, &[Kdf]),
    (label::SEED_ROOT_ML_DSA, &[Kdf]),
    (label::SEED_NEXT_ROOT, &[Kdf]),
    (label::SEED_WALLET, &[Kdf]),
    (label::SEED_PAYEE_LOCK, &[Kdf]),
    (label::SEED_REFUND, &[Kdf]),
    (label::SEED_QUOTE, &[Kdf]),
    (label::SEED_VAULT, &[Kdf]),
    (label::SEED_BACKUP, &[Kdf]),
    (label::DEVICE_ENTRY, &[Hash]),
    (label::MANIFEST, &[Sig]),
    (label::MANIFEST_HASH, &[Hash]),
    (label::STAMP, &[Sig]),
    (label::SAFETY_NUMBER, &[Hash]),
    (label::LINK_EXTRACT, &[Kdf]),
    (label::LINK_KNOCK, &[Kdf]),
    (label::LINK_BUNDLE_KEY, &[Kdf]),
    (label::BUNDLE_SIGNED_PART, &[Aead]),
    (label::BUNDLE_ONE_TIME, &[Aead]),
    (label::PREKEY, &[Sig]),
    (label::INIT_ID, &[Hash]),
    (label::INIT_BLOCK, &[Hash]),
    (label::HANDSHAKE_OFFER, &[Hash]),
    (label::HANDSHAKE_BOX, &[Kdf, Aead]),
    (label::HANDSHAKE_TRANSCRIPT, &[Hash]),
    (label::HANDSHAKE_ROOT, &[Kdf]),
    (label::ROOT_PLAIN, &[Kdf, Aead]),
    (label::ROOT_MIXED, &[Kdf, Aead]),
    (label::CHAIN_SEGMENT, &[Kdf]),
    (label::CHAIN_SPINE, &[Kdf]),
    (label::CHAIN_LEFT, &[Kdf]),
    (label::CHAIN_RIGHT, &[Kdf]),
    (label::BODY_KEY, &[Kdf, Aead]),
    (label::BODY_NONCE_KEY, &[Kdf]),
    (label::BODY_NONCE, &[Mac]),
    (label::BODY_TEXT, &[Hash]),
    (label::KEM_KEY, &[Hash]),
    (label::KEM_CIPHERTEXT, &[Hash]),
    (label::KEM_TRANSCRIPT, &[Hash]),
    (label::KEM_CONFIRMATION, &[Mac]),
    (label::PAYMENT_REQUEST_ID, &[Hash]),
    (label::PAYMENT_ID, &[Hash]),
    (label::PAYMENT_RECEIPT, &[Sig]),
    (label::PAYMENT_TOKEN, &[Hash]),
    (label::LOCK_KEY, &[Kdf]),
    (label::LOCK_NONCE, &[Kdf]),
    (label::LOCK_BLINDING, &[Kdf]),
    (label::LOCK_EPHEMERAL, &[Kdf]),
    (label::LOCK_REFUND, &[Kdf]),
    (label::MAILBOX_ID, &[Hash]),
    (label::CAPABILITY_HASH, &[Hash]),
    (label::ACCESS_TOKEN_HASH, &[Hash]),
    (label::RELAY_MESSAGE_ID, &[Hash]),
    (label::RELAY_ID, &[Hash]),
    (label::RELAY_INFO, &[Sig]),
    (label::RELAY_AUTH, &[Sig]),
    (label::RELAY_RESET, &[Kdf]),
    (label::ISSUER_KEY, &[Kdf]),
    (label::ISSUER_IDENTITY, &[Kdf]),
    (label::ISSUER_QUOTE, &[Kdf]),
    (label::ISSUER_TREASURY, &[Kdf]),
    (label::LEDGER_GENESIS, &[Hash]),
    (label::LEDGER_HEAD, &[Hash]),
    (label::MESSAGE_ID, &[Hash]),
    (label::CONVERSATION, &[Hash]),
    (label::STORE_WRAP, &[Kdf]),
    (label::STORE_ROW, &[Kdf, Aead]),
    (label::STORE_NAME, &[Kdf, Mac]),
];

/// Signatures of ours, by label: how many of [`signed`] stand for it.
const SIGNED: &[(&str, usize)] = &[
    (label::MANIFEST, 1),
    (label::STAMP, 1),
    (label::PREKEY, 2),
    (label::PAYMENT_RECEIPT, 1),
    (label::RELAY_INFO, 1),
    (label::RELAY_AUTH, 1),
];

// Tests [labels-are-listed].
// Seen to fail with a label left out here, and with the use of one changed in the table of SPEC §1.4.
#[test]
fn t12_every_label_was_decided_upon() {
    let decided: Vec<&str> = USES.iter().map(|(label, _)| *label).collect();
    assert_eq!(decided, label::ALL, "decide what a new label is for, in the order of label.rs");
    let spec = include_str!("../../SPEC.md");
    for (label, uses) in USES {
        let row = spec.lines().find_map(|line| line.strip_prefix(&format!("| `{label}` | ")));
        let said = row.unwrap().split('|').next().unwrap();
        for (word, kind) in [
            ("Hash", Use::Hash),
            ("KDF", Use::Kdf),
            ("MAC", Use::Mac),
            ("AEAD", Use::Aead),
            ("Signature", Use::Signature),
        ] {
            assert_eq!(said.contains(word), uses.contains(&kind), "{label}: {said} and {uses:?}");
        }
    }
    let signing: Vec<&str> =
        USES.iter().filter(|(_, uses)| uses.contains(&Sig)).map(|(label, _)| *label).collect();
    assert_eq!(SIGNED.iter().map(|(label, _)| *label).collect::<Vec<_>>(), signing);
}

// Tests [labels-separate], [labels-are-distinct].
#[test]
fn t12_one_secret_gives_each_label_and_each_primitive_another_value() {
    let (secret, parts) = ([3; 32], [b"message".as_slice()]);
    let mut values = Vec::new();
    for label in label::ALL {
        values.push(hash::sha256(label, &parts));
        values.push(hash::hmac_sha256(&secret, label, &parts));
        values.push(derivation::mac(&secret, label, &parts));
        values.push(derivation::derive(&secret, label, &parts));
    }
    let count = values.len();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), count);
    // Where a label ends and what follows begins is not to be shifted.
    for label in label::ALL {
        let (front, back) = label.split_at(label.len() - 1);
        assert_ne!(
            derivation::mac(&secret, front, &[back.as_bytes()]),
            derivation::mac(&secret, label, &[])
        );
        assert_ne!(hash::sha256(front, &[back.as_bytes()]), hash::sha256(label, &[]));
    }
}

/// Something that a key of ours signed: what exactly, and whether its verifier takes a signature for it.
struct Signed {
    name: &'static str,
    label: &'static str,
    bytes: Vec<u8>,
    takes: Box<dyn Fn(&Signature) -> bool>,
}

const BINDING: ChannelBinding = ChannelBinding([6; 32]);

/// Everything that is signed with Ed25519, all of it by one key: a device, an owner, a relay that drew the same.
fn signed(key: &SigningKey, who: &Party, descriptor: &Descriptor) -> Vec<Signed> {
    // All but the signature, which stands last in each of these.
    let front = |whole: &[u8]| whole[..whole.len() - 64].to_vec();
    let stamp = front(&Stamp::create(key, DEVICE, &who.manifest, NOW).unwrap().to_bytes());
    let prekey = front(&who.signed.publish(&who.account, DEVICE, &who.keys).to_bytes());
    let one_time = front(&who.one_time_part);
    let covered = |kind: u8, id: &[u8], expiry: &[u8], keys: &[u8]| {
        let device = DEVICE.0.to_be_bytes();
        [&[1][..], who.account.as_bytes(), &device, &[kind], id, expiry, keys].concat()
    };
    let statement = money::receipt(key).claims().encode();
    let (verifying, described) = (key.verifying_key(), descriptor.encode());
    let relay = RelayId::of(&verifying);
    let account = who.account;
    let signed = |name, label, bytes: Vec<u8>, takes| Signed { name, label, bytes, takes };
    vec![
        signed("stamp", label::STAMP, stamp.clone(), {
            let manifest = who.manifest.clone();
            Box::new(move |signature| {
                Stamp::verify(&[&stamp[..], signature.as_bytes()].concat(), &manifest).is_ok()
            })
        }),
        signed(
            "signed prekey",
            label::PREKEY,
            covered(1, &prekey[..4], &prekey[4..12], &prekey[12..]),
            {
                let part = front(&who.signed_part);
                Box::new(move |signature| {
                    let part = [&part[..], signature.as_bytes()].concat();
                    VerifiedBundle::verify(&part, None, &account, NOW).is_ok()
                })
            },
        ),
        signed(
            "one-time prekey",
            label::PREKEY,
            covered(2, &one_time[..4], &[0; 8], &one_time[4..]),
            {
                let part = who.signed_part.clone();
                Box::new(move |signature| {
                    let piece = [&one_time[..], signature.as_bytes()].concat();
                    VerifiedBundle::verify(&part, Some(&piece), &account, NOW).is_ok()
                })
            },
        ),
        signed(
            "receipt",
            label::PAYMENT_RECEIPT,
            statement.to_vec(),
            Box::new(move |signature| {
                let whole = money::receipt_of(&statement, signature);
                PaymentReceipt::decode(&whole).is_ok_and(|read| read.verify(&verifying).is_ok())
            }),
        ),
        signed(
            "relay info",
            label::RELAY_INFO,
            [BINDING.as_bytes().as_slice(), &described].concat(),
            Box::new(move |signature| {
                let info = Info { descriptor: described.clone(), signature: *signature };
                info.verify(&relay.short(), &BINDING).is_ok()
            }),
        ),
        signed(
            "relay auth",
            label::RELAY_AUTH,
            [BINDING.as_bytes().as_slice(), relay.as_bytes()].concat(),
            Box::new(move |signature| {
                let auth = Auth { owner: verifying, signature: *signature };
                auth.verify(&BINDING, &relay).is_ok()
            }),
        ),
    ]
}

// Tests [labels-separate], [prekey-signature-covers], [receipt-signed], [auth-is-bound], [stamp-of-the-manifest].
#[test]
fn t12_a_signature_for_one_purpose_is_none_for_another_over_the_same_bytes() {
    let mut rng = ChaCha20Rng::from_seed([12; 32]);
    let who = Party::new(&mut rng);
    let key = who.keys.signing();
    let descriptor = money::descriptor(&key.verifying_key());
    let all = signed(key, &who, &descriptor);
    for (label, count) in SIGNED.iter().filter(|(label, _)| *label != label::MANIFEST) {
        assert_eq!(all.iter().filter(|signed| signed.label == *label).count(), *count, "{label}");
    }
    for taken_for in &all {
        // The very bytes, by the very key: only the label differs.
        for (label, _) in USES {
            let signature = key.sign(label, &[&taken_for.bytes]);
            assert_eq!(
                (taken_for.takes)(&signature),
                *label == taken_for.label,
                "{label} as {}",
                taken_for.name
            );
        }
        // And every signature that was honestly made, moved here.
        for made_for in &all {
            let signature = key.sign(made_for.label, &[&made_for.bytes]);
            assert_eq!(
                (taken_for.takes)(&signature),
                made_for.name == taken_for.name,
                "{} as {}",
                made_for.name,
                taken_for.name
            );
        }
    }
    // A manifest's two signatures are by root keys, which sign nothing else; under another label they are none.
    let root = SigningKey::from_secret(&Secret::new([4; 32]));
    let post_quantum = RootSigningKey::from_secret(Secret::new([5; 32]));
    let made = post_quantum.sign(label::MANIFEST, &[&[1; 100]]).unwrap();
    let classical = root.sign(label::MANIFEST, &[&[1; 100]]);
    for (label, _) in USES {
        let own = *label == label::MANIFEST;
        assert_eq!(post_quantum.verifying_key().verify(label, &[&[1; 100]], &made).is_ok(), own);
        assert_eq!(root.verifying_key().verify(label, &[&[1; 100]], &classical).is_ok(), own);
    }
}

type Door<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

fn content(body: Body) -> Vec<u8> {
    let content = Content {
        salt: [1; 16],
        sent_at: Timestamp(1_800_000_000_000),
        fallback: Fallback::default(),
        reply_to: None,
        thread_root: None,
        expiry: None,
        extensions: Vec::new(),
        body,
    };
    content.encode().unwrap().to_vec()
}

fn bytes(raw: &[u8]) -> Bytes {
    Bytes::copy_from_slice(raw)
}

// Tests [labels-separate], [published-pieces-are-sealed], [bucket-before-anything].
#[test]
fn t12_an_object_of_one_kind_is_none_of_another() {
    let mut rng = ChaCha20Rng::from_seed([13; 32]);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut alice = a.initiate(&b, &mut rng);
    let first = seal(&mut alice, b"first", &mut rng);
    let (mut talking, peer, _) = met(&mut rng);
    let message = seal(&mut talking, b"message", &mut rng);
    let mut sessions = Sessions::new();
    sessions.insert(Session::import(&peer.export()).unwrap());
    let link = LinkSecret::from_bytes(&[1; 16]).bundle_key();
    let mut piece = |kind, text: &[u8]| link.seal_published(kind, text, &mut rng).unwrap();
    let sealed_part = piece(Published::SignedPart, &b.signed_part);
    let sealed_one_time = piece(Published::OneTimePrekey, &b.one_time_part);
    let key = a.keys.signing();
    let id = RelayId::of(&key.verifying_key());
    let descriptor = money::descriptor(&key.verifying_key());
    let request = Request::Auth(Auth::sign(key, &BINDING, &id));
    let auth = FromClient::Request { id: relay::RequestId::FIRST, request };
    let info = FromRelay::Notice(Notice::Info(descriptor.sign(key, &BINDING)));
    let mark = ManifestMark { recovery_epoch: 0, version: 0, hash: [2; 16] };
    let payload = Payload {
        manifest: mark,
        manifest_bytes: None,
        content: Some(content(Body::Text("hi".into())).into()),
        resend_after: None,
    };
    let said = MessageId::from_bytes([7; 32]);
    let receipt = Receipt { kind: ReceiptKind::Read, messages: vec![said] };
    let cancel = PaymentCancel { request: RequestId([8; 32]) };
    let body = |raw: &[u8], is: fn(&Body) -> bool| {
        Content::decode(&bytes(raw)).is_ok_and(|content| is(&content.body))
    };
    let made: Vec<(&str, Vec<u8>, Door<'_>)> = vec![
        (
            "first message",
            first.clone(),
            Box::new(|raw| {
                Session::respond(&b.own(), &b.signed, Some(&b.one_time), raw, NOW).is_ok()
            }),
        ),
        (
            "message",
            message,
            Box::new(|raw| Session::import(&peer.export()).unwrap().open(raw, NOW).is_ok()),
        ),
        (
            "manifest",
            a.manifest.as_bytes().to_vec(),
            Box::new(|raw| SignedManifest::verify(raw).is_ok()),
        ),
        (
            "stamp",
            Stamp::create(key, DEVICE, &a.manifest, NOW).unwrap().to_bytes(),
            Box::new(|raw| Stamp::verify(raw, &a.manifest).is_ok()),
        ),
        (
            "signed part",
            a.signed_part.clone(),
            Box::new(|raw| VerifiedBundle::verify(raw, None, &a.account, NOW).is_ok()),
        ),
        (
            "one-time prekey",
            a.one_time_part.clone(),
            Box::new(|raw| {
                VerifiedBundle::verify(&a.signed_part, Some(raw), &a.account, NOW).is_ok()
            }),
        ),
        (
            "sealed part",
            sealed_part,
            Box::new(|raw| link.open_published(Published::SignedPart, raw).is_ok()),
        ),
        (
            "sealed one-time prekey",
            sealed_one_time,
            Box::new(|raw| link.open_published(Published::OneTimePrekey, raw).is_ok()),
        ),
        ("device keys", a.keys.export().to_vec(), Box::new(|raw| DeviceKeys::import(raw).is_ok())),
        (
            "private signed prekey",
            a.signed.export().to_vec(),
            Box::new(|raw| SignedPrekeySecret::import(raw).is_ok()),
        ),
        (
            "private one-time prekey",
            a.one_time.export().to_vec(),
            Box::new(|raw| OneTimePrekeySecret::import(raw).is_ok()),
        ),
        ("session", peer.export().to_vec(), Box::new(|raw| Session::import(raw).is_ok())),
        ("sessions", sessions.export().to_vec(), Box::new(|raw| Sessions::import(raw).is_ok())),
        (
            "statement",
            money::receipt(key).claims().encode().to_vec(),
            Box::new(|raw| ReceiptStatement::decode(raw).is_ok()),
        ),
        (
            "descriptor",
            descriptor.encode().to_vec(),
            Box::new(|raw| Descriptor::decode(raw).is_ok()),
        ),
        (
            "auth",
            auth.encode()[4..].to_vec(),
            Box::new(
                |raw| matches!(FromClient::decode(&bytes(raw)), Ok(FromClient::Request { request: Request::Auth(auth), .. }) if auth.verify(&BINDING, &id).is_ok()),
            ),
        ),
        (
            "info",
            info.encode()[4..].to_vec(),
            Box::new(
                |raw| matches!(FromRelay::decode(&bytes(raw)), Ok(FromRelay::Notice(Notice::Info(info))) if info.verify(&id.short(), &BINDING).is_ok()),
            ),
        ),
        (
            "payload",
            payload.encode().unwrap().to_vec(),
            Box::new(|raw| Payload::decode(&bytes(raw)).is_ok()),
        ),
        (
            "text",
            content(Body::Text("hi".into())),
            Box::new(move |raw| body(raw, |body| matches!(body, Body::Text(_)))),
        ),
        (
            "receipt",
            content(Body::Receipt(receipt)),
            Box::new(move |raw| body(raw, |body| matches!(body, Body::Receipt(_)))),
        ),
        (
            "reaction",
            content(Body::Reaction(Reaction { message: said, emoji: "x".into() })),
            Box::new(move |raw| body(raw, |body| matches!(body, Body::Reaction(_)))),
        ),
        (
            "retract",
            content(Body::Retract(said)),
            Box::new(move |raw| body(raw, |body| matches!(body, Body::Retract(_)))),
        ),
        (
            "payment request",
            content(Body::PaymentRequest(money::request().encode().unwrap())),
            Box::new(move |raw| {
                body(
                    raw,
                    |body| matches!(body, Body::PaymentRequest(raw) if PaymentRequest::decode(raw).is_ok()),
                )
            }),
        ),
        (
            "payment",
            content(Body::Payment(money::payment(2).encode())),
            Box::new(move |raw| {
                body(
                    raw,
                    |body| matches!(body, Body::Payment(raw) if chopmark_wire::payment::Payment::decode(raw).is_ok()),
                )
            }),
        ),
        (
            "payment receipt",
            content(Body::PaymentReceipt(money::receipt(key).encode())),
            Box::new(move |raw| {
                body(
                    raw,
                    |body| matches!(body, Body::PaymentReceipt(raw) if PaymentReceipt::decode(raw).is_ok()),
                )
            }),
        ),
        (
            "cancellation",
            content(Body::PaymentCancel(cancel.encode())),
            Box::new(move |raw| {
                body(
                    raw,
                    |body| matches!(body, Body::PaymentCancel(raw) if PaymentCancel::decode(raw).is_ok()),
                )
            }),
        ),
    ];
    for (kind, raw, _) in &made {
        for (door, _, takes) in &made {
            assert_eq!(takes(raw), kind == door, "{kind} as {door}");
            // Cut or filled to the length of a message, it is none either.
            if matches!(*door, "message" | "first message") && kind != door {
                for version in [1, 2] {
                    for bucket in [2048, 4096, 8192] {
                        let mut envelope = [&[version][..], raw].concat();
                        envelope.resize(bucket, 0);
                        assert!(!takes(&envelope), "{kind} in an envelope as {door}");
                    }
                }
            }
        }
    }
    // The handshake's own parts in the place of others: a first message shown as a message and the other way round.
    for (version, raw) in [(1, &first), (2, &made[1].1)] {
        let mut relabelled = raw.clone();
        relabelled[0] = version;
        for (door, _, takes) in &made[..2] {
            assert!(!takes(&relabelled), "relabelled as {door}");
        }
    }
}
