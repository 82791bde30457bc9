//! What the issuer says no with: the sentence, Cashu's error code and the HTTP status.

use crate::curve::OutOfGroup;
use crate::ledger::{Unsettled, books};
use axum::http::StatusCode;
use chopmark_pay::verify::Unspendable;

/// Why a request was refused. Unless it says otherwise, nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// The ledger said no.
    #[error(transparent)]
    Books(#[from] books::Refusal),
    /// The ledger gave no answer.
    #[error(transparent)]
    Unsettled(#[from] Unsettled),
    /// A spending condition is not met.
    #[error(transparent)]
    Unspendable(#[from] Unspendable),
    /// `C` is not this issuer's signature on the secret for that amount.
    #[error("an input is not a coin of this issuer")]
    Forged,
    /// The body is not what this path takes.
    #[error("body is malformed: {0}")]
    Body(&'static str),
    /// The body is longer than this path needs for its largest request.
    #[error("body is longer than this path takes")]
    TooLong,
    /// An array is longer than announced.
    #[error("more than {0} inputs or outputs: split the request")]
    TooMany(usize),
    /// Not a unit of this issuer.
    #[error("unit is not supported")]
    Unit,
    /// Not a payment method of this issuer.
    #[error("payment method is not supported: use `treasury`")]
    Method,
    /// Zero, or more than a token can carry.
    #[error("amount is zero or too large")]
    Amount,
    /// Not a quote that this issuer made.
    #[error("quote is not known")]
    UnknownQuote,
    /// The time of an unpaid quote is over.
    #[error("quote has expired: ask for another")]
    ExpiredQuote,
    /// NUT-20: the quote is locked to a key.
    #[error("quote is locked and the signature is missing or wrong")]
    QuoteSignature,
    /// NUT-08 change is not given: pay exactly.
    #[error("change is not given: pay the amount and the fee exactly")]
    Change,
    /// Too many requests at once.
    #[error("the issuer is busy: try the same again")]
    Busy,
    /// No such path.
    #[error("no such path")]
    Path,
    /// Something that cannot happen did.
    #[error("the issuer failed: try the same again")]
    Broken,
}

impl Refusal {
    /// The code of Cashu's error table.
    pub(crate) fn code(&self) -> u16 {
        use books::Refusal as Books;
        match self {
            Self::Books(books) => match books {
                Books::AlreadySpent => 11001,
                Books::AlreadySigned => 11003,
                Books::Unbalanced { .. } | Books::Empty => 11005,
                Books::Amount => 11006,
                Books::DuplicateInputs => 11007,
                Books::DuplicateOutputs => 11008,
                Books::MixedUnits => 11010,
                Books::UnknownKeyset => 12001,
                Books::InactiveKeyset | Books::ExpiredKeyset => 12002,
                Books::QuoteUnpaid => 20001,
                Books::QuoteSettled => 20002,
                Books::Alarm { .. } => 50000,
            },
            Self::Forged | Self::Unspendable(_) => 10001,
            Self::Body(_) | Self::TooLong | Self::Path => 10000,
            Self::TooMany(_) => 11014,
            Self::Amount => 11006,
            Self::Unit => 11013,
            Self::Method | Self::Change => 20003,
            Self::UnknownQuote => 20000,
            Self::ExpiredQuote => 20007,
            Self::QuoteSignature => 20008,
            Self::Unsettled(_) | Self::Busy | Self::Broken => 50000,
        }
    }

    /// 400 for what the wallet must change, 503 for what it may repeat as it is.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unsettled(_) | Self::Busy | Self::Books(books::Refusal::Alarm { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Path => StatusCode::NOT_FOUND,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<OutOfGroup> for Refusal {
    fn from(_: OutOfGroup) -> Self {
        Self::Broken
    }
}
