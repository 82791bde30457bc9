//! Message types of `proto/`, one module a part, written by `cargo xtask codegen`.
//!
//! Architecture invariant: nothing of this module is public, and nothing here is decoded but through
//! [`strict::decode`](crate::strict::decode).

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    reason = "generated code: its documentation is the schema"
)]

#[rustfmt::skip]
pub(crate) mod content;
#[rustfmt::skip]
pub(crate) mod envelope;
#[rustfmt::skip]
pub(crate) mod identity;
#[rustfmt::skip]
pub(crate) mod payment;
#[rustfmt::skip]
pub(crate) mod relay;
#[rustfmt::skip]
pub(crate) mod shapes;
