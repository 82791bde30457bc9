//! What the application hears, in one order, each with a cursor it can come back to.

use std::fmt;

use chopmark_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A person's account id: 32 bytes, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContactId(pub(crate) [u8; 32]);

/// A message's id: 32 bytes, the same on both sides (SPEC §7.2), shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(pub(crate) [u8; 32]);

/// A payment's id: 32 bytes (SPEC §8.6), shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaymentId(pub(crate) [u8; 32]);

/// A payment request's id: 16 to 32 bytes of the payee's choosing (SPEC §8.2), as 32, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub(crate) [u8; 32]);

macro_rules! hexadecimal {
    ($($id:ident)*) => {$(
        impl $id {
            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $id {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        // SPEC §9.4 [no-ids-in-debug]: what is logged by accident names nobody.
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($id), "(..)"))
            }
        }

        impl std::str::FromStr for $id {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let digits = text.as_bytes();
                let mut id = [0; 32];
                if digits.len() != 64 {
                    return Err(NotAnId);
                }
                for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
                    let pair = std::str::from_utf8(pair).map_err(|_| NotAnId)?;
                    *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAnId)?;
                }
                Ok(Self(id))
            }
        }
    )*};
}

hexadecimal!(ContactId MessageId PaymentId RequestId);

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 hexadecimal digits")]
pub struct NotAnId;

/// One thing that happened, with its place in the order.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place: give it to [`Client::done`](crate::Client::done) when the event is dealt with, and it does not come again.
    pub cursor: u64,
    /// When the client learned of it.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub enum What {
    /// Someone wrote to us by a reusable link: [`Client::accept`](crate::Client::accept) or reject.
    ContactWaiting {
        /// Who.
        contact: ContactId,
    },
    /// Both sides agreed; messages and payments go both ways.
    ContactAccepted {
        /// Who.
        contact: ContactId,
    },
    /// The link that was added does not lead to its owner: it was revoked, is used up, or was altered.
    LinkFailed {
        /// Whose link it was said to be.
        contact: ContactId,
        /// What to do.
        why: String,
    },
    /// A message arrived.
    Message {
        /// From whom.
        contact: ContactId,
        /// Its id.
        message: MessageId,
        /// Its text, or the fallback text of a body that this version does not know.
        text: String,
        /// The sender's clock.
        sent_at_ms: u64,
        /// It is certain to be theirs. If not, it came on a session that someone began in their name, and that they have not
        /// confirmed yet: [`What::ContactConfirmed`] says when they have.
        #[serde(default = "certain")]
        confirmed: bool,
    },
    /// Someone edited a message of theirs, or took it back. The history shows it so.
    MessageRevised {
        /// Whose message.
        contact: ContactId,
        /// Which.
        message: MessageId,
        /// Which of the two.
        revised: Revision,
        /// What it says now; empty when it was taken back.
        text: String,
    },
    /// Someone put a sign at a message of the conversation, or took it back.
    Reaction {
        /// Who.
        contact: ContactId,
        /// At which message, theirs or ours.
        message: MessageId,
        /// The sign; empty takes it back.
        emoji: String,
    },
    /// A message of ours arrived at the other device.
    Delivered {
        /// At whose.
        contact: ContactId,
        /// Which.
        message: MessageId,
    },
    /// Someone asks for money.
    PaymentRequested {
        /// Who asks.
        contact: ContactId,
        /// What to give to [`Client::pay`](crate::Client::pay).
        request: RequestId,
        /// It is certain to be theirs, as with a message; if not, it cannot be paid yet.
        #[serde(default = "certain")]
        confirmed: bool,
    },
    /// What was shown as not certain to be a contact's is theirs: they confirmed the session on which it came.
    ContactConfirmed {
        /// Whose.
        contact: ContactId,
    },
    /// Money came in and is ours.
    PaymentReceived {
        /// From whom.
        contact: ContactId,
        /// Which.
        payment: PaymentId,
    },
    /// A payment of ours moved on; [`Client::payments`](crate::Client::payments) tells how it stands.
    PaymentChanged {
        /// Whom we pay.
        contact: ContactId,
        /// Which.
        payment: PaymentId,
    },
    /// Coins from a token came in.
    Redeemed {
        /// The token's name: a hash of its coins.
        token: [u8; 32],
    },
    /// The coins of a token are not ours.
    RedeemRefused {
        /// The token's name: a hash of its coins.
        token: [u8; 32],
        /// Why, in a word.
        why: String,
    },
    /// The session with a contact cannot be gone on with, and another one is begun by itself, here or by the contact. What was
    /// not acknowledged goes out again there.
    SessionRenewed {
        /// With whom.
        contact: ContactId,
        /// What happened.
        why: Renewal,
    },
    /// A contact has other devices than before. What is sent from now on reaches these and not the former ones.
    DevicesChanged {
        /// Whose.
        contact: ContactId,
        /// The account was restored from its words, or its root was revoked: who compared the safety number has to agree
        /// before anything is sent ([`Client::agree_to_recovery`](crate::Client::agree_to_recovery)).
        recovered: bool,
        /// Lists of devices between the one known and this one never arrived.
        gap: bool,
    },
    /// Nothing goes out to a contact any more: their account vouches for two lists of devices under one number, so that
    /// someone else has its root keys. Only the account's recovery ends that.
    ContactFrozen {
        /// Whose account.
        contact: ContactId,
    },
    /// A relay handed one one-time prekey of ours to two people, or a first message was altered: the second could not be
    /// read. Who wrote it tries again by themselves.
    PrekeyReused,
    /// A first message came without a one-time prekey although there should be some: a relay withholds them, or many
    /// people asked. What it says is safe from thieves only once the signed prekey is deleted, a month later.
    PrekeyMissing {
        /// Who wrote it.
        contact: ContactId,
    },
    /// Something is wrong that the user should know.
    Warning {
        /// With whom, if with someone.
        contact: Option<ContactId>,
        /// What, in words without names.
        text: String,
    },
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContactWaiting { .. } => "ContactWaiting",
            Self::ContactAccepted { .. } => "ContactAccepted",
            Self::LinkFailed { .. } => "LinkFailed",
            Self::Message { .. } => "Message",
            Self::MessageRevised { .. } => "MessageRevised",
            Self::Reaction { .. } => "Reaction",
            Self::Delivered { .. } => "Delivered",
            Self::PaymentRequested { .. } => "PaymentRequested",
            Self::ContactConfirmed { .. } => "ContactConfirmed",
            Self::PaymentReceived { .. } => "PaymentReceived",
            Self::PaymentChanged { .. } => "PaymentChanged",
            Self::Redeemed { .. } => "Redeemed",
            Self::RedeemRefused { .. } => "RedeemRefused",
            Self::SessionRenewed { .. } => "SessionRenewed",
            Self::DevicesChanged { .. } => "DevicesChanged",
            Self::ContactFrozen { .. } => "ContactFrozen",
            Self::PrekeyReused => "PrekeyReused",
            Self::PrekeyMissing { .. } => "PrekeyMissing",
            Self::Warning { .. } => "Warning",
        })
    }
}

/// Why a session is begun anew without the user (SPEC §5.9), the least telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Renewal {
    /// The contact did not answer for two weeks: the keys that it was begun with may be gone.
    Unanswered,
    /// A message came that no session opens: one side has lost a state.
    Unreadable,
    /// Messages were lost on their way: so many that their keys were given up, or the own relay delivered some that this home
    /// has never seen, because they expired there or because the home is an older copy of itself.
    MessagesLost,
    /// The contact's device sent a key that no honest device sends.
    KeyRefused,
    /// This home is an older copy of itself: what was sent since is unknown here.
    OwnRollback,
    /// The contact began anew and says that it was because this home fell back to an older copy of itself, or is in use twice:
    /// someone may have copied this device.
    CopyNoticed,
    /// The contact's device fell back to an older state of itself.
    PeerRolledBack,
    /// The contact's state is in use twice: someone may have copied their device.
    PeerForked,
}

/// Why nothing goes out to a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Hold {
    /// Their account was restored or its root revoked after their safety number was compared: see
    /// [`Client::agree_to_recovery`](crate::Client::agree_to_recovery).
    Recovered,
    /// Their account vouches for two lists of devices under one number. Only its recovery ends that.
    TwoStories,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From us.
    Sent,
    /// To us.
    Received,
}

/// How far a message of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Progress {
    /// On our disk; not at the relay yet.
    Waiting,
    /// On the relay's disk.
    Stored,
    /// At the other device.
    Delivered,
}

/// What its sender did to a message later (SPEC §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Revision {
    /// Nothing.
    #[default]
    Original,
    /// Gave it another text.
    Edited,
    /// Took it back: its text is empty.
    Retracted,
}

/// A message in a conversation's history.
#[derive(Clone, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Which way it went.
    pub direction: Direction,
    /// The sender's clock, unix milliseconds.
    pub sent_at_ms: u64,
    /// Its text, or the fallback text of a body that this version does not know.
    pub text: String,
    /// For one of ours, how far it has come; one of theirs is delivered.
    pub progress: Progress,
    /// What its sender did to it later.
    #[serde(default)]
    pub revised: Revision,
    /// For one of theirs, whether it is certain to be: if not, it came on a session that is not confirmed yet.
    #[serde(default = "certain")]
    pub confirmed: bool,
}

/// Of what was kept before there was a doubt.
const fn certain() -> bool {
    true
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("direction", &self.direction)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
