//! The encrypted header of a message. SPEC §5.2.

use crate::{
    aead::{self, TAG, short},
    codec::{Reader, lay},
    secret::Key,
};

/// Bytes of a header in the clear.
pub(crate) const PLAIN: usize = 32 + 4 + 4 + 4 + 12;

/// Bytes of a sealed header.
pub(crate) const SEALED: usize = PLAIN + TAG;

/// Where a message stands: which chain, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The sender's ratchet key, constant in a chain; checked as a key when it begins one.
    pub(crate) ratchet_key: [u8; 32],
    /// Index in the chain.
    pub(crate) n: u32,
    /// Length of the sender's chain before this one.
    pub(crate) pn: u32,
    /// KEM epoch of the root step that began the chain.
    pub(crate) epoch: u32,
    /// Nonce of the body.
    pub(crate) nonce: [u8; 12],
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; PLAIN] {
        let mut bytes = [0; PLAIN];
        lay(&mut bytes, &[&self.without_nonce(), &self.nonce]);
        bytes
    }

    /// Everything but the body's nonce, which is derived from it.
    pub(crate) fn without_nonce(&self) -> [u8; PLAIN - 12] {
        let (n, pn) = (self.n.to_be_bytes(), self.pn.to_be_bytes());
        let mut bytes = [0; PLAIN - 12];
        lay(&mut bytes, &[&self.ratchet_key, &n, &pn, &self.epoch.to_be_bytes()]);
        bytes
    }

    fn decode(bytes: &[u8; PLAIN]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            ratchet_key: *reader.array().ok()?,
            n: reader.u32().ok()?,
            pn: reader.u32().ok()?,
            epoch: reader.u32().ok()?,
            nonce: *reader.array().ok()?,
        })
    }

    /// Seals under a chain's header key. The nonce is the beginning of the body's tag, so it repeats only with the
    /// whole message.
    pub(crate) fn seal(
        &self,
        key: &Key,
        body_tag: &[u8; TAG],
    ) -> Result<[u8; SEALED], aead::NotAuthentic> {
        let mut text = [0; PLAIN];
        let tag = short::seal(key.expose(), nonce(body_tag), &[], &self.encode(), &mut text)?;
        let mut sealed = [0; SEALED];
        lay(&mut sealed, &[&text, &tag]);
        Ok(sealed)
    }

    /// Tries one header key. `None` says only that it is not the right one.
    pub(crate) fn open(key: &Key, sealed: &[u8; SEALED], body_tag: &[u8; TAG]) -> Option<Self> {
        let (text, tag) = sealed.split_first_chunk::<PLAIN>()?;
        let mut plain = [0; PLAIN];
        short::open(key.expose(), nonce(body_tag), &[], text, &mut plain, tag.first_chunk()?)
            .ok()?;
        Self::decode(&plain)
    }
}

fn nonce(body_tag: &[u8; TAG]) -> &[u8; 12] {
    let [nonce @ .., _, _, _, _] = body_tag;
    nonce
}
