//! Dates, and spans of time as a person writes them.

use std::time::Duration;

use chopmark_core::time::Timestamp;

/// `2026-11-22 18:40`, UTC.
pub(crate) fn date(at: Timestamp) -> String {
    let secs = at.as_secs();
    let (days, within) = (secs / DAY, secs % DAY);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", within / 3600, within % 3600 / 60)
}

/// The proleptic Gregorian date of a day after 1970-01-01, counted in years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Reads `90`, `90s`, `15m`, `24h` or `7d`.
///
/// # Errors
/// What it should look like.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => DAY,
        _ => return Err(SPAN.to_owned()),
    };
    let count: u64 = digits.parse().map_err(|_| SPAN.to_owned())?;
    count.checked_mul(unit).map(Duration::from_secs).ok_or_else(|| SPAN.to_owned())
}

/// The time now.
#[allow(clippy::disallowed_methods, reason = "a command line is an edge: the time is read here")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Timestamp(u64::try_from(millis).unwrap_or(u64::MAX))
}

const DAY: u64 = 86_400;
const SPAN: &str = "a span of time looks like 90s, 15m, 24h or 7d";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (secs, shown) in [
            (0, "1970-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_795_372_800, "2026-11-22 18:40"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(date(Timestamp(secs * 1000)), shown);
        }
    }

    #[test]
    fn a_span_reads_as_it_is_written() {
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(span("7d"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "h", "1w", "-1h", "1.5h", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
