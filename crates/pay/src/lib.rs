//! Requests, wallet, payment machines and receipts.
//!
//! This crate is sans-IO: it opens no socket, reads no clock and draws no randomness of its own. Everything it knows
//! lives in [`Records`], inside the caller's transaction; what it wants done comes back as [`Effect`]s, to be done after
//! the commit. It sees the curve through the `cashu` crate and nothing else of it: conditions, counters, fees and the
//! fate of a swap are decided here.
//!
//! Start at [`Pay`]; the issuer starts at [`verify`].

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::float_arithmetic))]

pub mod verify;

mod coin;
mod derive;
mod effect;
mod hash;
mod hex;
mod incoming;
mod job;
mod keyset;
mod lock;
mod nut;
mod outgoing;
mod pay;
mod receipt;
mod records;
mod redeem;
mod request;
#[cfg(test)]
mod simulation;
mod view;

pub use effect::{
    Body, Call, CallId, Effect, Event, HttpReply, Method, Outbound, Part, REPLY_MAX, RedeemId,
    RedeemRefusal, Reference, Unreachable,
};
pub use pay::{
    Balance, Bill, Direction, Issuer, Outcome, Pay, PayError, PaymentView, Peer, RedeemError,
    Refusal, RequestError, Secrets, Settings, State,
};
pub use receipt::{ReceiptError, verify_receipt};
pub use records::{Entry, Kind, MemoryRecords, Records, RecordsError};
