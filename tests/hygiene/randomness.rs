//! A source of randomness that fails at one draw, whichever it is.

use chopmark_core::{
    identity::{DeviceKeys, Seed},
    link::{LinkSecret, Published},
    prekey::{OneTimePrekeySecret, PrekeyId, SignedPrekeySecret, VerifiedBundle},
    random,
    secret::Secret,
    session::Session,
    signature::SigningKey,
};
use chopmark_testkit::party::{self, NOW, Party};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::{Rng, TryCryptoRng, TryRng};

use super::talk::{self, Talk};

/// What a broken source does.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// Says that it failed, with bytes in the buffer that look like randomness.
    Error,
    /// Says that it succeeded, and answers zeros.
    Zeros,
}

/// A good source, but for one draw.
struct FailsOnce {
    good: ChaCha20Rng,
    at: usize,
    failure: Failure,
    draws: usize,
}

impl FailsOnce {
    fn new(at: usize, failure: Failure) -> Self {
        Self { good: ChaCha20Rng::from_seed([27; 32]), at, failure, draws: 0 }
    }

    /// Whether this draw is the one that fails.
    fn fails(&mut self) -> bool {
        self.draws += 1;
        self.draws == self.at + 1
    }
}

impl TryRng for FailsOnce {
    type Error = core::fmt::Error;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        panic!("a draw that `random` did not check")
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        panic!("a draw that `random` did not check")
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        match (self.fails(), self.failure) {
            (true, Failure::Error) => {
                bytes.fill(7);
                Err(core::fmt::Error)
            }
            (true, Failure::Zeros) => {
                bytes.fill(0);
                Ok(())
            }
            (false, _) => {
                self.good.fill_bytes(bytes);
                Ok(())
            }
        }
    }
}

impl TryCryptoRng for FailsOnce {}

/// Runs `operation` with a source that fails at its first draw, at its second, and so on, until it needs no more; every
/// such run must be an error. Returns how many draws it makes.
fn draws(name: &str, mut operation: impl FnMut(&mut FailsOnce) -> Result<(), String>) -> usize {
    for at in 0.. {
        let mut draws = 0;
        for failure in [Failure::Error, Failure::Zeros] {
            let mut rng = FailsOnce::new(at, failure);
            let outcome = operation(&mut rng);
            draws = rng.draws;
            assert_eq!(outcome.is_err(), draws > at, "{name}: draw {at}, {failure:?}: {outcome:?}");
            assert!(draws <= at + 1, "{name}: went on after draw {at} had failed");
        }
        if draws <= at {
            return draws;
        }
    }
    unreachable!()
}

fn told<T, E: core::fmt::Display>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

// Tests [randomness-fails-loudly].
#[test]
fn t27_randomness_that_fails_at_any_one_draw_makes_no_key() {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let (us, peer) = (Party::new(&mut rng), Party::new(&mut rng));
    let one_time = Some(peer.one_time_part.as_slice());
    let bundle = VerifiedBundle::verify(&peer.signed_part, one_time, &peer.account, NOW).unwrap();
    let bare = VerifiedBundle::verify(&peer.signed_part, None, &peer.account, NOW).unwrap();
    let link = LinkSecret::from_bytes(&[1; 16]).bundle_key();
    let kem = bundle.device().kem();

    assert_eq!(draws("secret", |rng| told(Secret::random(rng))), 1);
    assert_eq!(draws("nonce", |rng| told(random::array::<24>(rng))), 1);
    assert_eq!(draws("seed", |rng| told(Seed::generate(rng))), 1);
    assert_eq!(draws("signing key", |rng| told(SigningKey::generate(rng))), 1);
    assert_eq!(draws("device", |rng| told(DeviceKeys::generate(rng))), 4);
    assert_eq!(draws("encapsulation", |rng| told(kem.encapsulate(rng))), 1);
    let signed = |rng: &mut _| told(SignedPrekeySecret::generate(PrekeyId(1), NOW, rng));
    assert_eq!(draws("signed prekey", signed), 3);
    let one_time = |rng: &mut _| told(OneTimePrekeySecret::generate(PrekeyId(1), rng));
    assert_eq!(draws("one-time prekey", one_time), 3);
    assert_eq!(draws("link", |rng| told(LinkSecret::generate(rng))), 1);
    let seal = |rng: &mut _| told(link.seal_published(Published::SignedPart, b"", rng));
    assert_eq!(draws("published piece", seal), 1);
    for bundle in [&bundle, &bare] {
        let initiate = |rng: &mut _| told(Session::initiate(&us.own(), bundle, NOW, rng));
        assert_eq!(draws("first contact", initiate), 3);
    }
}

// Tests [randomness-fails-loudly], [errors-change-nothing].
// A whole conversation: before each message is sealed, sealing it fails at every draw that it makes.
#[test]
fn t27_randomness_that_fails_at_any_one_draw_of_a_message_changes_nothing() {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
    let mut seen = Vec::new();
    let mut attempt = |session: &mut Session| {
        let before = session.export();
        let made = draws("message", |rng| {
            let outcome = told(talk::try_seal(session, rng));
            if outcome.is_err() {
                assert!(session.export() == before, "a failed draw changed the session");
            } else {
                *session = Session::import(&before).unwrap();
            }
            outcome
        });
        seen.push(made);
    };
    let mut alice = a.initiate(&b, &mut rng);
    attempt(&mut alice);
    let first = party::seal(&mut alice, b"hello", &mut rng);
    let mut talk = Talk { alice, bob: b.respond(&a, &first) };
    for turn in 0..40 {
        // At the beginning of a chain always, and often in it.
        for _ in 0..=turn % 3 {
            let from_alice = turn % 2 == 1;
            attempt(if from_alice { &mut talk.alice } else { &mut talk.bob });
            talk.say(from_alice, b"and on", &mut rng);
        }
    }
    // In a chain, with a root step, with a key of a KEM epoch or an encapsulation to one besides.
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [1, 2, 3, 4]);
}
