//! The commands, a file each, and how they speak: text for people, one JSON object for programs.

pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod drain;
pub(crate) mod init;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod status;

use std::{
    fmt::Display,
    io::Write as _,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chopmark_core::signature::SigningKey;
use chopmark_wire::relay::{RelayHash, RelayId};

use crate::cli::Common;

/// What a command says at its end, and the code that it leaves with.
#[derive(Debug)]
#[must_use]
pub(crate) struct Told {
    code: u8,
    out: String,
    complaint: String,
}

impl Told {
    /// It is done.
    pub(crate) const fn done() -> Self {
        Self { code: 0, out: String::new(), complaint: String::new() }
    }

    /// It cannot be done, and why.
    pub(crate) fn cannot(why: &(impl Display + ?Sized)) -> Self {
        Self { code: 1, ..Self::done() }.complaint(why.to_string())
    }

    /// The settings are wrong.
    pub(crate) fn wrong_settings() -> Self {
        Self { code: 2, ..Self::done() }
    }

    /// The store failed.
    pub(crate) fn store_failed() -> Self {
        Self { code: 3, ..Self::done() }
    }

    /// And a line on standard output.
    pub(crate) fn line(mut self, line: impl AsRef<str>) -> Self {
        self.out.push_str(line.as_ref());
        self.out.push('\n');
        self
    }

    /// And a line on standard error, behind the program's name.
    pub(crate) fn complaint(mut self, why: String) -> Self {
        self.complaint = why;
        self
    }

    /// And this code.
    pub(crate) const fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The other form of why it cannot be done.
    pub(crate) fn cannot_json(common: &Common, why: &(impl Display + ?Sized)) -> Self {
        if common.json {
            Self::cannot("")
                .complaint(String::new())
                .line(serde_json::json!({ "error": why.to_string() }).to_string())
        } else {
            Self::cannot(why)
        }
    }

    /// Says it.
    pub(crate) fn tell(self) -> ExitCode {
        if !self.complaint.is_empty() {
            let _ = writeln!(std::io::stderr().lock(), "chopmark-relay: {}", self.complaint);
        }
        match print(&self.out) {
            true => ExitCode::from(self.code),
            false => ExitCode::FAILURE,
        }
    }
}

/// The one place that writes to standard output.
pub(crate) fn print(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// The hash behind the `#` of a relay's address.
pub(crate) fn hash(identity: &SigningKey) -> RelayHash {
    RelayId::of(&identity.verifying_key()).short()
}

pub(crate) fn hex(hash: &RelayHash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds of Unix time.
#[allow(clippy::disallowed_methods, reason = "the edge where a command learns the time")]
pub(crate) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `3 d 4 h`: the two largest units.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `12.3 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| {
            let tenths = bytes / (unit / 10).max(1);
            if tenths >= 1000 {
                format!("{} {name}", bytes / unit)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            }
        },
    )
}

/// `12 345 678`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len().saturating_sub(place)).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_their_units() {
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(3_700)), "1 h 1 min");
        assert_eq!(span(Duration::from_secs(90_000)), "1 d 1 h");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(12_900_000_000), "12.0 GiB");
        assert_eq!(size(300 << 20), "300 MiB");
        assert_eq!([grouped(1), grouped(1234), grouped(1_234_567)], ["1", "1 234", "1 234 567"]);
    }
}
