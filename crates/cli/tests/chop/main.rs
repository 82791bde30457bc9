//! `chop` as a program: what it prints, on which stream, and with which exit code it ends.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test against real processes"
)]

mod contacts;
mod demo;
mod errors;
mod harness;
mod output;
mod restore;
