//! What people who pay each other send: requests, payments, receipts, declines, cancellations, and amounts.
//!
//! Types here are well-formed and nothing more: whether a request was really made, coins are real and a signature
//! holds is `chopmark-pay`'s to say. The ids are hashes of bytes as they were received, never of a re-encoding.
//!
//! Start at [`PaymentRequest`] and [`Payment`].

mod amount;
mod answer;
mod coins;
mod receipt;
mod request;

pub use amount::{Amount, AmountError, Unit};
pub use answer::{DeclineReason, PaymentCancel, PaymentDecline};
pub use coins::{CompactProof, Payment};
pub use receipt::{PaymentReceipt, ReceiptStatement, Stage};
pub use request::{IssuerUrl, LineItem, PaymentRequest};

use chopmark_core::{hash, label};

use crate::{display::DisplayText, generated::payment as pb, strict::DecodeError};

/// Bytes of the largest request (SPEC §8.2).
pub const REQUEST_MAX: usize = 8_192;
/// Bytes of the largest payment (SPEC §8.4).
pub const PAYMENT_MAX: usize = 16_384;
/// Bytes of the largest receipt, decline or cancellation (SPEC §8.8).
pub const ANSWER_MAX: usize = 8_192;
/// Lines of one bill (SPEC §8.2).
pub const ITEMS_MAX: usize = 32;
/// Issuers of one request (SPEC §8.2).
pub const ISSUERS_MAX: usize = 8;
/// Proofs of one payment (SPEC §8.4).
pub const PROOFS_MAX: usize = 64;
/// Bytes of a line item's name and of a memo (SPEC §8.2).
pub const TEXT_MAX: usize = 256;
/// Bytes of an issuer's URL (SPEC §8.2).
pub const URL_MAX: usize = 256;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::strict::DecodeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                data_encoding::HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or(crate::strict::DecodeError::Invalid("id"))
            }
        }
    };
}

id! {
    /// Names a request: a hash of its bytes as received (SPEC §8.2).
    RequestId
}
id! {
    /// Names a payment: a hash of the request's id and the payer's account, so that whoever pays a request twice
    /// makes the same payment (SPEC §8.6).
    PaymentId
}

impl RequestId {
    /// The id of the request that arrived as these bytes.
    #[must_use]
    pub fn of(request: &[u8]) -> Self {
        Self(hash::sha256(label::PAYMENT_REQUEST_ID, &[request]))
    }
}

impl PaymentId {
    /// The id of `payer`'s payment of a single-use request.
    #[must_use]
    pub fn of(request: &RequestId, payer: &[u8; 32]) -> Self {
        Self(hash::sha256(label::PAYMENT_ID, &[&request.0, payer]))
    }
}

fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Invalid(what))
}

fn unit(unit: &pb::Unit) -> Result<Unit, DecodeError> {
    u8::try_from(unit.exponent)
        .ok()
        .and_then(|exponent| Unit::new(&unit.code, exponent).ok())
        .ok_or(DecodeError::Invalid("unit"))
}

/// Is the text short, and what a reader sees of it all that there is? (SPEC §7.6)
fn shows_what_it_says(text: &str) -> bool {
    text.is_empty() || DisplayText::parse(text, TEXT_MAX).is_ok()
}
