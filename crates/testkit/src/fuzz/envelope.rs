//! What a device reads from a mailbox: an envelope, the states and manifests beside it, and what a sealed body held.

use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use chopmark_core::{handshake::InitBlock, identity::SignedManifest, session::Session};
use chopmark_wire::payload::Payload;

use super::content;
use crate::{party, seed::Seed};

/// An envelope for a session, everything of the core that is read from outside, and what a sealed body held.
pub fn envelope(data: &[u8]) {
    sealed(data);
    payload(data);
}

/// What the core reads: it takes what was made for it, once, and nothing else.
fn sealed(data: &[u8]) {
    // Two sessions, made once: what is opened is not committed.
    static SESSIONS: OnceLock<(Vec<u8>, Mutex<Session>, Vec<u8>)> = OnceLock::new();
    let (state, session, genuine) = SESSIONS.get_or_init(|| {
        let mut rng = Seed::fixed(3).rng();
        let (mut alice, bob, _) = party::met(&mut rng);
        let genuine = party::seal(&mut alice, b"genuine", &mut rng);
        (bob.export().to_vec(), Mutex::new(bob), genuine)
    });
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    if session.open(data, party::NOW).is_ok() {
        assert!(data == genuine.as_slice(), "a forgery was opened");
    }
    assert!(session.export().as_slice() == state.as_slice(), "opening changed the session");
    let _ = InitBlock::peek(data);
    if let Ok(read) = Session::import(data) {
        assert!(read.export().as_slice() == data, "a state has two forms");
    }
    if let Ok(read) = SignedManifest::verify(data) {
        assert!(read.as_bytes() == data, "a manifest has two forms");
    }
}

fn payload(data: &[u8]) {
    let Ok(payload) = Payload::decode(&Bytes::copy_from_slice(data)) else { return };
    let again = payload.encode().expect("what was taken can be sent");
    assert_eq!(Payload::decode(&again).as_ref(), Ok(&payload), "a payload changed by being sent");
    assert!(again.len() <= data.len(), "a payload grew by being sent");
    if let Some(inner) = &payload.content {
        content(inner);
    }
}
