//! Token buckets over time: the only limits that a sender can observe (SPEC §6.6).

use chopmark_core::time::Timestamp;
use chopmark_wire::relay::{LinkUse, Rate, limits};

/// So many at once, so many more an hour. What it remembers is thousandths of a token and the time of the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    burst: u32,
    per_hour: u32,
    thousandths: u64,
    looked: Timestamp,
}

const HOUR_MILLIS: u64 = 3_600_000;

impl TokenBucket {
    /// A full bucket.
    pub fn new(now: Timestamp, burst: u32, per_hour: u32) -> Self {
        Self { burst, per_hour, thousandths: u64::from(burst) * 1000, looked: now }
    }

    /// A full bucket of a capability's rate.
    pub fn full(now: Timestamp, rate: Rate) -> Self {
        Self::new(now, rate.burst(), rate.per_hour())
    }

    /// The bucket of a link's fetches.
    pub fn fetches(now: Timestamp) -> Self {
        Self::new(now, limits::FETCHES_PER_HOUR, limits::FETCHES_PER_HOUR)
    }

    /// The bucket of a link's one-time prekeys.
    pub fn one_time(now: Timestamp, link: LinkUse) -> Self {
        match link {
            LinkUse::Reusable => Self::new(
                now,
                limits::REUSABLE_LINK_BUDGET_PER_HOUR,
                limits::REUSABLE_LINK_BUDGET_PER_HOUR,
            ),
            // One, ever: nothing comes back.
            _ => Self::new(now, limits::ONE_TIME_LINK_BUDGET, 0),
        }
    }

    /// The same bucket under another rate: what is in it stays, up to the new burst.
    #[must_use]
    pub fn with_rate(mut self, now: Timestamp, rate: Rate) -> Self {
        self.look(now);
        self.burst = rate.burst();
        self.per_hour = rate.per_hour();
        self.thousandths = self.thousandths.min(u64::from(self.burst) * 1000);
        self
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.look(now);
        match self.thousandths.checked_sub(1000) {
            Some(left) => {
                self.thousandths = left;
                true
            }
            None => false,
        }
    }

    /// Whole hours until there is a token, at least 1.
    pub fn hours_until_one(&self, now: Timestamp) -> u32 {
        let mut ahead = *self;
        ahead.look(now);
        let missing = 1000_u64.saturating_sub(ahead.thousandths);
        let hours = missing.div_ceil((u64::from(self.per_hour) * 1000).max(1));
        u32::try_from(hours).unwrap_or(u32::MAX).max(1)
    }

    /// What it remembers, for a store: burst, per hour, thousandths, milliseconds since 1970.
    pub const fn parts(&self) -> (u32, u32, u64, u64) {
        (self.burst, self.per_hour, self.thousandths, self.looked.as_millis())
    }

    /// From what it remembered.
    pub fn from_parts((burst, per_hour, thousandths, looked): (u32, u32, u64, u64)) -> Self {
        let most = u64::from(burst) * 1000;
        Self { burst, per_hour, thousandths: thousandths.min(most), looked: Timestamp(looked) }
    }

    /// Lets tokens come back. A clock that runs backwards brings none, and costs none; the first look after it moves
    /// the mark back, so that years of wrong time do not lock a capability.
    fn look(&mut self, now: Timestamp) {
        if now < self.looked {
            self.looked = now;
            return;
        }
        let (a_thousandth, most) = (u128::from(HOUR_MILLIS), u64::from(self.burst) * 1000);
        let rate = u128::from(self.per_hour) * 1000;
        let passed = u128::from(now.as_millis().saturating_sub(self.looked.as_millis()));
        let back = passed * rate / a_thousandth;
        // Only the time that brought whole thousandths is used up.
        let used = if rate == 0 { passed } else { back * a_thousandth / rate };
        self.looked = Timestamp(
            self.looked.as_millis().saturating_add(u64::try_from(used).unwrap_or(u64::MAX)),
        );
        let back = u64::try_from(back).unwrap_or(u64::MAX);
        self.thousandths = self.thousandths.saturating_add(back).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = HOUR_MILLIS;

    #[test]
    fn tokens_come_back_over_time_and_never_beyond_the_burst() {
        let mut bucket = TokenBucket::new(Timestamp(0), 2, 1);
        assert!(bucket.take(Timestamp(0)) && bucket.take(Timestamp(0)));
        assert!(!bucket.take(Timestamp(HOUR - 1)));
        assert_eq!(bucket.hours_until_one(Timestamp(HOUR - 1)), 1);
        assert!(bucket.take(Timestamp(HOUR)));
        let year = Timestamp(HOUR * 24 * 365);
        assert!(bucket.take(year) && bucket.take(year) && !bucket.take(year));
    }

    #[test]
    fn many_looks_bring_as_much_back_as_one() {
        let mut bucket = TokenBucket::new(Timestamp(0), 1, 1);
        assert!(bucket.take(Timestamp(0)));
        for minute in 1..60 {
            assert!(!bucket.take(Timestamp(minute * 60_000)), "at minute {minute}");
        }
        assert!(bucket.take(Timestamp(HOUR + 60_000)));
    }

    #[test]
    fn a_clock_off_by_years_neither_fills_nor_locks_it() {
        let mut bucket = TokenBucket::new(Timestamp(HOUR * 100_000), 1, 1);
        assert!(bucket.take(Timestamp(HOUR * 100_000)));
        assert!(!bucket.take(Timestamp(0)));
        assert!(bucket.take(Timestamp(HOUR)));
    }
}
