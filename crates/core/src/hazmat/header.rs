//! Sealed headers. SPEC §5.2.

use crate::{ratchet::header, secret::Key};

/// Bytes of a header in the clear.
pub const LENGTH: usize = header::PLAIN;

/// Bytes of a sealed header.
pub const SEALED: usize = header::SEALED;

/// A header in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's ratchet key.
    pub ratchet_key: [u8; 32],
    /// The index of the message in its chain.
    pub n: u32,
    /// The length of the sender's chain before.
    pub pn: u32,
    /// The KEM epoch of the root step that began the chain.
    pub epoch: u32,
    /// The nonce of the body.
    pub nonce: [u8; 12],
}

impl Header {
    /// The 56 bytes.
    pub fn encode(&self) -> [u8; LENGTH] {
        header::Header::from(*self).encode()
    }

    /// Seals under a chain's header key beside a body with this tag. `None` is our bug.
    pub fn seal(&self, key: &[u8; 32], body_tag: &[u8; 16]) -> Option<[u8; SEALED]> {
        header::Header::from(*self).seal(&Key::new(*key), body_tag).ok()
    }

    /// Tries one header key; `None` says that it is not the right one.
    pub fn open(key: &[u8; 32], sealed: &[u8; SEALED], body_tag: &[u8; 16]) -> Option<Self> {
        header::Header::open(&Key::new(*key), sealed, body_tag).map(Self::from)
    }
}

impl From<header::Header> for Header {
    fn from(header: header::Header) -> Self {
        let header::Header { ratchet_key, n, pn, epoch, nonce } = header;
        Self { ratchet_key, n, pn, epoch, nonce }
    }
}

impl From<Header> for header::Header {
    fn from(header: Header) -> Self {
        let Header { ratchet_key, n, pn, epoch, nonce } = header;
        Self { ratchet_key, n, pn, epoch, nonce }
    }
}
