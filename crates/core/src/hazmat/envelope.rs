//! Texts of bodies and whole envelopes, with keys that are handed in. SPEC §5.1, §5.5.

use super::{header::Header, kem_epoch::Object};
use crate::{
    aead,
    codec::DecodeError,
    handshake::InitBlock,
    ratchet::{
        Acknowledged, FIRST_MESSAGE, MESSAGE, Parts,
        body::{self, Body},
        header,
        message_key::{Associated, Binding, MessageKeys},
    },
    secret::Key,
    session::SessionId,
};

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What is acknowledged.
    pub acknowledged: Acknowledged,
    /// The content.
    pub content: Vec<u8>,
    /// The KEM object.
    pub object: Option<Object>,
}

impl Text {
    /// The text in `length` bytes, and how many of them are not padding. `None` if it does not fit.
    pub fn encode(&self, length: usize) -> Option<(Vec<u8>, usize)> {
        let mut text = vec![0; length];
        let object = self.object.as_ref().map(Object::received).transpose().ok()?;
        let written = body::write(&mut text, self.acknowledged, &self.content, object.as_ref())?;
        Some((text, written))
    }

    /// Takes a text apart.
    ///
    /// # Errors
    /// [`DecodeError`], also for padding that is not zeros.
    pub fn decode(text: &[u8]) -> Result<Self, DecodeError> {
        let body = Body::parse(text.to_vec().into())?;
        let object = body.object().map(Object::from);
        let content = body.content().to_vec();
        Ok(Self { acknowledged: body.acknowledged, content, object })
    }
}

/// What a message is bound to and sealed with.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// The session id.
    pub session: &'a [u8; 32],
    /// The init block, in a message of version 2.
    pub init: Option<&'a [u8; InitBlock::LENGTH]>,
    /// The chain's header key.
    pub header: &'a [u8; 32],
    /// The leaf of the message.
    pub leaf: &'a [u8; 32],
}

/// Why an envelope does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The length is no bucket or the version unknown.
    NotAnEnvelope,
    /// The header key is not that of the header.
    NotForThisSession,
    /// The body's tag is wrong.
    Forged,
    /// The text is not one: padding that is not zeros, or an unknown object.
    Misbehaved,
}

impl Keys<'_> {
    /// `(k_body, k_nonce)`.
    pub fn of_body(&self) -> ([u8; 32], [u8; 32]) {
        let keys = MessageKeys::of(&(*self.leaf).into());
        (*keys.body.expose(), *keys.nonce.expose())
    }

    /// The hedged nonce of a text without its padding, in an envelope of `length` bytes.
    pub fn nonce(&self, hedge: &[u8; 32], header: &Header, length: usize, text: &[u8]) -> [u8; 12] {
        MessageKeys::of(&(*self.leaf).into()).nonce(hedge, &(*header).into(), length, text)
    }

    /// What the body's tag covers besides the text.
    pub fn associated(&self, header: &Header) -> Vec<u8> {
        let (version, session) = (self.version(), SessionId::from_bytes(*self.session));
        let binding = Binding { session: &session, init: self.init };
        Associated::of(version, &binding, &(*header).into()).bytes().to_vec()
    }

    /// Seals a text, padding and all, under the nonce that the header says. `None` is our bug.
    pub fn seal(&self, header: &Header, text: &[u8]) -> Option<Vec<u8>> {
        let mut body = text.to_vec();
        let (key, _) = self.of_body();
        let tag = aead::seal(&key, &header.nonce, &self.associated(header), &mut body).ok()?;
        let sealed = header.seal(self.header, &tag)?;
        let init = self.init.map_or(&[][..], |init| init);
        Some([&[self.version()][..], init, &sealed, &body, &tag].concat())
    }

    /// Opens an envelope: its header and its text, padding and all.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn open(&self, envelope: &[u8]) -> Result<(Header, Vec<u8>), Refused> {
        let parts = Parts::of(envelope).ok_or(Refused::NotAnEnvelope)?;
        let key = Key::new(*self.header);
        let header = header::Header::open(&key, parts.header, parts.tag);
        let header = header.ok_or(Refused::NotForThisSession)?;
        let session = SessionId::from_bytes(*self.session);
        let binding = Binding { session: &session, init: parts.init };
        let associated = Associated::of(parts.version, &binding, &header);
        let mut text = parts.body.to_vec();
        let (key, _) = self.of_body();
        aead::open(&key, &header.nonce, associated.bytes(), &mut text, parts.tag)
            .map_err(|_| Refused::Forged)?;
        Text::decode(&text).map_err(|_| Refused::Misbehaved)?;
        Ok((header.into(), text))
    }

    fn version(&self) -> u8 {
        if self.init.is_some() { FIRST_MESSAGE } else { MESSAGE }
    }
}

impl core::fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys(..)")
    }
}
