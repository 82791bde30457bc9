//! Token buckets over time: the only limits that a sender can observe (SPEC §6.6).

use chopmark_core::time::Timestamp;
use chopmark_wire::relay::{Hour, LinkUse, Rate, limits};

/// So many at once, so many more with every hour that begins: nothing finer than an hour is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    burst: u32,
    per_hour: u32,
    tokens: u32,
    hour: Hour,
}

impl TokenBucket {
    /// A full bucket.
    pub const fn new(now: Timestamp, burst: u32, per_hour: u32) -> Self {
        Self { burst, per_hour, tokens: burst, hour: Hour::of(now) }
    }

    /// A full bucket of a capability's rate.
    pub const fn full(now: Timestamp, rate: Rate) -> Self {
        Self::new(now, rate.burst(), rate.per_hour())
    }

    /// The bucket of a link's fetches.
    pub const fn fetches(now: Timestamp) -> Self {
        Self::new(now, limits::FETCHES_PER_HOUR, limits::FETCHES_PER_HOUR)
    }

    /// The bucket of a link's one-time prekeys.
    pub const fn one_time(now: Timestamp, link: LinkUse) -> Self {
        let an_hour = limits::REUSABLE_LINK_BUDGET_PER_HOUR;
        match link {
            LinkUse::Reusable => Self::new(now, an_hour, an_hour),
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
        self.tokens = self.tokens.min(self.burst);
        self
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.look(now);
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }

    /// Would [`take`](Self::take) find a token?
    pub fn has_one(mut self, now: Timestamp) -> bool {
        self.take(now)
    }

    /// What it remembers, for a store: burst, per hour, tokens, hour.
    pub const fn parts(&self) -> (u32, u32, u32, Hour) {
        (self.burst, self.per_hour, self.tokens, self.hour)
    }

    /// From what it remembered.
    pub fn from_parts((burst, per_hour, tokens, hour): (u32, u32, u32, Hour)) -> Self {
        Self { burst, per_hour, tokens: tokens.min(burst), hour }
    }

    /// Lets tokens come back. A clock that runs backwards brings none and costs none; its hour counts from then on, so
    /// that years of wrong time do not lock a capability.
    fn look(&mut self, now: Timestamp) {
        let hour = Hour::of(now);
        let hours = u32::try_from(hour.0.saturating_sub(self.hour.0)).unwrap_or(u32::MAX);
        let back = self.per_hour.saturating_mul(hours);
        self.tokens = self.tokens.saturating_add(back).min(self.burst);
        self.hour = hour;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn tokens_come_back_with_the_hour_and_never_beyond_the_burst() {
        let mut bucket = TokenBucket::new(Timestamp(0), 2, 1);
        assert!(bucket.take(Timestamp(0)) && bucket.take(Timestamp(0)));
        assert!(!bucket.take(Timestamp(HOUR - 1)));
        assert!(bucket.take(Timestamp(HOUR)) && !bucket.take(Timestamp(HOUR)));
        let year = Timestamp(HOUR * 24 * 365);
        assert!(bucket.take(year) && bucket.take(year) && !bucket.take(year));
    }

    #[test]
    fn a_clock_off_by_years_neither_fills_nor_locks_it() {
        let mut bucket = TokenBucket::new(Timestamp(HOUR * 100_000), 1, 1);
        assert!(bucket.take(Timestamp(HOUR * 100_000)));
        assert!(!bucket.take(Timestamp(0)));
        assert!(bucket.take(Timestamp(HOUR)));
    }
}
