//! What people send to each other (SPEC §7.2).
//!
//! A content is named by a hash of its bytes as they were received, so [`MessageId::of`] takes those and never a
//! re-encoding. Payment bodies stay bytes here for the same reason; `chopmark_wire::payment` reads them.
//!
//! Start at [`Content`].

mod body;

use std::{fmt, time::Duration};

use bytes::Bytes;
use chopmark_core::{hash::sha256, label, time::Timestamp};
use prost::Message as _;

pub use body::{Body, Custom, Edit, Introduction, Reaction, Receipt, ReceiptKind, UnknownBody};

use crate::{
    generated::{content as pb, shapes},
    identity::array,
    limits,
    strict::{self, DecodeError, EncodeError},
};

/// One message of a conversation (SPEC §7.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// 16 random bytes, so that equal texts have different ids.
    pub salt: [u8; 16],
    /// When, by the sender's clock.
    pub sent_at: Timestamp,
    /// What a client shows that does not know the body.
    pub fallback: Fallback,
    /// The message that this answers.
    pub reply_to: Option<MessageId>,
    /// The first message of the thread.
    pub thread_root: Option<MessageId>,
    /// How long after it was first shown both sides forget it, in whole seconds.
    pub expiry: Option<Duration>,
    /// What a later version or an app added.
    pub extensions: Vec<Extension>,
    /// What it says.
    pub body: Body,
}

/// What a client does with a body that it does not know (SPEC §7.4).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fallback {
    /// Is anything shown at all?
    pub policy: FallbackPolicy,
    /// The text to show; empty lets the client say that something newer was sent.
    pub text: String,
}

/// Is a body shown that the client does not know (SPEC §7.4)?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FallbackPolicy {
    /// Show the text, or a note.
    #[default]
    Show,
    /// Keep it and show nothing.
    Hide,
}

/// Something added to a content (SPEC §7.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Extension {
    /// Which; given out by SPEC.md, from 2^31 on free for apps.
    pub id: u32,
    /// A client that does not know it must not act on the body.
    pub critical: bool,
    /// Its bytes.
    pub data: Bytes,
}

/// Names a message: a hash of where it was said, by whom, and its bytes as received (SPEC §7.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 32]);

impl MessageId {
    /// The id of the content `raw` that the account `sender` sent in `conversation`.
    pub fn of(conversation: &[u8; 32], sender: &[u8; 32], raw: &[u8]) -> Self {
        Self(sha256(label::MESSAGE_ID, &[conversation, sender, raw]))
    }

    /// An id that was computed before, as from a store or a reply.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        array(bytes, "message id").map(Self)
    }

    pub(crate) fn write(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

impl Content {
    /// The bytes to send, hash and keep: the same for the same content. An unknown body gives back what was received.
    ///
    /// # Errors
    /// [`EncodeError`] if the other side would refuse it: nothing is sent that a receiver drops.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let Self { salt, sent_at, fallback, reply_to, thread_root, expiry, extensions, body } =
            self;
        let body = match body.write() {
            Ok(body) => body,
            Err(received) => return Ok(received),
        };
        let expiry_s = expiry.map_or(Some(0), |expiry| u32::try_from(expiry.as_secs()).ok());
        let policy = match fallback.policy {
            FallbackPolicy::Show => pb::FallbackPolicy::Show,
            FallbackPolicy::Hide => pb::FallbackPolicy::Hide,
        };
        let fallback = pb::Fallback { policy: policy.into(), text: fallback.text.clone() };
        let message = pb::Content {
            salt: Bytes::copy_from_slice(salt),
            sent_at_ms: sent_at.0,
            fallback: (fallback != pb::Fallback::default()).then_some(fallback),
            reply_to: reply_to.map(|id| id.write()),
            thread_root: thread_root.map(|id| id.write()),
            expiry_s: expiry_s.ok_or(EncodeError(DecodeError::Invalid("expiry")))?,
            extensions: extensions.iter().map(Extension::write).collect(),
            body: Some(body),
        };
        let bytes = Bytes::from(message.encode_to_vec());
        Self::decode(&bytes).map(|_| bytes).map_err(EncodeError)
    }

    /// Reads the content of a payload. A body or a critical extension of a later version is no error: it becomes
    /// [`Body::Unknown`], which keeps `raw` (SPEC §7.4).
    ///
    /// # Errors
    /// Which rule of SPEC §7.2 or §7.3 the bytes break.
    pub fn decode(raw: &Bytes) -> Result<Self, DecodeError> {
        let message: pb::Content =
            strict::decode(raw, &shapes::CONTENT_CONTENT, limits::CONTENT_MAX)?;
        let pb::Content {
            salt,
            sent_at_ms,
            fallback,
            reply_to,
            thread_root,
            expiry_s,
            extensions,
            body,
        } = message;
        if sent_at_ms > limits::SENT_AT_MS_MAX {
            return Err(DecodeError::Invalid("sending time"));
        }
        let extensions =
            extensions.into_iter().map(Extension::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            salt: array(&salt, "salt")?,
            sent_at: Timestamp(sent_at_ms),
            fallback: Fallback::read(fallback.unwrap_or_default())?,
            reply_to: reply_to.as_deref().map(MessageId::read).transpose()?,
            thread_root: thread_root.as_deref().map(MessageId::read).transpose()?,
            expiry: (expiry_s > 0).then(|| Duration::from_secs(expiry_s.into())),
            // No extension is known yet: every critical one is of a later version (SPEC §7.4).
            body: Body::read(body, raw, extensions.iter().any(|extension| extension.critical))?,
            extensions,
        })
    }
}

impl Fallback {
    fn read(fallback: pb::Fallback) -> Result<Self, DecodeError> {
        let pb::Fallback { policy, text } = fallback;
        if text.len() > limits::FALLBACK_TEXT_MAX {
            return Err(DecodeError::Invalid("fallback text"));
        }
        // A policy of a later version shows: hiding is what must be asked for.
        let hide = policy == i32::from(pb::FallbackPolicy::Hide);
        Ok(Self { policy: if hide { FallbackPolicy::Hide } else { FallbackPolicy::Show }, text })
    }
}

impl Extension {
    fn read(extension: pb::Extension) -> Result<Self, DecodeError> {
        let pb::Extension { id, critical, data } = extension;
        if id == 0 || data.len() > limits::EXTENSION_MAX {
            return Err(DecodeError::Invalid("extension"));
        }
        Ok(Self { id, critical, data })
    }

    fn write(&self) -> pb::Extension {
        let Self { id, critical, data } = self;
        pb::Extension { id: *id, critical: *critical, data: data.clone() }
    }
}

/// What people write is not for logs.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("body", &self.body).finish_non_exhaustive()
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl fmt::Debug for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, critical, data: _ } = self;
        f.debug_struct("Extension")
            .field("id", id)
            .field("critical", critical)
            .finish_non_exhaustive()
    }
}

/// An id is a stable name of what was said: not for logs.
impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageId(..)")
    }
}

#[cfg(test)]
mod tests;
