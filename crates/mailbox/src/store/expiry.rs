//! By which hour things are forgotten: the clock's, but no reading of it does much harm (SPEC §6.7 [slow-expiry]).

use chopmark_core::time::Timestamp;
use chopmark_wire::relay::Hour;

/// The hour up to which expired things are forgotten. It follows the clock by at most an hour a round, so that a clock
/// that is wrong for some minutes takes some hours from what waits, and not all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    hour: Option<Hour>,
    /// Rounds in a row in which the clock was further ahead than one round goes.
    behind: u32,
}

impl Expiry {
    /// As a store remembers it.
    pub const fn from_hour(hour: Option<Hour>) -> Self {
        Self { hour, behind: 0 }
    }

    /// The hour, for a store to remember: none before the first round.
    pub const fn hour(&self) -> Option<Hour> {
        self.hour
    }

    /// Begins a round; answers its hour: what has an hour up to it is over.
    pub fn round(&mut self, now: Timestamp) -> Hour {
        let now = Hour::of(now);
        let last = self.hour.unwrap_or(now);
        self.behind =
            if now.0 > last.0.saturating_add(1) { self.behind.saturating_add(1) } else { 0 };
        let hour = match self.behind {
            ROUNDS_BELIEVED.. => now,
            _ => Hour(now.0.clamp(last.0.saturating_sub(1), last.0.saturating_add(1))),
        };
        self.hour = Some(hour);
        hour
    }

    /// When something is over that lasts so many hours from now: a clock that is behind makes it none the shorter.
    pub fn until(&self, now: Timestamp, hours: u64) -> Hour {
        Hour::of(now).max(self.hour.unwrap_or(Hour(0))).plus(hours)
    }
}

/// A round a minute: a clock that says the same for a day is right.
const ROUNDS_BELIEVED: u32 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn at(hour: u64) -> Timestamp {
        Timestamp(hour * HOUR)
    }

    // Tests [slow-expiry]. Seen to fail with a round that takes the clock's hour.
    #[test]
    fn ten_minutes_of_a_clock_ten_years_ahead_forget_ten_hours_early() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.round(at(500_000)), Hour(500_000));
        for minute in 1..=10 {
            assert_eq!(expiry.round(at(587_600)), Hour(500_000 + minute));
        }
        // It comes back as slowly, and what is kept meanwhile is kept for its whole time.
        assert_eq!(expiry.round(at(500_000)), Hour(500_009));
        assert_eq!(expiry.until(at(500_000), 24), Hour(500_033));
    }

    #[test]
    fn a_relay_that_was_off_for_a_week_catches_up_in_three_hours() {
        let mut expiry = Expiry::from_hour(Some(Hour(500_000)));
        for _ in 0..168 {
            expiry.round(at(500_168));
        }
        assert_eq!(expiry.hour(), Some(Hour(500_168)));
        // And what it takes in meanwhile lasts from now.
        assert_eq!(Expiry::from_hour(Some(Hour(5))).until(at(9), 24), Hour(33));
    }

    #[test]
    fn a_clock_that_stays_is_believed_after_a_day() {
        let mut expiry = Expiry::from_hour(Some(Hour(1)));
        for _ in 0..ROUNDS_BELIEVED {
            assert!(expiry.hour().unwrap() < Hour(2_000));
            expiry.round(at(500_000));
        }
        assert_eq!(expiry.hour(), Some(Hour(500_000)));
    }
}
