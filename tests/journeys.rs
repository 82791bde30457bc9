//! Journeys: the real programs, run as a person runs them, on loopback; each of them killed at some point.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test against real processes"
)]

mod crowd;
mod readme;
pub(crate) mod stage;
