//! Every test that looks at more than one crate.

mod attacks;
mod journeys;
mod tidy;
