//! What tests of several crates share: seeds that are printed on failure, a clock that is moved by hand, vector files,
//! and the bodies of the fuzz targets with their corpora.
//!
//! A development dependency only. Panics here are findings.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is how a finding is reported"
)]

pub mod clock;
pub mod corpus;
pub mod crashing_disk;
pub mod fuzz;
pub mod party;
pub mod seed;
pub mod vectors;
