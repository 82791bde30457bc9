//! Journeys: the real programs, run as a person runs them, on loopback; each of them killed at some point.

mod crowd;
mod readme;
mod stage;
