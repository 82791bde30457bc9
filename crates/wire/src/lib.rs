//! The wire format: domain types, and every limit on what may arrive.
//!
//! This is the only crate that knows protobuf. Bytes come in through one door a message, which checks them first and
//! hands out types that hold what SPEC says; nothing behind a door is optional that SPEC says MUST.
//! No clock, no socket, no randomness.
//!
//! Start at [`strict::DecodeError`] for what every door refuses.

pub(crate) mod generated;
pub mod limits;
pub mod payment;
#[allow(dead_code, reason = "the doors land next")]
pub mod strict;
