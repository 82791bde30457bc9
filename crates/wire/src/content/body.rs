//! The bodies of a content (SPEC §7.3), and what becomes of one that this version does not know (SPEC §7.4).

use std::fmt;

use bytes::Bytes;

use super::MessageId;
use crate::{
    generated::content as pb,
    identity::Endpoint,
    limits,
    strict::{self, DecodeError, Value},
};

/// What a content says (SPEC §7.3).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// Where the sender is reached.
    Introduction(Introduction),
    /// Words.
    Text(String),
    /// Messages arrived or were read.
    Receipt(Receipt),
    /// A sign at someone's message.
    Reaction(Reaction),
    /// A message of the sender's own, said again.
    Edit(Edit),
    /// A message of the sender's own, taken back.
    Retract(MessageId),
    /// A request for money: a message of SPEC §8.2, as received.
    PaymentRequest(Bytes),
    /// Coins: a message of SPEC §8.4, as received.
    Payment(Bytes),
    /// That coins were taken: a message of SPEC §8.8, as received.
    PaymentReceipt(Bytes),
    /// That coins were not taken: a message of SPEC §8.7, as received.
    PaymentDecline(Bytes),
    /// That a request no longer stands: a message of SPEC §8.2, as received.
    PaymentCancel(Bytes),
    /// An app's own.
    Custom(Custom),
    /// Something of a later version.
    Unknown(UnknownBody),
}

/// Where the sender is reached, and which keys coins for the sender may be locked to (SPEC §6.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Introduction {
    /// One to four places.
    pub endpoints: Vec<Endpoint>,
    /// Up to four compressed points of secp256k1.
    pub lock_keys: Vec<[u8; 33]>,
}

/// Messages that arrived or were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Which of the two.
    pub kind: ReceiptKind,
    /// One to 64 messages.
    pub messages: Vec<MessageId>,
}

/// What a receipt says of its messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptKind {
    /// They are on the device.
    Delivered,
    /// A person saw them.
    Read,
}

/// A sign at someone's message.
#[derive(Clone, PartialEq, Eq)]
pub struct Reaction {
    /// Whose message.
    pub message: MessageId,
    /// The sign; empty takes it back.
    pub emoji: String,
}

/// A new text for a message of the sender's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// The message replaced.
    pub message: MessageId,
    /// What it says now.
    pub text: String,
}

/// A body of an app's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Custom {
    /// A name such as `com.example.poll`: lower-case letters, digits, dots and hyphens.
    pub kind: String,
    /// Whatever the app makes of it.
    pub data: Bytes,
}

/// A body of a later version, or one behind a critical extension of a later version (SPEC §7.4).
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownBody {
    /// The whole content as received, for the version that will know it.
    pub raw: Bytes,
}

impl Body {
    /// The message of the schema, or what was received if this version could not have written it.
    pub(super) fn write(&self) -> Result<pb::content::Body, Bytes> {
        use pb::content::Body as Pb;
        Ok(match self {
            Self::Introduction(Introduction { endpoints, lock_keys }) => {
                Pb::Introduction(pb::Introduction {
                    endpoints: endpoints.iter().map(Into::into).collect(),
                    lock_keys: lock_keys.iter().map(|key| Bytes::copy_from_slice(key)).collect(),
                })
            }
            Self::Text(text) => Pb::Text(pb::Text { text: text.clone() }),
            Self::Receipt(Receipt { kind, messages }) => Pb::Receipt(pb::Receipt {
                kind: match kind {
                    ReceiptKind::Delivered => pb::ReceiptKind::Delivered.into(),
                    ReceiptKind::Read => pb::ReceiptKind::Read.into(),
                },
                messages: messages.iter().map(MessageId::write).collect(),
            }),
            Self::Reaction(Reaction { message, emoji }) => {
                Pb::Reaction(pb::Reaction { message: message.write(), emoji: emoji.clone() })
            }
            Self::Edit(Edit { message, text }) => {
                Pb::Edit(pb::Edit { message: message.write(), text: text.clone() })
            }
            Self::Retract(message) => Pb::Retract(pb::Retract { message: message.write() }),
            Self::PaymentRequest(bytes) => Pb::PaymentRequest(bytes.clone()),
            Self::Payment(bytes) => Pb::Payment(bytes.clone()),
            Self::PaymentReceipt(bytes) => Pb::PaymentReceipt(bytes.clone()),
            Self::PaymentDecline(bytes) => Pb::PaymentDecline(bytes.clone()),
            Self::PaymentCancel(bytes) => Pb::PaymentCancel(bytes.clone()),
            Self::Custom(Custom { kind, data }) => {
                Pb::Custom(pb::Custom { kind: kind.clone(), data: data.clone() })
            }
            Self::Unknown(UnknownBody { raw }) => return Err(raw.clone()),
        })
    }

    /// The body of the content `raw`; unknown if it is, or if `unknown_critical` says that it must not be acted on.
    pub(super) fn read(
        body: Option<pb::content::Body>,
        raw: &Bytes,
        unknown_critical: bool,
    ) -> Result<Self, DecodeError> {
        use pb::content::Body as Pb;
        let unknown = || Self::Unknown(UnknownBody { raw: raw.clone() });
        let later = later_bodies(raw)?;
        // One content, one body: with two, versions would disagree on which one it is.
        if later > 1 || (later == 1 && body.is_some()) {
            return Err(DecodeError::Invalid("body"));
        }
        let Some(body) = body else {
            return if later == 1 { Ok(unknown()) } else { Err(DecodeError::Missing("body")) };
        };
        if unknown_critical {
            return Ok(unknown());
        }
        Ok(match body {
            Pb::Introduction(introduction) => Self::Introduction(introduction.try_into()?),
            Pb::Text(pb::Text { text }) => Self::Text(said(text, limits::TEXT_MAX)?),
            Pb::Receipt(pb::Receipt { kind, messages }) => {
                let kind = match pb::ReceiptKind::try_from(kind) {
                    Ok(pb::ReceiptKind::Delivered) => ReceiptKind::Delivered,
                    Ok(pb::ReceiptKind::Read) => ReceiptKind::Read,
                    Err(_) => return Ok(unknown()),
                };
                if messages.is_empty() {
                    return Err(DecodeError::Missing("messages of the receipt"));
                }
                let messages = messages.iter().map(|id| MessageId::read(id));
                Self::Receipt(Receipt { kind, messages: messages.collect::<Result<_, _>>()? })
            }
            Pb::Reaction(pb::Reaction { message, emoji }) => {
                if emoji.len() > limits::REACTION_MAX {
                    return Err(DecodeError::Invalid("reaction"));
                }
                Self::Reaction(Reaction { message: MessageId::read(&message)?, emoji })
            }
            Pb::Edit(pb::Edit { message, text }) => Self::Edit(Edit {
                message: MessageId::read(&message)?,
                text: said(text, limits::TEXT_MAX)?,
            }),
            Pb::Retract(pb::Retract { message }) => Self::Retract(MessageId::read(&message)?),
            Pb::PaymentRequest(bytes) => Self::PaymentRequest(payment(bytes)?),
            Pb::Payment(bytes) => Self::Payment(payment(bytes)?),
            Pb::PaymentReceipt(bytes) => Self::PaymentReceipt(payment(bytes)?),
            Pb::PaymentDecline(bytes) => Self::PaymentDecline(payment(bytes)?),
            Pb::PaymentCancel(bytes) => Self::PaymentCancel(payment(bytes)?),
            Pb::Custom(pb::Custom { kind, data }) => {
                let letters = |byte: u8| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
                };
                let length = 1..=limits::CUSTOM_KIND_MAX;
                if !length.contains(&kind.len()) || !kind.bytes().all(letters) {
                    return Err(DecodeError::Invalid("name of the custom body"));
                }
                Self::Custom(Custom { kind, data })
            }
        })
    }
}

/// How many bodies of later versions stand in a content: fields 16 to 127 that the schema does not name.
fn later_bodies(raw: &[u8]) -> Result<usize, DecodeError> {
    let (mut rest, mut count) = (raw, 0_usize);
    while !rest.is_empty() {
        let (number, value) = strict::field(&mut rest)?;
        let later = (LAST_BODY.saturating_add(1)..=127).contains(&number);
        if later && matches!(value, Value::Bytes(_)) {
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}

/// The highest field number of a body in this version of the schema.
const LAST_BODY: u32 = 27;

fn said(text: String, max: usize) -> Result<String, DecodeError> {
    if text.is_empty() || text.len() > max { Err(DecodeError::Invalid("text")) } else { Ok(text) }
}

fn payment(bytes: Bytes) -> Result<Bytes, DecodeError> {
    if bytes.is_empty() || bytes.len() > limits::PAYMENT_BODY_MAX {
        return Err(DecodeError::Invalid("payment body"));
    }
    Ok(bytes)
}

impl TryFrom<pb::Introduction> for Introduction {
    type Error = DecodeError;

    fn try_from(introduction: pb::Introduction) -> Result<Self, DecodeError> {
        let pb::Introduction { endpoints, lock_keys } = introduction;
        if endpoints.is_empty() {
            return Err(DecodeError::Missing("endpoint"));
        }
        let endpoints = endpoints.into_iter().map(Endpoint::try_from);
        let lock_keys = lock_keys.iter().map(|key| match <[u8; 33]>::try_from(key.as_ref()) {
            Ok(key @ [2 | 3, ..]) => Ok(key),
            _ => Err(DecodeError::Invalid("lock key")),
        });
        Ok(Self {
            endpoints: endpoints.collect::<Result<_, _>>()?,
            lock_keys: lock_keys.collect::<Result<_, _>>()?,
        })
    }
}

/// Which body, and nothing of what it says.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Introduction(_) => "Introduction(..)",
            Self::Text(_) => "Text(..)",
            Self::Receipt(_) => "Receipt(..)",
            Self::Reaction(_) => "Reaction(..)",
            Self::Edit(_) => "Edit(..)",
            Self::Retract(_) => "Retract(..)",
            Self::PaymentRequest(_) => "PaymentRequest(..)",
            Self::Payment(_) => "Payment(..)",
            Self::PaymentReceipt(_) => "PaymentReceipt(..)",
            Self::PaymentDecline(_) => "PaymentDecline(..)",
            Self::PaymentCancel(_) => "PaymentCancel(..)",
            Self::Custom(_) => "Custom(..)",
            Self::Unknown(_) => "Unknown(..)",
        })
    }
}

macro_rules! silent {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}
silent!(Reaction, Edit, Custom, UnknownBody);
