//! Everything of the core that holds a secret, used as it is used.

use core::convert::Infallible;

use chopmark_core::{
    codec::Reader,
    handshake::Own,
    identity::{DeviceKeys, Purpose, RootKeys, Seed, SignedManifest, Stamp},
    link::{LinkSecret, Published},
    prekey::{OneTimePrekeySecret, PrekeyId, SignedPart, SignedPrekeySecret, VerifiedBundle},
    secret::Secret,
    session::Session,
};
use chopmark_testkit::party::{DEVICE, NOW};
use rand_core::{TryCryptoRng, TryRng};

use super::{super::talk, needle::Needles};

/// What is in use at the end.
pub(super) struct Life {
    seed: Seed,
    alice: Device,
    bob: Device,
    link: LinkSecret,
    talk: [Session; 2],
}

struct Device {
    keys: DeviceKeys,
    manifest: SignedManifest,
    signed: SignedPrekeySecret,
    one_time: OneTimePrekeySecret,
}

impl Device {
    fn new(seed: &Seed, rng: &mut Planting<'_>) -> Self {
        let root = RootKeys::from_seed(seed);
        let next = RootKeys::from_seed(&seed.next()).public().commitment();
        let keys = DeviceKeys::generate(rng).unwrap();
        let manifest = SignedManifest::create(&root, next, vec![keys.entry(DEVICE)]).unwrap();
        let signed = SignedPrekeySecret::generate(PrekeyId(1), NOW, rng).unwrap();
        let one_time = OneTimePrekeySecret::generate(PrekeyId(2), rng).unwrap();
        Self { keys, manifest, signed, one_time }
    }

    fn own(&self) -> Own<'_> {
        Own { account: *self.manifest.account(), device: DEVICE, keys: &self.keys }
    }

    /// What it publishes, as whoever has its link finds it verified.
    fn bundle(&self, link: &LinkSecret, rng: &mut Planting<'_>) -> VerifiedBundle {
        let account = *self.manifest.account();
        let stamp = Stamp::create(self.keys.signing(), DEVICE, &self.manifest, NOW).unwrap();
        let prekey = self.signed.publish(&account, DEVICE, &self.keys);
        let part = SignedPart { manifest: self.manifest.clone(), stamp, prekey };
        let part = part.to_bytes().unwrap();
        let one_time = self.one_time.publish(&account, DEVICE, &self.keys).to_bytes();
        let key = link.bundle_key();
        let blob = key.seal_published(Published::SignedPart, &part, rng).unwrap();
        let part = key.open_published(Published::SignedPart, &blob).unwrap();
        VerifiedBundle::verify(&part, Some(&one_time), &account, NOW).unwrap()
    }
}

impl Life {
    /// Two accounts, first contact through a link, and a conversation with losses in which two KEM epochs begin.
    pub(super) fn lived(number: u64, needles: &mut Needles) -> Self {
        let rng = &mut Planting { needles, drawn: number << 32 };
        let seed = Seed::generate(rng).unwrap();
        rng.needles.last_is_held("seed");
        let alice = Device::new(&seed, rng);
        let other = Seed::from_words(&seed.next().words()).unwrap();
        let bob = Device::new(&other, rng);
        let link = LinkSecret::generate(rng).unwrap();
        let bundle = bob.bundle(&link, rng);
        let mut session = Session::initiate(&alice.own(), &bundle, NOW, rng).unwrap();
        let first = talk::seal(&mut session, b"hello", rng);
        let opened =
            Session::respond(&bob.own(), &bob.signed, Some(&bob.one_time), &first, NOW).unwrap();
        let mut talk = [session, opened.session];
        let entry = alice.manifest.device(DEVICE).unwrap();
        talk[1].introduce(alice.manifest.account(), entry).unwrap();
        let mut late = Vec::new();
        for turn in 0..16 {
            let (from, to) = ((turn + 1) % 2, turn % 2);
            for lost in [true, false] {
                let envelope = talk::seal(&mut talk[from], b"and on", rng);
                if lost && turn % 3 == 0 {
                    late.push((to, envelope));
                } else {
                    talk::open(&mut talk[to], &envelope);
                }
                for session in &talk {
                    held_by(session, |name, key| rng.needles.past(format!("past {name}"), key));
                }
            }
            // What was thought lost comes late, the first of it last.
            if turn == 12 {
                for (to, envelope) in late.drain(1..).rev() {
                    talk::open(&mut talk[to], &envelope);
                }
            }
            // A restart.
            if turn == 9 {
                talk = talk.map(|session| Session::import(&session.export()).unwrap());
            }
        }
        Self { seed, alice, bob, link, talk }
    }

    /// Notes what is held now.
    pub(super) fn note(&self, needles: &mut Needles) {
        let Self { seed, alice, bob, link, talk } = self;
        for (name, purpose) in [
            ("root Ed25519", Purpose::RootEd25519),
            ("root ML-DSA-65", Purpose::RootMlDsa),
            ("next root", Purpose::NextRoot),
            ("wallet", Purpose::Wallet { epoch: 0 }),
            ("payee lock", Purpose::PayeeLock),
            ("refund", Purpose::Refund),
            ("quote", Purpose::Quote),
            ("vault mailbox", Purpose::VaultMailbox),
            ("backup", Purpose::Backup),
        ] {
            needles.past(name, seed.derive(purpose).expose());
        }
        needles.past("knock capability", link.knock_capability().expose());
        needles.held("link secret", link.expose());
        for (who, device) in [("alice", alice), ("bob", bob)] {
            let Device { keys, manifest: _, signed, one_time } = device;
            needles.held(format!("{who}: Ed25519"), keys.signing().to_secret().expose());
            needles.held(format!("{who}: X25519"), keys.dh().as_secret().expose());
            needles.held(format!("{who}: ML-KEM"), keys.kem().expose_seed());
            needles.held(format!("{who}: signed prekey"), signed.dh().as_secret().expose());
            needles.held(format!("{who}: signed ML-KEM"), signed.kem().expose_seed());
            needles.held(format!("{who}: one-time"), one_time.dh().as_secret().expose());
            needles.held(format!("{who}: one-time ML-KEM"), one_time.kem().expose_seed());
        }
        for (who, session) in ["alice", "bob"].iter().zip(talk) {
            held_by(session, |name, key| needles.held(format!("{who}: {name}"), key));
        }
    }
}

/// A key that nobody wipes: one in use for ever, and one in memory that was freed.
pub(super) fn leak(needles: &mut Needles) {
    let byte = |i: usize| (i as u8).wrapping_mul(29) ^ 0x3c;
    let fill = |bytes: &mut [u8]| bytes.iter_mut().enumerate().for_each(|(i, b)| *b = byte(i));
    let leaked = Secret::written(|secret| fill(secret));
    needles.held("leaked", leaked.expose());
    std::mem::forget(leaked);
    let mut freed = vec![0; 400];
    fill(&mut freed[200..232]);
    freed[200..232].iter_mut().for_each(|byte| *byte ^= 0xff);
    needles.held("freed", &freed[200..232]);
}

/// Hands every secret of a session to `each`, read from its exported state (SPEC §5.10).
fn held_by(session: &Session, mut each: impl FnMut(&'static str, &[u8])) {
    let state = session.export();
    let mut from = Reader::new(&state);
    from.bytes(1 + 32 + 1 + 100 + 32 + 8).unwrap();
    if from.flag().unwrap() {
        from.bytes(2333).unwrap();
    }
    each("root", from.bytes(32).unwrap());
    if from.flag().unwrap() {
        each("ratchet key", from.bytes(32).unwrap());
    }
    from.bytes(32 + 8).unwrap();
    each("next header key, sending", from.bytes(32).unwrap());
    from.bytes(8).unwrap();
    each("next header key, receiving", from.bytes(32).unwrap());
    from.flag().unwrap();
    if from.flag().unwrap() {
        from.bytes(12).unwrap();
    }
    if from.flag().unwrap() {
        from.bytes(8).unwrap();
        let header_key = from.bytes(32).unwrap();
        // Zeros once the chain ended (SPEC §5.4).
        if header_key != [0; 32] {
            each("header key, sending", header_key);
        }
        from.bytes(32 + 8).unwrap();
        chain(&mut from, &mut each);
    }
    let mut receiving = |from: &mut Reader<'_>| {
        from.bytes(8).unwrap();
        each("header key, receiving", from.bytes(32).unwrap());
        from.bytes(32 + 4).unwrap();
        chain(from, &mut each);
    };
    if from.flag().unwrap() {
        receiving(&mut from);
    }
    for _ in 0..from.u8().unwrap() {
        receiving(&mut from);
    }
    from.bytes(1 + 4 + 4 + 8 + 1).unwrap();
    match from.u8().unwrap() {
        1 => each("KEM seed", from.bytes(64).unwrap()),
        2 => each("KEM secret", from.bytes(32).unwrap()),
        6 => {
            from.bytes(1088 + 32).unwrap();
            each("KEM secret", from.bytes(32).unwrap());
        }
        _ => {}
    }
}

fn chain(from: &mut Reader<'_>, each: &mut impl FnMut(&'static str, &[u8])) {
    if from.flag().unwrap() {
        from.u8().unwrap();
        each("spine", from.bytes(32).unwrap());
    }
    from.bytes(8).unwrap();
    for _ in 0..from.u32().unwrap() {
        from.bytes(5).unwrap();
        each("node", from.bytes(32).unwrap());
    }
    for _ in 0..from.u8().unwrap() {
        from.bytes(8).unwrap();
    }
}

/// A source whose bytes can be computed again, so that it holds none of them; what is drawn is noted as a key.
struct Planting<'a> {
    needles: &'a mut Needles,
    drawn: u64,
}

impl TryRng for Planting<'_> {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes.iter_mut() {
            self.drawn += 1;
            // SplitMix64, of which one byte is used.
            let mut z = self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z >> 56) as u8;
        }
        // Nonces are public, and 24 bytes long.
        if bytes.len() != 24 {
            self.needles.past(format!("drawn at {}", self.drawn), bytes);
        }
        Ok(())
    }
}

impl TryCryptoRng for Planting<'_> {}
