//! Which keys met which nonces: for tests that no pair does it twice. SPEC §5.5 `[hedged-nonce]`.

use std::cell::RefCell;

use crate::hash::sha256;

/// One use of ChaCha20-Poly1305 to seal: a body, a header or an identity box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The key.
    pub key: [u8; 32],
    /// The nonce.
    pub nonce: [u8; 12],
    /// What was sealed, and what it was bound to: a hash of both.
    pub what: [u8; 32],
    /// Bytes of the text.
    pub length: usize,
}

std::thread_local! {
    static NOTED: RefCell<Option<Vec<Sealing>>> = const { RefCell::new(None) };
}

/// Does some work of this thread, and says all that was sealed in it.
pub fn recorded<T>(work: impl FnOnce() -> T) -> (T, Vec<Sealing>) {
    NOTED.set(Some(Vec::new()));
    let done = work();
    (done, NOTED.take().unwrap_or_default())
}

pub(crate) fn note(key: &[u8; 32], nonce: &[u8; 12], associated: &[u8], text: &[u8]) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            // Not a hash of the protocol: the label only keeps the two parts apart.
            let what = sha256("", &[associated, text]);
            noted.push(Sealing { key: *key, nonce: *nonce, what, length: text.len() });
        }
    });
}
