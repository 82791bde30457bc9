//! The issuer as a process, over loopback: what it answers, what survives, and what reaches the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking, and wait for processes"
)]

mod crash;
mod exchange;
mod harness;
mod load;
