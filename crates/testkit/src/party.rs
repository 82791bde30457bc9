//! One device of one account, with a bundle as it is published, and sessions between two of them.

use std::convert::Infallible;

use chopmark_core::{
    handshake::Own,
    identity::{AccountId, DeviceId, DeviceKeys, RootKeys, Seed, SignedManifest, Stamp},
    prekey::{OneTimePrekeySecret, PrekeyId, SignedPart, SignedPrekeySecret, VerifiedBundle},
    session::{Incoming, Session, Status},
    time::Timestamp,
};
use rand_chacha::ChaCha20Rng;

/// When everything in this module happens.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// The device's number in its account.
pub const DEVICE: DeviceId = DeviceId(1);

/// One device, its secrets and what it publishes.
pub struct Party {
    /// Its account.
    pub account: AccountId,
    /// Its keys.
    pub keys: DeviceKeys,
    /// Its account's manifest.
    pub manifest: SignedManifest,
    /// Its signed prekey's private half.
    pub signed: SignedPrekeySecret,
    /// Its one-time prekey's private half.
    pub one_time: OneTimePrekeySecret,
    /// The signed part of its bundle, as it is published.
    pub signed_part: Vec<u8>,
    /// The one-time part of its bundle, as it is published.
    pub one_time_part: Vec<u8>,
}

impl Party {
    /// A new account with one device.
    pub fn new(rng: &mut ChaCha20Rng) -> Self {
        let seed = Seed::generate(rng).expect("randomness");
        let (root, next) = (RootKeys::from_seed(&seed), RootKeys::from_seed(&seed.next()));
        let keys = DeviceKeys::generate(rng).expect("randomness");
        let next = next.public().commitment();
        let manifest =
            SignedManifest::create(&root, next, vec![keys.entry(DEVICE)]).expect("one device");
        let account = *manifest.account();
        let stamp =
            Stamp::create(keys.signing(), DEVICE, &manifest, NOW).expect("a device of its own");
        let signed = SignedPrekeySecret::generate(PrekeyId(1), NOW, rng).expect("randomness");
        let one_time = OneTimePrekeySecret::generate(PrekeyId(2), rng).expect("randomness");
        let prekey = signed.publish(&account, DEVICE, &keys);
        let one_time_part = one_time.publish(&account, DEVICE, &keys).to_bytes();
        let signed_part = SignedPart { manifest: manifest.clone(), stamp, prekey };
        let signed_part = signed_part.to_bytes().expect("one manifest");
        Self { account, keys, manifest, signed, one_time, signed_part, one_time_part }
    }

    /// What the core takes for it.
    pub fn own(&self) -> Own<'_> {
        Own { account: self.account, device: DEVICE, keys: &self.keys }
    }

    /// Begins a session with `peer` from its published bundle.
    pub fn initiate(&self, peer: &Self, rng: &mut ChaCha20Rng) -> Session {
        let one_time = Some(peer.one_time_part.as_slice());
        let bundle = VerifiedBundle::verify(&peer.signed_part, one_time, &peer.account, NOW);
        let bundle = bundle.expect("a bundle as it was published");
        Session::initiate(&self.own(), &bundle, NOW, rng).expect("a verified bundle")
    }

    /// Answers the first message of `peer`.
    pub fn respond(&self, peer: &Self, envelope: &[u8]) -> Session {
        let one_time = Some(&self.one_time);
        let opened = Session::respond(&self.own(), &self.signed, one_time, envelope, NOW);
        let mut session = opened.expect("a first message for us").session;
        let entry = peer.manifest.device(DEVICE).expect("its device");
        session.introduce(&peer.account, entry).expect("its own entry");
        session
    }
}

/// Two sessions that are `Confirmed`, and the first message that began them.
pub fn met(rng: &mut ChaCha20Rng) -> (Session, Session, Vec<u8>) {
    let (a, b) = (Party::new(rng), Party::new(rng));
    let mut alice = a.initiate(&b, rng);
    let first = seal(&mut alice, b"hello", rng);
    let mut bob = b.respond(&a, &first);
    for _ in 0..2 {
        let message = seal(&mut bob, b"ping", rng);
        open(&mut alice, &message);
        let message = seal(&mut alice, b"pong", rng);
        open(&mut bob, &message);
    }
    assert_eq!((alice.status(), bob.status()), (Status::Confirmed, Status::Confirmed));
    (alice, bob, first)
}

/// Seals and moves the session on, as if it had been stored.
pub fn seal(session: &mut Session, content: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let sealed = session.seal(content, NOW, rng).expect("it fits");
    let sent = sealed.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail");
    sent.envelope.into_bytes()
}

/// Opens what comes in order and moves the session on, as if it had been stored.
pub fn open(session: &mut Session, envelope: &[u8]) -> Incoming {
    let opened = session.open(envelope, NOW).expect("in order");
    opened.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail")
}
