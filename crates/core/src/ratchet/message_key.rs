//! What one message is sealed with, and what it is bound to. SPEC §5.5.

use super::header::{self, Header};
use crate::{
    aead::{self, NotAuthentic, TAG},
    codec::lay,
    handshake::InitBlock,
    hash::sha256,
    kdf, label,
    secret::Key,
    session::SessionId,
};

/// What binds a body to its session.
#[derive(Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub(crate) session: &'a SessionId,
    pub(crate) init: Option<&'a [u8; InitBlock::LENGTH]>,
}

/// The two keys of one message that is being sealed.
pub(crate) struct MessageKeys {
    pub(crate) body: Key,
    pub(crate) nonce: Key,
}

impl MessageKeys {
    pub(crate) fn of(leaf: &Key) -> Self {
        let [body, nonce] = kdf::pair(leaf.expose(), [label::BODY_KEY, label::BODY_NONCE_KEY]);
        Self { body, nonce }
    }

    /// The one that opening needs.
    pub(crate) fn body_of(leaf: &Key) -> Key {
        kdf::mac(leaf.expose(), label::BODY_KEY, &[])
    }

    /// The hedged nonce: a restored or cloned state, its randomness cloned too, repeats it only for the same message.
    pub(crate) fn nonce(
        &self,
        hedge: &[u8; 32],
        header: &Header,
        length: usize,
        text: &[u8],
    ) -> [u8; 12] {
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let text = sha256(label::BODY_TEXT, &[&header.without_nonce(), &length, text]);
        let mac = kdf::mac(self.nonce.expose(), label::BODY_NONCE, &[hedge, &text]);
        let [nonce @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            *mac.expose();
        nonce
    }
}

/// `version | session id | H(init block), if any | header`.
pub(crate) struct Associated {
    bytes: [u8; 1 + 32 + 32 + header::PLAIN],
    length: usize,
}

impl Associated {
    pub(crate) fn of(version: u8, binding: &Binding<'_>, header: &Header) -> Self {
        let init = binding.init.map(|init| sha256(label::INIT_BLOCK, &[init]));
        let init = init.as_ref().map_or(&[][..], |hash| hash);
        let mut bytes = [0; 1 + 32 + 32 + header::PLAIN];
        let parts = [&[version][..], binding.session.as_bytes(), init, &header.encode()];
        let length = lay(&mut bytes, &parts);
        Self { bytes, length }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Seals a body in place.
    pub(crate) fn seal(
        &self,
        key: &Key,
        header: &Header,
        text: &mut [u8],
    ) -> Result<[u8; TAG], NotAuthentic> {
        aead::seal(key.expose(), &header.nonce, self.bytes(), text)
    }

    /// Opens a body in place.
    pub(crate) fn open(
        &self,
        key: &Key,
        header: &Header,
        text: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), NotAuthentic> {
        aead::open(key.expose(), &header.nonce, self.bytes(), text, tag)
    }
}
