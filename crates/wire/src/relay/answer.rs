//! What a relay says, SPEC §6.5.

use bytes::Bytes;
use chopmark_core::signature::Signature;
use prost::Message as _;

use super::{Epoch, Handle, RequestId, frame, is_bucket, limits};
use crate::{
    generated::{relay as pb, shapes},
    strict::{self, DecodeError},
};

/// A frame from a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FromRelay {
    /// The answer to a request.
    Answer {
        /// The request's.
        id: RequestId,
        /// What came of it.
        answer: Answer,
    },
    /// Something that was not asked.
    Notice(Notice),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is so, on disk where it is kept: Auth, Create, Grant, Revoke, Publish, Delete; a Probe that would be taken.
    Done,
    /// It is not so, and nothing was changed.
    Refused(Refusal),
    /// The deposit is on disk, now or since before.
    Stored,
    /// Deliveries follow.
    Subscribed {
        /// The life of the relay's store.
        epoch: Epoch,
        /// The highest number that a message of this mailbox ever had.
        head: u64,
    },
    /// A link's sealed bundle, and a sealed one-time prekey while there is one to give.
    Fetched {
        /// The bundle.
        bundle: Bytes,
        /// Never handed out before.
        one_time: Option<Bytes>,
    },
}

/// Why a relay refused; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The capability is unknown, revoked, expired or for something else: which, the relay does not say.
    NotAccepted,
    /// Not now, by the capability's rate or the mailbox's space: which, the relay does not say.
    Later {
        /// Whole hours, at least 1.
        hours: u32,
    },
    /// The relay is out of space or stopping; nothing is wrong with the request.
    Unavailable {
        /// Whole hours, at least 1.
        hours: u32,
    },
    /// A limit of SPEC §6.8 on the owner's own things.
    Limit,
    /// This relay makes no mailboxes.
    Closed,
    /// A request of a later version.
    Unsupported,
    /// The capability's hash is granted in another mailbox. Draw a new capability.
    Conflict,
}

/// What a relay says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The first frame: who the relay is, on this connection.
    Info(Info),
    /// A message.
    Deliver(Deliver),
    /// No more deliveries on this connection.
    Ended(EndReason),
    /// The relay will close; requests without an answer are to be made again elsewhere or later.
    GoAway(GoAwayReason),
}

/// The relay's proof of who it is. Not believed before `mailbox` has verified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// A [`Descriptor`](super::Descriptor), as it was signed. At most 2 KiB.
    pub descriptor: Bytes,
    /// By the relay's identity, over channel binding and descriptor.
    pub signature: Signature,
}

/// A message from a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// Its number in this mailbox: 1, 2, 3…, with gaps where messages went.
    pub seq: u64,
    /// The handle of the capability that it came under.
    pub handle: Handle,
    /// As it was deposited; its length is a bucket.
    pub envelope: Bytes,
}

/// Why deliveries ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// Another connection of this owner subscribed.
    Superseded,
    /// The mailbox is gone.
    Deleted,
}

/// Why a relay closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoAwayReason {
    /// It is stopping; connect again later.
    Draining,
    /// A frame could not be read.
    BrokenFrame,
    /// A frame of the other role.
    WrongRole,
    /// The owner's proof did not verify.
    NotAuthentic,
    /// More than a limit allows.
    Limit,
    /// A sender was silent for 30 s, or a client for 10 s before its first frame.
    Idle,
    /// It cannot answer: the store did not take the batch that the request was in.
    Unavailable,
}

impl GoAwayReason {
    /// The QUIC application close code that goes with it (SPEC §6.1).
    pub const fn close_code(self) -> u32 {
        match self {
            Self::Draining => 1,
            Self::BrokenFrame => 2,
            Self::WrongRole => 3,
            Self::NotAuthentic => 4,
            Self::Limit => 5,
            Self::Unavailable => 6,
            Self::Idle => 7,
        }
    }
}

impl FromRelay {
    /// Reads one frame's bytes, without its length.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that is not exactly such a frame; the connection is then of no more use.
    pub fn decode(frame: &Bytes) -> Result<Self, DecodeError> {
        use pb::from_relay::Body;
        let message: pb::FromRelay =
            strict::decode(frame, &shapes::RELAY_FROM_RELAY, limits::FRAME_BYTES_MAX)?;
        let body = message.body.ok_or(DecodeError::Missing("answer"))?;
        let id = RequestId::new(message.request);
        let notice = match body {
            Body::Info(info) => Notice::Info(info.try_into()?),
            Body::Deliver(deliver) => Notice::Deliver(deliver.try_into()?),
            Body::Ended(ended) => Notice::Ended(match ended.reason() {
                pb::EndReason::Superseded => EndReason::Superseded,
                pb::EndReason::Deleted => EndReason::Deleted,
                pb::EndReason::Unspecified => return Err(DecodeError::Invalid("reason")),
            }),
            Body::GoAway(go_away) => Notice::GoAway(match go_away.reason() {
                pb::GoAwayReason::Draining => GoAwayReason::Draining,
                pb::GoAwayReason::BrokenFrame => GoAwayReason::BrokenFrame,
                pb::GoAwayReason::WrongRole => GoAwayReason::WrongRole,
                pb::GoAwayReason::NotAuthentic => GoAwayReason::NotAuthentic,
                pb::GoAwayReason::Limit => GoAwayReason::Limit,
                pb::GoAwayReason::Unavailable => GoAwayReason::Unavailable,
                pb::GoAwayReason::Idle => GoAwayReason::Idle,
                pb::GoAwayReason::Unspecified => return Err(DecodeError::Invalid("reason")),
            }),
            answer => {
                let id = id.ok_or(DecodeError::Invalid("request id"))?;
                return Ok(Self::Answer { id, answer: Answer::try_from(answer)? });
            }
        };
        match id {
            None => Ok(Self::Notice(notice)),
            Some(_) => Err(DecodeError::Invalid("request id")),
        }
    }

    /// The whole frame, its length in front.
    pub fn encode(&self) -> Bytes {
        let message = match self {
            Self::Answer { id, answer } => {
                pb::FromRelay { request: id.number(), body: Some(answer.into()) }
            }
            Self::Notice(notice) => pb::FromRelay { request: 0, body: Some(notice.into()) },
        };
        frame::with_length(&message.encode_to_vec())
    }
}

impl TryFrom<pb::from_relay::Body> for Answer {
    type Error = DecodeError;

    fn try_from(body: pb::from_relay::Body) -> Result<Self, DecodeError> {
        use pb::from_relay::Body;
        Ok(match body {
            Body::Done(_) => Self::Done,
            Body::Stored(_) => Self::Stored,
            Body::Refused(refused) => Self::Refused(refused.try_into()?),
            Body::Subscribed(subscribed) => Self::Subscribed {
                epoch: Epoch::from_slice(&subscribed.epoch).ok_or(DecodeError::Invalid("epoch"))?,
                head: subscribed.head,
            },
            Body::Fetched(fetched) => {
                if fetched.bundle.is_empty() || fetched.bundle.len() > limits::BUNDLE_BYTES_MAX {
                    return Err(DecodeError::Invalid("bundle"));
                }
                if fetched
                    .one_time
                    .as_ref()
                    .is_some_and(|blob| blob.is_empty() || blob.len() > limits::ONE_TIME_BYTES_MAX)
                {
                    return Err(DecodeError::Invalid("one-time prekey"));
                }
                Self::Fetched { bundle: fetched.bundle, one_time: fetched.one_time }
            }
            Body::Info(_) | Body::Deliver(_) | Body::Ended(_) | Body::GoAway(_) => {
                return Err(DecodeError::Invalid("answer"));
            }
        })
    }
}

impl From<&Answer> for pb::from_relay::Body {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Done => Self::Done(pb::Done {}),
            Answer::Refused(refusal) => Self::Refused((*refusal).into()),
            Answer::Stored => Self::Stored(pb::Stored {}),
            Answer::Subscribed { epoch, head } => {
                Self::Subscribed(pb::Subscribed { epoch: epoch.0.to_vec().into(), head: *head })
            }
            Answer::Fetched { bundle, one_time } => {
                Self::Fetched(pb::Fetched { bundle: bundle.clone(), one_time: one_time.clone() })
            }
        }
    }
}

impl From<&Notice> for pb::from_relay::Body {
    fn from(notice: &Notice) -> Self {
        match notice {
            Notice::Info(info) => Self::Info(pb::Info {
                descriptor: info.descriptor.clone(),
                signature: info.signature.as_bytes().to_vec().into(),
            }),
            Notice::Deliver(deliver) => Self::Deliver(pb::Deliver {
                seq: deliver.seq,
                handle: deliver.handle.0.to_vec().into(),
                envelope: deliver.envelope.clone(),
            }),
            Notice::Ended(reason) => Self::Ended(pb::Ended {
                reason: match reason {
                    EndReason::Superseded => pb::EndReason::Superseded,
                    EndReason::Deleted => pb::EndReason::Deleted,
                }
                .into(),
            }),
            Notice::GoAway(reason) => Self::GoAway(pb::GoAway {
                reason: match reason {
                    GoAwayReason::Draining => pb::GoAwayReason::Draining,
                    GoAwayReason::BrokenFrame => pb::GoAwayReason::BrokenFrame,
                    GoAwayReason::WrongRole => pb::GoAwayReason::WrongRole,
                    GoAwayReason::NotAuthentic => pb::GoAwayReason::NotAuthentic,
                    GoAwayReason::Limit => pb::GoAwayReason::Limit,
                    GoAwayReason::Unavailable => pb::GoAwayReason::Unavailable,
                    GoAwayReason::Idle => pb::GoAwayReason::Idle,
                }
                .into(),
            }),
        }
    }
}

impl TryFrom<pb::Refused> for Refusal {
    type Error = DecodeError;

    fn try_from(refused: pb::Refused) -> Result<Self, DecodeError> {
        use pb::RefusalReason as Reason;
        let hours = refused.retry_after_hours;
        match (refused.reason(), hours) {
            (Reason::Later, 1..) => Ok(Self::Later { hours }),
            (Reason::Unavailable, 1..) => Ok(Self::Unavailable { hours }),
            (Reason::NotAccepted, 0) => Ok(Self::NotAccepted),
            (Reason::Limit, 0) => Ok(Self::Limit),
            (Reason::Closed, 0) => Ok(Self::Closed),
            (Reason::Unsupported, 0) => Ok(Self::Unsupported),
            (Reason::Conflict, 0) => Ok(Self::Conflict),
            _ => Err(DecodeError::Invalid("refusal")),
        }
    }
}

impl From<Refusal> for pb::Refused {
    fn from(refusal: Refusal) -> Self {
        use pb::RefusalReason as Reason;
        let (reason, retry_after_hours) = match refusal {
            Refusal::NotAccepted => (Reason::NotAccepted, 0),
            Refusal::Later { hours } => (Reason::Later, hours),
            Refusal::Unavailable { hours } => (Reason::Unavailable, hours),
            Refusal::Limit => (Reason::Limit, 0),
            Refusal::Closed => (Reason::Closed, 0),
            Refusal::Unsupported => (Reason::Unsupported, 0),
            Refusal::Conflict => (Reason::Conflict, 0),
        };
        Self { reason: reason.into(), retry_after_hours }
    }
}

impl TryFrom<pb::Info> for Info {
    type Error = DecodeError;

    fn try_from(info: pb::Info) -> Result<Self, DecodeError> {
        if info.descriptor.len() > limits::DESCRIPTOR_BYTES_MAX {
            return Err(DecodeError::Invalid("descriptor"));
        }
        let signature = info.signature.as_ref().try_into();
        let signature = signature.map_err(|_| DecodeError::Invalid("signature"))?;
        Ok(Self { descriptor: info.descriptor, signature: Signature::from_bytes(signature) })
    }
}

impl TryFrom<pb::Deliver> for Deliver {
    type Error = DecodeError;

    fn try_from(deliver: pb::Deliver) -> Result<Self, DecodeError> {
        if deliver.seq == 0 {
            return Err(DecodeError::Invalid("message number"));
        }
        if !is_bucket(deliver.envelope.len()) {
            return Err(DecodeError::Invalid("envelope length"));
        }
        Ok(Self {
            seq: deliver.seq,
            handle: Handle::from_slice(&deliver.handle).ok_or(DecodeError::Invalid("handle"))?,
            envelope: deliver.envelope,
        })
    }
}
