//! Time that passes when a test says so.

use std::time::Duration;

use chopmark_core::time::Timestamp;

/// A clock that stands still until it is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(Timestamp);

impl Clock {
    /// A clock that stands at the beginning of 2026.
    pub fn new() -> Self {
        Self(Timestamp(1_767_225_600_000))
    }

    /// A clock that stands at `time`.
    pub fn at(time: Timestamp) -> Self {
        Self(time)
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        self.0
    }

    /// Moves it forward.
    pub fn advance(&mut self, by: Duration) {
        self.0 = self.0.saturating_add(by);
    }

    /// Sets it, backwards too: clocks of users do that.
    pub fn jump_to(&mut self, time: Timestamp) {
        self.0 = time;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
