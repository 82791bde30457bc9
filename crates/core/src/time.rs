//! Points in time, which this crate is told and never asks for.

use core::time::Duration;

/// Milliseconds since 1970-01-01 00:00 UTC, leap seconds ignored. Encoded as a `u64` (SPEC §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The beginning: 1970-01-01 00:00 UTC.
    pub const ZERO: Self = Self(0);

    /// The end of representable time.
    pub const MAX: Self = Self(u64::MAX);

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time given as whole seconds since 1970, or `None` beyond the end of time.
    pub const fn from_secs(seconds: u64) -> Option<Self> {
        match seconds.checked_mul(1000) {
            Some(millis) => Some(Self(millis)),
            None => None,
        }
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This time and `duration` more, or `None` beyond the end of time.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(u64::try_from(duration.as_millis()).ok()?).map(Self)
    }

    /// This time less `duration`, or `None` before the beginning.
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(u64::try_from(duration.as_millis()).ok()?).map(Self)
    }

    /// This time and `duration` more, or the end of time.
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::MAX)
    }

    /// This time less `duration`, or the beginning.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        self.checked_sub(duration).unwrap_or(Self::ZERO)
    }

    /// How long after `earlier` this is; zero when `earlier` is later. Clocks run backwards: never an error.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The start of this UTC hour. What a relay may remember is no finer.
    pub const fn floor_hour(self) -> Self {
        Self(self.0 - self.0 % HOUR_MILLIS)
    }

    /// The start of this UTC day.
    pub const fn floor_day(self) -> Self {
        Self(self.0 - self.0 % DAY_MILLIS)
    }

    /// Whole days since 1970.
    pub const fn day(self) -> u64 {
        self.0 / DAY_MILLIS
    }
}

/// One hour.
pub const HOUR: Duration = Duration::from_millis(HOUR_MILLIS);

/// One day of 24 hours.
pub const DAY: Duration = Duration::from_millis(DAY_MILLIS);

const HOUR_MILLIS: u64 = 3_600_000;
const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_time_do_not_wrap() {
        assert_eq!(Timestamp::MAX.checked_add(Duration::from_millis(1)), None);
        assert_eq!(Timestamp::ZERO.checked_add(Duration::MAX), None);
        assert_eq!(Timestamp::ZERO.checked_sub(Duration::from_millis(1)), None);
        assert_eq!(Timestamp::MAX.saturating_add(DAY), Timestamp::MAX);
        assert_eq!(Timestamp(1).saturating_sub(DAY), Timestamp::ZERO);
        assert_eq!(Timestamp(1).saturating_since(Timestamp(2)), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(u64::MAX), None);
    }

    #[test]
    fn hours_and_days_are_rounded_down() {
        let noon_and_a_bit = Timestamp(DAY_MILLIS * 3 + 12 * HOUR_MILLIS + 1);
        assert_eq!(noon_and_a_bit.floor_hour(), Timestamp(DAY_MILLIS * 3 + 12 * HOUR_MILLIS));
        assert_eq!(noon_and_a_bit.floor_day(), Timestamp(DAY_MILLIS * 3));
        assert_eq!(noon_and_a_bit.day(), 3);
    }
}
