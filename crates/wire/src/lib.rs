//! The wire format: domain types, and every limit on what may arrive.
//!
//! This is the only crate that knows protobuf. Bytes come in through one door a message, which checks them first and
//! hands out types that hold what SPEC says; nothing behind a door is optional that SPEC says MUST.
//! No clock, no socket, no randomness.
//!
//! Start at [`content::Content`] for what people send, at [`payload::Payload`] for what a sealed body holds, at
//! [`link::ContactLink`] for how people meet, and at [`strict::DecodeError`] for what every door refuses.

#![warn(clippy::arithmetic_side_effects, clippy::float_arithmetic)]

pub mod address;
pub mod content;
pub mod display;
pub(crate) mod generated;
pub mod identity;
pub mod limits;
pub mod link;
pub mod payload;
pub mod payment;
pub mod relay;
pub mod strict;
