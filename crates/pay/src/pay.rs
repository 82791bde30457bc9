//! The one door of this crate: what a user, a contact and an issuer can make happen.

use core::fmt;

use bytes::Bytes;
use chopmark_core::{
    secret::Secret,
    signature::{SigningKey, VerifyingKey},
    time::Timestamp,
};
use chopmark_wire::payment::{
    Amount, IssuerUrl, LineItem, PaymentId, PaymentReceipt, PaymentRequest, RequestId, Unit,
};
use rand_core::CryptoRng;
use thiserror::Error;

use crate::{Effect, Records, RecordsError, RedeemId};

/// A wallet's secrets and settings. It remembers nothing: every call is given the [`Records`].
pub struct Pay {
    pub(crate) account: [u8; 32],
    pub(crate) device: SigningKey,
    pub(crate) secrets: Secrets,
    pub(crate) settings: Settings,
}

/// The children of the seed that money hangs on (SPEC §2.1).
pub struct Secrets {
    /// Of which wallet epoch the wallet secret is.
    pub epoch: u32,
    /// Of its outputs.
    pub wallet: Secret,
    /// Of the keys that requests are paid to.
    pub payee_lock: Secret,
    /// Of the keys that take locked coins back.
    pub refund: Secret,
}

/// What the user has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// No other issuer is ever called.
    pub issuers: Vec<Issuer>,
    /// A merchant claims at once; anyone else after a short random wait, so that the issuer cannot match times.
    pub merchant: bool,
}

/// An issuer whose coins are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Where it is.
    pub url: IssuerUrl,
    /// What its coins count in.
    pub unit: Unit,
}

/// Who sent something: an account, and the key of the device that its current manifest names.
#[derive(Clone, Copy)]
pub struct Peer {
    /// The account's id.
    pub account: [u8; 32],
    /// What its receipts are verified with.
    pub device: VerifyingKey,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer(..)")
    }
}

/// A bill to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Bill {
    /// The whole amount.
    pub amount: Amount,
    /// Its lines; empty, or they sum to the amount.
    pub items: Vec<LineItem>,
    /// A word to the payer; may be empty.
    pub memo: String,
    /// Until when it may be paid.
    pub expires_at: Timestamp,
    /// Who is asked, if it is one person; then nobody else's payment is taken.
    pub payer: Option<[u8; 32]>,
}

/// Neither who is asked nor what for.
impl fmt::Debug for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { amount, items, memo: _, expires_at, payer: _ } = self;
        f.debug_struct("Bill")
            .field("amount", amount)
            .field("items", &items.len())
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

/// Money of one issuer and unit, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Whose coins.
    pub issuer: IssuerUrl,
    /// What they count in.
    pub unit: Unit,
    /// Can be spent now.
    pub spendable: u64,
    /// Of ours, in a swap that is under way.
    pub reserved: u64,
    /// Sent to someone, and neither claimed nor taken back.
    pub locked: u64,
    /// Given to us, and not yet claimed.
    pub incoming: u64,
}

/// A payment that we make or get, as a user sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentView {
    /// Its id.
    pub id: PaymentId,
    /// The request that it pays.
    pub request: RequestId,
    /// Do we pay, or are we paid?
    pub direction: Direction,
    /// The other account.
    pub peer: [u8; 32],
    /// What it is worth.
    pub amount: Amount,
    /// In whose coins.
    pub issuer: IssuerUrl,
    /// How far it has got.
    pub state: State,
    /// When it began, by our clock.
    pub at: Timestamp,
    /// The best receipt there is: the payee's for what we pay, ours for what we get.
    pub receipt: Option<Bytes>,
}

/// Neither with whom nor the receipt.
impl fmt::Debug for PaymentView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, direction, amount, state, at, .. } = self;
        f.debug_struct("PaymentView")
            .field("id", id)
            .field("direction", direction)
            .field("amount", amount)
            .field("state", state)
            .field("at", at)
            .finish_non_exhaustive()
    }
}

/// Which way money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// We pay.
    Out,
    /// We are paid.
    In,
}

/// How far a payment has got (SPEC §8.6, §8.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum State {
    /// Out: coins are set aside and the issuer has been asked to lock them; whether it has is unknown.
    Locking,
    /// Out: the coins are locked to the payee, the message waits to be sent.
    Queued,
    /// Out: it is in the outbox or on its way.
    Sent,
    /// Out: the payee's device has it.
    Delivered,
    /// Out: the payee declined; the coins are being taken back.
    Returning,
    /// Out: the locktime has passed; the coins are being taken back.
    Reclaiming,
    /// In: received, not yet checked against the issuer's keys.
    Received,
    /// In: the coins are good and are being claimed.
    Claiming,
    /// Final: the payee has the coins.
    Claimed,
    /// Final: the payee did not want the coins and they are back, or were not taken.
    Declined,
    /// Final: the coins are back after the locktime.
    Reclaimed,
    /// Final: some coins went to the payee and some are back.
    Split,
    /// Final: nothing was ever locked.
    Cancelled,
    /// Final, in: the coins were gone before we could claim them.
    Lost,
}

/// What became of a payment that we make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The payee signed for it. The receipt verifies without us. While it is only *accepted* the payee may still fail to
    /// claim; then the coins come back, and this becomes `Refused`.
    Paid(Box<PaymentReceipt>),
    /// It was not paid, and why; the coins are here.
    Refused(Refusal),
    /// Not known yet; ask again with the same id. That the payee declined says little until the coins are back: it could
    /// still claim them.
    Unknown(PaymentId),
}

/// Why a payment was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The payee declined it.
    Declined(chopmark_wire::payment::DeclineReason),
    /// The issuer would not lock the coins.
    Issuer,
    /// The payee did not claim in time.
    NotClaimed,
}

/// A token was not taken in. Nothing has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RedeemError {
    /// Not a Cashu token, or one with coins twice, none, or more than fit.
    #[error("this is not a token that can be read")]
    Malformed,
    /// Its issuer or unit is not one the user takes.
    #[error("the token's issuer is not on the list of issuers")]
    NotListed,
    /// It is locked to a key that is not ours.
    #[error("the token is locked to someone else")]
    Locked,
    /// The store failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

/// A request was not made. Nothing has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No issuer of that unit is on the list.
    #[error("no issuer on the list has this unit")]
    NotListed,
    /// The bill breaks a rule of SPEC §8.2.
    #[error("the bill is not valid: {0}")]
    Invalid(#[from] chopmark_wire::strict::DecodeError),
    /// There was no randomness.
    #[error("no randomness")]
    Randomness,
    /// The store failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

/// A payment was not begun. No coin was touched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PayError {
    /// Not a request.
    #[error("the request is not valid: {0}")]
    Invalid(#[from] chopmark_wire::strict::DecodeError),
    /// The request names another payee than the one who sent it: do not pay it.
    #[error("the request asks to pay someone else than its sender")]
    WrongPayee,
    /// It is our own.
    #[error("the request is our own")]
    OwnRequest,
    /// The payee's lock key is not a point of the curve.
    #[error("the request's key is not valid")]
    BadKey,
    /// Its time is over; ask for another.
    #[error("the request has expired")]
    Expired,
    /// None of its issuers is on our list with this unit.
    #[error("none of the request's issuers is on the list of issuers")]
    NotListed,
    /// Not enough coins of one issuer.
    #[error("{spendable} minor units can be spent, {needed} are needed")]
    InsufficientFunds {
        /// What can be spent at the issuer that comes closest.
        spendable: u64,
        /// The amount and its fee.
        needed: u64,
    },
    /// The payment would need more coins than one message may hold.
    #[error("the payment needs too many coins")]
    TooManyCoins,
    /// The store failed.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

impl std::fmt::Debug for Pay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pay").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Pay {
    /// A wallet of `account` on the device that signs with `device`.
    #[must_use]
    pub const fn new(
        account: [u8; 32],
        device: SigningKey,
        secrets: Secrets,
        settings: Settings,
    ) -> Self {
        Self { account, device, secrets, settings }
    }

    /// Begins to swap a bearer token (`cashuA…` or `cashuB…`) for coins of our own. Handing the same token in again
    /// changes nothing.
    ///
    /// # Errors
    /// [`RedeemError`].
    pub fn redeem(
        &self,
        records: &mut impl Records,
        token: &str,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(RedeemId, Vec<Effect>), RedeemError> {
        crate::redeem::begin(self, records, token, now, rng)
    }

    /// Makes a request: its id and the bytes to send as the body of a message.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn request(
        &self,
        records: &mut impl Records,
        bill: &Bill,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(RequestId, Bytes), RequestError> {
        crate::request::make(self, records, bill, now, rng)
    }

    /// Begins to pay the request that arrived from `payee` as these bytes. The same request again is the same payment:
    /// no coin moves twice, and what is already known of it is returned as events.
    ///
    /// # Errors
    /// [`PayError`].
    pub fn pay(
        &self,
        records: &mut impl Records,
        request: &Bytes,
        payee: &[u8; 32],
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(PaymentId, Vec<Effect>), PayError> {
        crate::outgoing::begin(self, records, request, payee, now, rng)
    }

    /// Takes in a message about money from an accepted contact. Never fails because of what the message holds: what
    /// cannot be believed is ignored or declined.
    ///
    /// # Errors
    /// [`RecordsError`]: roll back and try again.
    pub fn receive(
        &self,
        records: &mut impl Records,
        from: &Peer,
        body: &crate::Body,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, RecordsError> {
        crate::incoming::receive(self, records, from, body, now, rng)
    }

    /// Takes in what an issuer answered, or that it did not.
    ///
    /// # Errors
    /// [`RecordsError`]: roll back and try again.
    pub fn reply(
        &self,
        records: &mut impl Records,
        call: crate::CallId,
        answer: Result<crate::HttpReply, crate::Unreachable>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, RecordsError> {
        crate::job::reply(self, records, call, answer, now, rng)
    }

    /// Does what has become due.
    ///
    /// # Errors
    /// [`RecordsError`]: roll back and try again.
    pub fn wake(
        &self,
        records: &mut impl Records,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, RecordsError> {
        crate::job::wake(self, records, now, rng, false)
    }

    /// Asks again for every call and message that is not known to be done. For the start of a process.
    ///
    /// # Errors
    /// [`RecordsError`]: roll back and try again.
    pub fn resume(
        &self,
        records: &mut impl Records,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Effect>, RecordsError> {
        crate::job::wake(self, records, now, rng, true)
    }

    /// The message is in the outbox, durably.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn sent(
        &self,
        records: &mut impl Records,
        reference: crate::Reference,
    ) -> Result<Vec<Effect>, RecordsError> {
        crate::outgoing::sent(records, reference, false)
    }

    /// The message was acknowledged by the contact's device.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn delivered(
        &self,
        records: &mut impl Records,
        reference: crate::Reference,
    ) -> Result<Vec<Effect>, RecordsError> {
        crate::outgoing::sent(records, reference, true)
    }

    /// What there is, a line for each issuer on the list.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn balance(&self, records: &impl Records) -> Result<Vec<Balance>, RecordsError> {
        crate::view::balance(self, records)
    }

    /// Every payment, oldest first.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn payments(&self, records: &impl Records) -> Result<Vec<PaymentView>, RecordsError> {
        crate::view::payments(records)
    }

    /// One payment.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn payment(
        &self,
        records: &impl Records,
        id: &PaymentId,
    ) -> Result<Option<PaymentView>, RecordsError> {
        crate::view::payment(records, id)
    }

    /// What became of a payment that we make. A payment that nobody knows is `Unknown`.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn outcome(&self, records: &impl Records, id: &PaymentId) -> Result<Outcome, RecordsError> {
        crate::view::outcome(records, id)
    }

    /// The coins that a payment of ours locked, as a Cashu token for a payee whose program takes no other form; `None`
    /// before they are locked. Only the payee's key spends it.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn token(
        &self,
        records: &impl Records,
        id: &PaymentId,
    ) -> Result<Option<String>, RecordsError> {
        crate::view::token(records, id)
    }

    /// A request that we made.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn request_made(
        &self,
        records: &impl Records,
        id: &RequestId,
    ) -> Result<Option<PaymentRequest>, RecordsError> {
        crate::request::load(records, id).map(|found| found.map(|(_, request)| request))
    }
}
