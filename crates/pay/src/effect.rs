//! What this crate wants done, after the transaction that it was told of has committed.

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::payment::{DeclineReason, IssuerUrl, PaymentId, RequestId};

/// Something for the caller to do once its transaction has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Ask an issuer, over a fresh connection; hand what comes back to [`Pay::reply`](crate::Pay::reply).
    Call(Call),
    /// Send a message inside the conversation. Put it into the outbox in the same transaction and call
    /// [`Pay::sent`](crate::Pay::sent); until then it is asked for again on every start.
    Send(Outbound),
    /// Tell the user.
    Event(Event),
    /// Call [`Pay::wake`](crate::Pay::wake) at this time, or soon after.
    WakeAt(Timestamp),
}

/// One HTTP request to an issuer on the allow list.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Comes back with the answer.
    pub id: CallId,
    /// Whom to ask; the path is appended to it.
    pub issuer: IssuerUrl,
    /// How.
    pub method: Method,
    /// Beginning with `/v1/`.
    pub path: String,
    /// JSON; empty for GET. It may hold coins: log nothing of it.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Names a call. An answer to a call that was superseded changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The job.
    pub job: u64,
    /// Its how many-th call.
    pub attempt: u32,
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST, with a body of `application/json`.
    Post,
}

/// An issuer's answer, whatever it says.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// At most [`REPLY_MAX`] bytes; treat a longer one as [`Unreachable`].
    pub body: Vec<u8>,
}

impl std::fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpReply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Bytes of the longest answer that is read.
pub const REPLY_MAX: usize = 1 << 20;

/// No answer, or not all of it: what the issuer did is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable;

/// A message for a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// The account to send to.
    pub to: [u8; 32],
    /// Names this message: asked for again under the same name with the same bytes.
    pub reference: Reference,
    /// What to send.
    pub body: Body,
}

/// Names an outbound message: the payment and what about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Which payment.
    pub payment: PaymentId,
    /// What about it.
    pub part: Part,
}

/// What an outbound message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The coins.
    Payment,
    /// The receipt that they are good.
    Accepted,
    /// The receipt that they were claimed.
    Settled,
    /// The refusal.
    Decline,
}

/// The body of a message about money: the bytes of the `Content` body of the same name.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// A request. Requests need no answer from this crate until the user pays.
    Request(Bytes),
    /// A payment.
    Payment(Bytes),
    /// A receipt.
    Receipt(Bytes),
    /// A decline.
    Decline(Bytes),
    /// A cancellation of a request.
    Cancel(Bytes),
}

/// Which it is; a payment holds coins.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request(_) => "Request(..)",
            Self::Payment(_) => "Payment(..)",
            Self::Receipt(_) => "Receipt(..)",
            Self::Decline(_) => "Decline(..)",
            Self::Cancel(_) => "Cancel(..)",
        })
    }
}

/// Something that the user may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A payment that we make has changed; look it up.
    OutgoingChanged(PaymentId),
    /// A payment that we get has changed; look it up.
    IncomingChanged(PaymentId),
    /// Coins were handed in and are ours.
    Redeemed(RedeemId),
    /// Coins were handed in and are not ours.
    RedeemRefused(RedeemId, RedeemRefusal),
    /// The payee took a request back.
    RequestCancelled(RequestId),
    /// An issuer answered something that no honest issuer answers. The money in question waits.
    IssuerMisbehaved(IssuerUrl),
    /// A payment was refused by its payee.
    Declined(PaymentId, DeclineReason),
}

/// Names a token that was handed in: a hash of its coins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedeemId(pub [u8; 32]);

/// Why a token is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedeemRefusal {
    /// Someone has spent it.
    AlreadySpent,
    /// The issuer does not take it, or does not take the swap.
    Refused,
    /// It is worth no more than the fee.
    BelowFee,
    /// It is of a keyset that the issuer does not have.
    UnknownKeyset,
    /// It carries a proof of the issuer's signature that is wrong.
    Forged,
}
