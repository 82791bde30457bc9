//! How a value is written: text in, a typed value out, and back.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// Something that a key can hold.
pub trait Value: Sized {
    /// How it is written, as a person would be told: `a time, as "30 s"`.
    const FORM: &'static str;

    /// Reads it; the error completes "must be …".
    ///
    /// # Errors
    /// What was expected.
    fn parse(text: &str) -> Result<Self, String>;

    /// Writes it so that [`parse`](Self::parse) reads the same.
    fn show(&self) -> String;
}

/// A number of bytes, written with its unit; a bare number counts MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// So many KiB.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1024))
    }

    /// So many MiB.
    pub const fn mib(count: u64) -> Self {
        Self::kib(count.saturating_mul(1024))
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// In bytes, as a length in memory.
    pub fn length(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Splits `64 MiB` into its number and its unit.
fn split(text: &str) -> (Option<u64>, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.replace('_', "").parse().ok(), unit.trim())
}

const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Value for Size {
    const FORM: &'static str =
        "a size, as \"64 MiB\" (B, KiB, MiB, GiB, TiB; a bare number counts MiB)";

    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let unit = if unit.is_empty() { "MiB" } else { unit };
        let unit = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        match (number, unit) {
            (Some(number), Some((_, bytes))) => Ok(Self(number.saturating_mul(*bytes))),
            _ => Err(Self::FORM.to_owned()),
        }
    }

    fn show(&self) -> String {
        let whole = SIZES.iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        whole.map_or_else(
            || "0 B".to_owned(),
            |(name, bytes)| format!("{} {name}", self.0.checked_div(*bytes).unwrap_or(0)),
        )
    }
}

const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

impl Value for Duration {
    const FORM: &'static str =
        "a time, as \"30 s\" (ms, s, min, h, d; a bare number counts seconds)";

    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let unit = if unit.is_empty() { "s" } else { unit };
        let unit = TIMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        match (number, unit) {
            (Some(number), Some((_, millis))) => {
                Ok(Self::from_millis(number.saturating_mul(*millis)))
            }
            _ => Err(Self::FORM.to_owned()),
        }
    }

    fn show(&self) -> String {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let whole = TIMES.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
        whole.map_or_else(
            || "0 s".to_owned(),
            |(name, unit)| format!("{} {name}", millis.checked_div(*unit).unwrap_or(0)),
        )
    }
}

/// A count of something; there is no limit of zero.
macro_rules! counts {
    ($($type:ty),+) => {$(
        impl Value for $type {
            const FORM: &'static str = "a whole number from 1";

            fn parse(text: &str) -> Result<Self, String> {
                let count = text.trim().replace('_', "").parse().ok().filter(|count| *count > 0);
                count.ok_or_else(|| format!("{} to {}", Self::FORM, Self::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}
counts!(u16, u32, u64, usize);

/// `true` or `false`.
impl Value for bool {
    const FORM: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| Self::FORM.to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for SocketAddr {
    const FORM: &'static str = "an address and a port, as \"[::]:7667\" or \"127.0.0.1:7667\"";

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| Self::FORM.to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for PathBuf {
    const FORM: &'static str = "a path";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err(Self::FORM.to_owned()) } else { Ok(text.into()) }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// Nothing is written `none`.
impl<V: Value> Value for Option<V> {
    const FORM: &'static str = V::FORM;

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(None),
            text => V::parse(text).map(Some).map_err(|form| format!("{form}, or \"none\"")),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), V::show)
    }
}

/// A host name or address, and a port, as they stand in a relay's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The address of a relay knows what a host may be; the hash is of no relay.
        let address = chopmark_wire::address::RelayAddress::from_host_port(text.trim(), [0; 16]);
        let address = address.map_err(|_| <Self as Value>::FORM.to_owned())?;
        Ok(Self { host: address.host().to_owned(), port: address.port() })
    }
}

impl Value for HostPort {
    const FORM: &'static str = "a name and a port, as \"relay.example:7667\"";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn show(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// A value that is one of a few words.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[doc = $doc])+ $variant),+ }

        impl Value for $name {
            const FORM: &'static str = concat!("one of", $(" ", $word),+);

            fn parse(text: &str) -> Result<Self, String> {
                match text.trim() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Self::FORM.to_owned()),
                }
            }

            fn show(&self) -> String {
                match self { $(Self::$variant => $word.to_owned()),+ }
            }
        }
    };
}

words! {
    /// Where the certificate of TLS comes from. None of them is the relay's identity (SPEC §6.2).
    CertificateMode {
        /// Made by the relay, and made anew in time.
        SelfSigned = "self-signed",
        /// PEM files that somebody else renews; read again when they change.
        Files = "files",
        /// From an ACME server; refused in this version.
        Acme = "acme",
    }
}

words! {
    /// Who may make mailboxes.
    AccessMode {
        /// Everyone, within the share of an address prefix.
        Open = "open",
        /// Who shows a token whose hash the relay has.
        Tokens = "tokens",
        /// Nobody.
        Closed = "closed",
    }
}

words! {
    /// How much is logged.
    Level {
        /// Only what stops the relay.
        Error = "error",
        /// And what an operator should look at.
        Warn = "warn",
        /// And what a relay does as a whole.
        Info = "info",
        /// And what it does more often.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// How a line of the log is written.
    LogFormat {
        /// For people.
        Text = "text",
        /// An object a line.
        Json = "json",
    }
}

words! {
    /// Whether the relay gives up, at its start, the right to touch any file but its own (Landlock).
    Sandbox {
        /// Where the kernel can; a line of the log says when it cannot.
        Auto = "auto",
        /// The relay does not start where the kernel cannot.
        Required = "required",
        /// No.
        Off = "off",
    }
}
