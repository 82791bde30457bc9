//! Laws of core and wire, tried with whatever proptest makes up.

mod chain;
mod content;
mod identity;
mod keys;
mod links;
mod money;
mod naive;
mod ratchet;
mod sessions;
mod strict;

use std::convert::Infallible;

use chopmark_core::{
    session::{OpenError, Session},
    sessions::Sessions,
};
use chopmark_testkit::{party::NOW, seed::Seed};
use proptest::test_runner::Config;
use rand_chacha::ChaCha20Rng;

/// As many cases as fit the time that a property may take: its cost decides, not its worth.
fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// Randomness of a case: what proptest shows of a failure repeats it.
fn rng(seed: u64) -> ChaCha20Rng {
    Seed::fixed(seed).rng()
}

/// What a store says that never fails.
fn stored<S, M>(_: &S, _: &M) -> Result<(), Infallible> {
    Ok(())
}

/// Opens and stores; the content.
fn open(session: &mut Session, envelope: &[u8]) -> Result<Vec<u8>, OpenError> {
    let incoming = session.open(envelope, NOW)?.commit(stored).unwrap();
    Ok(incoming.content.to_vec())
}

/// Seals on the session that sends, and stores.
fn send(sessions: &mut Sessions, content: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let sealed = sessions.seal(content, NOW, rng).unwrap();
    sealed.commit(stored).unwrap().envelope.into_bytes()
}

/// Seals the empty message that is due, if one is, and stores.
fn probe(sessions: &mut Sessions, rng: &mut ChaCha20Rng) -> Option<Vec<u8>> {
    let id = sessions.probe_due()?;
    let sealed = sessions.seal_probe(id, b"", NOW, rng).unwrap();
    Some(sealed.commit(stored).unwrap().envelope.into_bytes())
}

/// Opens with one of them and stores. Whether one of them could.
fn open_one(sessions: &mut Sessions, envelope: &[u8]) -> bool {
    sessions.open(envelope, NOW).is_ok_and(|opened| opened.commit(stored).is_ok())
}
