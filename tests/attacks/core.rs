//! Attacks on the handshake, the ratchet and the sessions: everything that happens to an envelope on its way.

use chopmark_core::{
    handshake::{InitBlock, Own, RespondError},
    identity::{AccountId, DeviceId, DeviceKeys, RootKeys, Seed, SignedManifest, Stamp},
    prekey::{OneTimePrekeySecret, PrekeyId, SignedPart, SignedPrekeySecret, VerifiedBundle},
    session::{Answered, BUCKETS, OpenError, Session, Status},
    sessions::Sessions,
    time::Timestamp,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DEVICE: DeviceId = DeviceId(1);
/// Where EK, ct1, ct2 and the identity box stand in an envelope with an init block (SPEC §4.1).
const EK: usize = 1 + 9;
const CT1: usize = EK + 32;
const CT2: usize = CT1 + 1088;
const BOX: usize = CT2 + 1088;
const HEADER: usize = BOX + 116;

/// A device with everything that a session needs.
struct Person {
    account: AccountId,
    keys: DeviceKeys,
    manifest: SignedManifest,
    signed: SignedPrekeySecret,
    one_time: OneTimePrekeySecret,
}

impl Person {
    fn number(number: u8) -> Self {
        let mut rng = ChaCha20Rng::from_seed([number; 32]);
        let seed = Seed::generate(&mut rng).unwrap();
        let keys = DeviceKeys::generate(&mut rng).unwrap();
        let root = RootKeys::from_seed(&seed);
        let next = RootKeys::from_seed(&seed.next()).public().commitment();
        let manifest = SignedManifest::create(&root, next, vec![keys.entry(DEVICE)]).unwrap();
        let signed = SignedPrekeySecret::generate(PrekeyId(5), NOW, &mut rng).unwrap();
        let one_time = OneTimePrekeySecret::generate(PrekeyId(6), &mut rng).unwrap();
        Self { account: *manifest.account(), keys, manifest, signed, one_time }
    }

    fn own(&self) -> Own<'_> {
        Own { account: self.account, device: DEVICE, keys: &self.keys }
    }

    fn bundle(&self) -> VerifiedBundle {
        let stamp = Stamp::create(self.keys.signing(), DEVICE, &self.manifest, NOW).unwrap();
        let prekey = self.signed.publish(&self.account, DEVICE, &self.keys);
        let part = SignedPart { manifest: self.manifest.clone(), stamp, prekey };
        let one_time = self.one_time.publish(&self.account, DEVICE, &self.keys).to_bytes();
        let part = part.to_bytes().unwrap();
        VerifiedBundle::verify(&part, Some(&one_time), &self.account, NOW).unwrap()
    }

    fn respond(&self, envelope: &[u8]) -> Result<Answered, RespondError> {
        Session::respond(&self.own(), &self.signed, Some(&self.one_time), envelope, NOW)
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([77; 32])
}

fn seal(session: &mut Session, content: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let sealed = session.seal(content, NOW, rng).unwrap();
    sealed.commit(|_, _| Ok::<_, ()>(())).unwrap().envelope.into_bytes()
}

fn open(session: &mut Session, envelope: &[u8]) -> Result<Vec<u8>, OpenError> {
    let opened = session.open(envelope, NOW)?;
    Ok(opened.commit(|_, _| Ok::<_, ()>(())).unwrap().content.to_vec())
}

/// Alice wrote first, Bob answered, both are confirmed.
fn talking(rng: &mut ChaCha20Rng) -> (Session, Session) {
    let (a, b) = (Person::number(1), Person::number(2));
    let mut alice = Session::initiate(&a.own(), &b.bundle(), NOW, rng).unwrap();
    let first = seal(&mut alice, b"hello", rng);
    let mut bob = b.respond(&first).unwrap().session;
    bob.introduce(&a.account, &a.keys.entry(DEVICE)).unwrap();
    for _ in 0..2 {
        let message = seal(&mut bob, b"ping", rng);
        open(&mut alice, &message).unwrap();
        let message = seal(&mut alice, b"pong", rng);
        open(&mut bob, &message).unwrap();
    }
    assert_eq!(alice.status(), Status::Confirmed);
    assert_eq!(bob.status(), Status::Confirmed);
    (alice, bob)
}

// Tests [init-block-decodes].
// Seen to fail with `dh::PublicKey::parse` taking every string.
#[test]
fn t01_a_low_order_ephemeral_key_begins_no_session() {
    let (a, b) = (Person::number(1), Person::number(2));
    let mut alice = Session::initiate(&a.own(), &b.bundle(), NOW, &mut rng()).unwrap();
    let first = seal(&mut alice, b"hello", &mut rng());
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one, [0xff; 32]] {
        let mut forged = first.clone();
        forged[EK..CT1].copy_from_slice(&point);
        assert_eq!(b.respond(&forged).unwrap_err(), RespondError::NoInitBlock);
        assert!(InitBlock::peek(&forged).is_none());
    }
    let mut forged = first;
    forged[5] = 2;
    assert_eq!(b.respond(&forged).unwrap_err(), RespondError::NoInitBlock);
}

// Tests [open-then-commit], [headers-first].
// Seen to fail with the body deciphered and its tag not checked.
#[test]
fn t05_a_tampered_message_changes_nothing() {
    let mut rng = rng();
    let (mut alice, mut bob) = talking(&mut rng);
    // In a chain that is known, and at the beginning of a new one.
    for turn in 0..2 {
        if turn == 1 {
            let message = seal(&mut bob, b"your turn", &mut rng);
            open(&mut alice, &message).unwrap();
        }
        let message = seal(&mut alice, b"the original", &mut rng);
        let before = bob.export();
        for at in 0..message.len() {
            // A new chain costs a root step where only the body was altered.
            if turn == 1 && (80..message.len() - 20).contains(&at) && at % 64 != 0 {
                continue;
            }
            let mut forged = message.clone();
            forged[at] ^= 1 << (at % 8);
            assert!(bob.open(&forged, NOW).is_err(), "byte {at}");
            assert!(bob.export() == before, "byte {at}");
        }
        assert_eq!(open(&mut bob, &message).unwrap(), b"the original");
    }
}

// Tests [init-block-is-bound], [open-then-commit].
// Seen to fail with the identity box deciphered, its tag not checked and the init block bound by nothing else.
#[test]
fn t05_a_tampered_first_message_begins_no_session() {
    let mut rng = rng();
    let (a, b) = (Person::number(1), Person::number(2));
    let mut alice = Session::initiate(&a.own(), &b.bundle(), NOW, &mut rng).unwrap();
    let first = seal(&mut alice, b"hello", &mut rng);
    for at in (0..BOX).step_by(29).chain(BOX..HEADER + 72).chain([first.len() - 1]) {
        let mut forged = first.clone();
        forged[at] ^= 1 << (at % 8);
        assert!(b.respond(&forged).is_err(), "byte {at}");
    }
    // The init block of another handshake in front of the same message.
    let mut other = Session::initiate(&a.own(), &b.bundle(), NOW, &mut rng).unwrap();
    let other = seal(&mut other, b"hello", &mut rng);
    let crossed = [&other[..HEADER], &first[HEADER..]].concat();
    assert_eq!(b.respond(&crossed).unwrap_err(), RespondError::Forged);
    assert_eq!(&b.respond(&first).unwrap().message.content[..], b"hello");
}

// Tests [bucket-before-anything].
// Seen to fail with lengths outside the buckets let through.
#[test]
fn t06_a_truncated_or_longer_tag_is_refused() {
    let mut rng = rng();
    let (mut alice, mut bob) = talking(&mut rng);
    let message = seal(&mut alice, b"whole", &mut rng);
    for missing in 1..=16 {
        let cut = &message[..message.len() - missing];
        assert_eq!(bob.open(cut, NOW).unwrap_err(), OpenError::NotAnEnvelope);
        // Filled up again, so that the length is a bucket.
        let mut filled = cut.to_vec();
        filled.resize(message.len(), 0);
        assert!(bob.open(&filled, NOW).is_err());
    }
    let mut longer = message.clone();
    for _ in 0..16 {
        longer.push(0);
        assert_eq!(bob.open(&longer, NOW).unwrap_err(), OpenError::NotAnEnvelope);
    }
    for length in (0..200).chain(BUCKETS.map(|bucket| bucket - 1)) {
        assert_eq!(bob.open(&vec![1; length], NOW).unwrap_err(), OpenError::NotAnEnvelope);
    }
    assert!(bob.open(&message, NOW).is_ok());
}

// Tests [replay-changes-nothing].
// Seen to fail with the chain keeping the node of the leaf that was taken.
#[test]
fn t10_a_replay_is_refused_at_any_time() {
    let mut rng = rng();
    let (mut alice, mut bob) = talking(&mut rng);
    let message = seal(&mut alice, b"once", &mut rng);
    open(&mut bob, &message).unwrap();
    let refused = |bob: &mut Session| {
        let before = bob.export();
        let error = bob.open(&message, NOW).unwrap_err();
        assert!(matches!(error, OpenError::AlreadyOpened { .. }), "{error}");
        assert!(bob.export() == before);
    };
    refused(&mut bob);
    // After a restart.
    bob = Session::import(&bob.export()).unwrap();
    refused(&mut bob);
    // After many more.
    for _ in 0..10_000 {
        let message = seal(&mut alice, b"more", &mut rng);
        open(&mut bob, &message).unwrap();
    }
    refused(&mut bob);
    // When its chain is gone, nothing recognises it, and nothing opens it.
    for _ in 0..2 {
        let message = seal(&mut bob, b"ping", &mut rng);
        open(&mut alice, &message).unwrap();
        let message = seal(&mut alice, b"pong", &mut rng);
        open(&mut bob, &message).unwrap();
    }
    assert_eq!(bob.open(&message, NOW).unwrap_err(), OpenError::NotForThisSession);
}

// Tests [first-message-once].
// Seen to fail with `of_handshake` finding nothing.
#[test]
fn t10_a_replayed_first_message_begins_no_second_session() {
    let mut rng = rng();
    let (a, b) = (Person::number(1), Person::number(2));
    let mut alice = Session::initiate(&a.own(), &b.bundle(), NOW, &mut rng).unwrap();
    let first = seal(&mut alice, b"hello", &mut rng);
    let mut sessions = Sessions::new();
    assert!(sessions.insert(b.respond(&first).unwrap().session).is_empty());
    sessions = Sessions::import(&sessions.export()).unwrap();
    assert!(sessions.of_handshake(InitBlock::peek(&first).unwrap().id).is_some());
    let again = sessions.open(&first, NOW).unwrap_err();
    assert_eq!(again, OpenError::AlreadyOpened { remembered: true });
    // Across a session that was begun anew.
    let mut anew = Session::initiate(&a.own(), &b.bundle(), NOW, &mut rng).unwrap();
    let message = seal(&mut anew, b"hello again", &mut rng);
    sessions.insert(b.respond(&message).unwrap().session);
    let again = sessions.open(&first, NOW).unwrap_err();
    assert_eq!(again, OpenError::AlreadyOpened { remembered: true });
}

// Seen to fail with one header key for both directions and the initiator taking messages with an init block.
#[test]
fn t11_ones_own_message_reflected_is_not_for_this_session() {
    let mut rng = rng();
    let (a, b) = (Person::number(1), Person::number(2));
    let mut alice = Session::initiate(&a.own(), &b.bundle(), NOW, &mut rng).unwrap();
    let first = seal(&mut alice, b"hello", &mut rng);
    assert_eq!(alice.open(&first, NOW).unwrap_err(), OpenError::NotForThisSession);
    // Nor does it begin a session with oneself, even where the prekey ids fit.
    assert_eq!(a.respond(&first).unwrap_err(), RespondError::Forged);
    let (mut alice, mut bob) = talking(&mut rng);
    for _ in 0..3 {
        let message = seal(&mut alice, b"to bob", &mut rng);
        assert_eq!(alice.open(&message, NOW).unwrap_err(), OpenError::NotForThisSession);
        open(&mut bob, &message).unwrap();
        let message = seal(&mut bob, b"to alice", &mut rng);
        assert_eq!(bob.open(&message, NOW).unwrap_err(), OpenError::NotForThisSession);
        open(&mut alice, &message).unwrap();
    }
}

// Tests [box-is-the-only-oracle].
// Seen to fail with the tag of the identity box not checked: the answers differed.
#[test]
fn t19_a_mauled_kem_ciphertext_fails_like_everything_else() {
    let mut rng = rng();
    let (a, b) = (Person::number(1), Person::number(2));
    let mut alice = Session::initiate(&a.own(), &b.bundle(), NOW, &mut rng).unwrap();
    let first = seal(&mut alice, b"hello", &mut rng);
    for at in [CT1, CT1 + 500, CT2 - 1, CT2, CT2 + 777, BOX - 1, BOX, HEADER - 1] {
        let mut mauled = first.clone();
        mauled[at] ^= 0x10;
        assert_eq!(b.respond(&mauled).unwrap_err(), RespondError::Forged, "byte {at}");
    }
}

// Tests [bucket-before-anything].
// Seen to fail with the version left out of what the body binds and 3 read as 1.
#[test]
fn t20_there_is_no_other_version_to_fall_back_to() {
    let mut rng = rng();
    let (mut alice, mut bob) = talking(&mut rng);
    let message = seal(&mut alice, b"one", &mut rng);
    for version in (0..=255).filter(|version| *version != 1) {
        let mut changed = message.clone();
        changed[0] = version;
        assert_eq!(bob.open(&changed, NOW).unwrap_err(), OpenError::NotAnEnvelope, "{version}");
    }
}
