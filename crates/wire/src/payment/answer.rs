//! What the payee answers when it does not take a payment, or does not want one any more.

use bytes::Bytes;
use prost::Message;

use super::{ANSWER_MAX, PROOFS_MAX, PaymentId, RequestId};
use crate::{
    generated::{payment as pb, shapes},
    strict::{self, DecodeError},
};

/// The payee does not take a payment (SPEC §8.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentDecline {
    /// Which payment.
    pub payment: PaymentId,
    /// Why.
    pub reason: DeclineReason,
    /// The payee's signatures over the secrets, in the order of the proofs: with them the payer takes the coins back
    /// at once. Empty if the payee could not tell what it was given.
    pub release: Vec<[u8; 64]>,
}

/// Why a payment is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeclineReason {
    /// There is no such request, or it is another payer's.
    UnknownRequest,
    /// The request had expired.
    Expired,
    /// Another payment of the same request came first.
    AlreadyPaid,
    /// Too much, or too little.
    WrongAmount,
    /// An issuer that the request does not name.
    WrongIssuer,
    /// The coins do not prove to be the issuer's, or are not locked as they must be.
    InvalidCoins,
    /// The coins were spent before they could be claimed.
    SpentElsewhere,
    /// A reason that this version does not know.
    Other,
}

impl DeclineReason {
    /// What it is called in records and on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownRequest => "unknown request",
            Self::Expired => "expired",
            Self::AlreadyPaid => "already paid",
            Self::WrongAmount => "wrong amount",
            Self::WrongIssuer => "wrong issuer",
            Self::InvalidCoins => "invalid coins",
            Self::SpentElsewhere => "spent elsewhere",
            Self::Other => "other",
        }
    }

    /// The number of SPEC §8.7.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::UnknownRequest => 1,
            Self::Expired => 2,
            Self::AlreadyPaid => 3,
            Self::WrongAmount => 4,
            Self::WrongIssuer => 5,
            Self::InvalidCoins => 6,
            Self::SpentElsewhere => 7,
        }
    }

    /// The reason with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::UnknownRequest,
            2 => Self::Expired,
            3 => Self::AlreadyPaid,
            4 => Self::WrongAmount,
            5 => Self::WrongIssuer,
            6 => Self::InvalidCoins,
            7 => Self::SpentElsewhere,
            _ => Self::Other,
        }
    }
}

impl PaymentDecline {
    /// Reads a decline.
    ///
    /// # Errors
    /// [`DecodeError`] for whatever is not a decline by the rules of SPEC §8.7.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let message: pb::PaymentDecline =
            strict::decode(bytes, &shapes::PAYMENT_PAYMENT_DECLINE, ANSWER_MAX)?;
        let (release, rest) = message.release.as_chunks::<64>();
        if !rest.is_empty() || release.len() > PROOFS_MAX {
            return Err(DecodeError::Invalid("release"));
        }
        Ok(Self {
            payment: PaymentId(super::fixed(&message.payment, "payment id")?),
            reason: u8::try_from(message.reason)
                .map_or(DeclineReason::Other, DeclineReason::from_number),
            release: release.to_vec(),
        })
    }

    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        pb::PaymentDecline {
            payment: self.payment.0.to_vec().into(),
            reason: i32::from(self.reason.number()),
            release: self.release.concat().into(),
        }
        .encode_to_vec()
        .into()
    }
}

/// The payee takes a request back (SPEC §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentCancel {
    /// Which request.
    pub request: RequestId,
}

impl PaymentCancel {
    /// Reads a cancellation.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let message: pb::PaymentCancel =
            strict::decode(bytes, &shapes::PAYMENT_PAYMENT_CANCEL, ANSWER_MAX)?;
        Ok(Self { request: RequestId(super::fixed(&message.request, "request id")?) })
    }

    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        pb::PaymentCancel { request: self.request.0.to_vec().into() }.encode_to_vec().into()
    }
}
