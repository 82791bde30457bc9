//! Every test that looks at more than one crate.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod attacks;
mod economy;
mod explorer;
mod external;
mod hygiene;
mod journeys;
mod properties;
mod simulation;
mod tidy;
mod vectors;
