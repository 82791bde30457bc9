//! Two devices that talk, step by step: the one place here that knows how a session is moved on.

use chopmark_core::session::{SealError, Session};
use chopmark_testkit::party::{self, NOW};
use rand_chacha::ChaCha20Rng;
use rand_core::TryCryptoRng;

/// Two devices with a session of each with the other.
pub(super) struct Talk {
    pub(super) alice: Session,
    pub(super) bob: Session,
}

impl Talk {
    /// The next message of a strict ping-pong: `from` seals, the other opens.
    pub(super) fn say(&mut self, from_alice: bool, content: &[u8], rng: &mut ChaCha20Rng) {
        let (from, to) = match from_alice {
            true => (&mut self.alice, &mut self.bob),
            false => (&mut self.bob, &mut self.alice),
        };
        let envelope = party::seal(from, content, rng);
        open(to, &envelope);
    }
}

/// Seals and stores nothing: whether it could be sealed. The session is as it was.
pub(super) fn try_seal(
    session: &mut Session,
    rng: &mut impl TryCryptoRng,
) -> Result<(), SealError> {
    session.seal(b"tried", NOW, rng).map(drop)
}

/// Opens and moves the session on.
pub(super) fn open(session: &mut Session, envelope: &[u8]) -> Vec<u8> {
    party::open(session, envelope).content.to_vec()
}

/// Seals and moves the session on, as if it had been stored.
pub(super) fn seal(session: &mut Session, content: &[u8], rng: &mut impl TryCryptoRng) -> Vec<u8> {
    let sealed = session.seal(content, NOW, rng).unwrap();
    let sent = sealed.commit(|_, _| Ok::<_, core::convert::Infallible>(())).unwrap();
    sent.envelope.into_bytes()
}
