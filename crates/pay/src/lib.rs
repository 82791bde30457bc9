//! Requests, wallet, payment machines and receipts.
//!
//! This crate is sans-IO: it opens no socket, reads no clock and draws no randomness of its own. Everything it knows
//! lives in records, inside the caller's transaction; what it wants done comes back as effects, to be done after
//! the commit. It sees the curve through the `cashu` crate and nothing else of it: conditions, counters, fees and the
//! fate of a swap are decided here.
//!
//! The issuer starts at [`verify`].

pub mod verify;

#[allow(dead_code, reason = "the wallet lands next")]
mod hash;
mod hex;
