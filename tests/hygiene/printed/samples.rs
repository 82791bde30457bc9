//! One value or more of each public type of the core, every secret of it the same canary.

use core::fmt::Debug;

use chopmark_core::{
    codec::{DecodeError, Reader, TooLong},
    dh,
    handshake::{InitBlock, InitId, InitiateError, PeerIdentity, RespondError, WrongEntry},
    identity::{
        DeviceChanges, DeviceId, DeviceKeys, Manifest, ManifestError, ManifestNumber, ManifestRef,
        NextRoot, OtherAccount, Purpose, RootKeys, SafetyNumber, Seed, SeedError, SignedManifest,
        Signer, Stamp, StampError, Standing,
    },
    kem,
    link::{LinkSecret, NotAuthentic, Published},
    prekey::{BundleError, OneTimePrekey, PrekeyId, SignedPart, VerifiedBundle},
    random::RandomnessError,
    secret::{Key, Secret},
    session::{
        Acknowledged, Event, OpenError, Position, Role, SealError, Session, SessionId, Status,
    },
    sessions::Sessions,
    signature::{
        InvalidSignature, Signature, SigningKey,
        root::{RootSignature, RootSigningKey, SigningFailed},
    },
    time::Timestamp,
};
use chopmark_testkit::party::{DEVICE, NOW, Party};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::Shown;

/// What stands for a secret.
const CANARY: [u8; 32] = [0x5b; 32];

fn one(name: &'static str, value: impl Debug) -> Shown {
    (name, vec![format!("{value:?}")])
}

/// What nobody outside the core can have or print, and why.
fn none(name: &'static str, why: &str) -> Shown {
    (name, vec![format!("- {why}")])
}

/// All variants of an enum.
fn each<T: Debug>(name: &'static str, values: &[T]) -> Shown {
    (name, values.iter().map(|value| format!("{value:?}")).collect())
}

/// What an error says to a user or a log, beside its debug text.
fn error<T: Debug + core::fmt::Display>(name: &'static str, values: &[T]) -> Shown {
    (name, values.iter().map(|value| format!("{value:?}: {value}")).collect())
}

pub(super) fn all() -> Vec<Shown> {
    let mut shown = vec![
        none("codec::Writer", "has no debug text"),
        none("handshake::init_block::InitBlock", "is made and kept inside"),
        none("identity::manifest::SignError", "is not exported"),
    ];
    shown.extend(keys());
    shown.extend(identity());
    shown.extend(contact());
    shown.extend(sessions());
    shown.extend(errors());
    shown.sort();
    shown
}

fn keys() -> Vec<Shown> {
    let mut rng = ChaCha20Rng::from_seed(CANARY);
    let dh = dh::SecretKey::from_secret(Secret::new(CANARY));
    let kem = kem::DecapsulationKey::from_seed(&[0x5b; 64]);
    let (ciphertext, _) = kem.encapsulation_key().encapsulate(&mut rng).unwrap();
    let signing = SigningKey::from_secret(&Secret::new(CANARY));
    let root = RootSigningKey::from_secret(Secret::new(CANARY));
    let mut reader = Reader::new(b"CANARY CANARY");
    reader.u8().unwrap();
    vec![
        one("secret::Secret", Secret::new(CANARY)),
        one("secret::Key", Key::new(CANARY)),
        one("dh::PublicKey", dh.public()),
        one("dh::SecretKey", &dh),
        one("kem::EncapsulationKey", kem.encapsulation_key()),
        one("kem::Ciphertext", ciphertext),
        one("kem::DecapsulationKey", &kem),
        one("signature::VerifyingKey", signing.verifying_key()),
        one("signature::Signature", Signature::from_bytes([0x5b; 64])),
        one("signature::SigningKey", signing),
        one("signature::root::RootVerifyingKey", root.verifying_key()),
        one("signature::root::RootSignature", RootSignature::from_bytes(&[0x5b; 3309])),
        one("signature::root::RootSigningKey", &root),
        one("codec::Reader", reader),
        one("time::Timestamp", Timestamp(7)),
    ]
}

fn identity() -> Vec<Shown> {
    let seed = Seed::from_entropy(Secret::new(CANARY));
    let keys = DeviceKeys::generate(&mut ChaCha20Rng::from_seed(CANARY)).unwrap();
    let root = RootKeys::from_seed(&seed);
    let next = RootKeys::from_seed(&seed.next()).public();
    let entry = keys.entry(DEVICE);
    let signed = SignedManifest::create(&root, next.commitment(), vec![entry.clone()]).unwrap();
    let manifest = Manifest::first(root.public(), next.commitment(), vec![entry.clone()]);
    let known = ManifestRef::from(&signed);
    let account = *signed.account();
    vec![
        one("identity::AccountId", account),
        one("identity::seed::Seed", &seed),
        each(
            "identity::seed::Purpose",
            &[Purpose::RootEd25519, Purpose::Wallet { epoch: 3 }, Purpose::Backup],
        ),
        one("identity::root::RootPublicKeys", root.public()),
        one("identity::root::RootKeys", &root),
        one("identity::root::NextRoot", NextRoot::from_bytes(CANARY)),
        one("identity::safety::SafetyNumber", SafetyNumber::of(&account, &account)),
        one("identity::standing::ManifestRef", known),
        each("identity::standing::Standing", &[Standing::of(&signed, &known).unwrap()]),
        one("identity::standing::DeviceChanges", DeviceChanges::between(&signed, &signed)),
        one("identity::manifest::Manifest", manifest),
        each("identity::manifest::Signer", &[Signer::Root, Signer::NextRoot(Box::new(next))]),
        one("identity::manifest::ManifestNumber", ManifestNumber { recovery_epoch: 1, version: 2 }),
        one("identity::manifest::SignedManifest", &signed),
        one("identity::device::DeviceId", DeviceId(1)),
        one("identity::device::DeviceEntry", entry),
        one("identity::stamp::Stamp", Stamp::create(keys.signing(), DEVICE, &signed, NOW).unwrap()),
        one("identity::device::DeviceKeys", keys),
    ]
}

fn contact() -> Vec<Shown> {
    let mut rng = ChaCha20Rng::from_seed(CANARY);
    let party = Party::new(&mut rng);
    let one_time = Some(party.one_time_part.as_slice());
    let bundle = VerifiedBundle::verify(&party.signed_part, one_time, &party.account, NOW).unwrap();
    let one_time: OneTimePrekey = party.one_time.publish(&party.account, DEVICE, &party.keys);
    let signed = party.signed.publish(&party.account, DEVICE, &party.keys);
    let stamp = Stamp::create(party.keys.signing(), DEVICE, &party.manifest, NOW).unwrap();
    let part = SignedPart { manifest: party.manifest.clone(), stamp, prekey: signed.clone() };
    let link = LinkSecret::from_bytes(b"CANARY CANARY 16");
    vec![
        one("prekey::PrekeyId", PrekeyId(1)),
        one("prekey::signed::SignedPrekeySecret", &party.signed),
        one("prekey::signed::SignedPrekey", signed),
        one("prekey::one_time::OneTimePrekeySecret", &party.one_time),
        one("prekey::one_time::OneTimePrekey", one_time),
        one("prekey::bundle::SignedPart", part),
        one("prekey::bundle::VerifiedBundle", bundle),
        one("link::BundleKey", link.bundle_key()),
        one("link::LinkSecret", link),
        each("link::Published", &[Published::SignedPart, Published::OneTimePrekey]),
        one("handshake::peer::Own", party.own()),
    ]
}

fn sessions() -> Vec<Shown> {
    let mut rng = ChaCha20Rng::from_seed(CANARY);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut alice = a.initiate(&b, &mut rng);
    let mut shown = vec![
        one("session::Session", &alice),
        each("session::Role", &[Role::Initiator, Role::Responder]),
        each("session::Status", &[Status::Opening, Status::Unconfirmed, Status::Confirmed]),
        one("session::SessionId", SessionId::from_bytes(CANARY)),
        one("handshake::init_block::InitId", InitId::from_bytes(CANARY)),
        one("ratchet::acknowledgement::Acknowledged", Acknowledged { chain: 1, count: 2 }),
        one("ratchet::acknowledgement::Position", Position { chain: 1, n: 2 }),
        each(
            "session::event::Event",
            &[Event::Confirmed, Event::KemObjectRefused, Event::AcknowledgedBeyondSent],
        ),
    ];
    let sealed = alice.seal(b"CANARY", NOW, &mut rng).unwrap();
    shown.push(one("session::sealed::Sealed", &sealed));
    let outgoing = sealed.commit(|_, _| Ok::<_, ()>(())).unwrap();
    shown.push(one("session::sealed::Outgoing", &outgoing));
    shown.push(one("ratchet::bucket::Envelope", &outgoing.envelope));
    let envelope = outgoing.envelope.into_bytes();
    shown.push(one("handshake::init_block::Peeked", InitBlock::peek(&envelope).unwrap()));
    let answered =
        Session::respond(&b.own(), &b.signed, Some(&b.one_time), &envelope, NOW).unwrap();
    shown.push(one("session::opened::Answered", &answered));
    shown.push(one("session::opened::Incoming", &answered.message));
    let peer: &PeerIdentity = answered.session.peer();
    shown.push(one("handshake::peer::PeerIdentity", peer));
    let mut bob = answered.session;
    bob.introduce(&a.account, &a.keys.entry(DEVICE)).unwrap();
    let reply = super::super::talk::seal(&mut bob, b"CANARY", &mut rng);
    shown.push(one("session::opened::Opened", alice.open(&reply, NOW).unwrap()));
    let mut set = Sessions::new();
    set.insert(alice);
    shown.push(one("sessions::Sessions", set));
    shown
}

fn errors() -> Vec<Shown> {
    let decoding = [
        DecodeError::Truncated,
        DecodeError::TrailingBytes,
        DecodeError::Unknown(3),
        DecodeError::OutOfRange,
        DecodeError::InvalidKey,
    ];
    let manifest =
        [ManifestError::Malformed(decoding[0]), ManifestError::Forged, ManifestError::OtherAccount];
    vec![
        error("codec::DecodeError", &decoding),
        error("codec::TooLong", &[TooLong]),
        error("dh::NonContributory", &[dh::NonContributory]),
        error("random::RandomnessError", &[RandomnessError]),
        error("signature::InvalidSignature", &[InvalidSignature]),
        error("signature::root::SigningFailed", &[SigningFailed]),
        error("link::NotAuthentic", &[NotAuthentic]),
        error(
            "identity::seed::SeedError",
            &[SeedError::WordCount(3), SeedError::UnknownWord(4), SeedError::Checksum],
        ),
        error("identity::standing::OtherAccount", &[OtherAccount]),
        error("identity::manifest::ManifestError", &manifest),
        error(
            "identity::stamp::StampError",
            &[
                StampError::Malformed(decoding[0]),
                StampError::OtherManifest,
                StampError::UnknownDevice,
                StampError::Forged,
            ],
        ),
        error(
            "prekey::bundle::BundleError",
            &[
                BundleError::Malformed(decoding[0]),
                BundleError::Manifest(manifest[1]),
                BundleError::Stamp(StampError::Forged),
                BundleError::ForgedPrekey,
                BundleError::ExpiredPrekey,
            ],
        ),
        error(
            "handshake::InitiateError",
            &[InitiateError::Randomness, InitiateError::NonContributory, InitiateError::Internal],
        ),
        error(
            "handshake::RespondError",
            &[
                RespondError::NotAnEnvelope,
                RespondError::NoInitBlock,
                RespondError::WrongPrekey,
                RespondError::NonContributory,
                RespondError::Forged,
                RespondError::PeerMisbehaved,
            ],
        ),
        error("handshake::peer::WrongEntry", &[WrongEntry]),
        error(
            "session::error::SealError",
            &[
                SealError::PeerUnknown,
                SealError::TooLong { limit: 5 },
                SealError::NoSession,
                SealError::Exhausted,
                SealError::CannotSendFirst,
                SealError::Randomness,
                SealError::Internal,
            ],
        ),
        error(
            "session::error::OpenError",
            &[
                OpenError::NotAnEnvelope,
                OpenError::NotForThisSession,
                OpenError::AlreadyOpened { remembered: true },
                OpenError::GivenUp,
                OpenError::Forged,
                OpenError::NonContributory,
                OpenError::PeerMisbehaved,
                OpenError::OwnRolledBack,
            ],
        ),
    ]
}
