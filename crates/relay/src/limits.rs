//! Every bound of a node by name, and how often each was met (SPEC §6.8).
//!
//! What one connection may do stands in [`Bounds`]; what a mailbox may hold, in `chopmark_wire::relay::limits`, since
//! clients rely on it. The rest is here: fields with defaults, that the operator's settings fill. Each says what happens
//! beyond it, and to whom.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use chopmark_mailbox::relay::{Bounds, Limited};
use chopmark_wire::relay::limits;
use thiserror::Error;

/// The bounds of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. Newcomers are refused; who is here stays. Default 8192.
    pub connections: usize,
    /// Handshakes under way. Newcomers are refused. Default 1024.
    pub handshakes: usize,
    /// Handshakes under way from which on a newcomer must prove its address first (Retry). Default 64.
    pub retry_above: usize,
    /// How long a handshake may take. It is given up. Default 10 s.
    pub handshake_time: Duration,
    /// How long an answer to Retry is good. Default 15 s.
    pub retry_token_time: Duration,
    /// Connections of a /24 or /48 at once, loopback excepted. Newcomers from there are refused. Default 1024.
    pub prefix_connections: usize,
    /// New mailboxes of a /24 or /48 an hour, loopback excepted. Those from there are told to come later. Default 256.
    pub prefix_creates_per_hour: u32,
    /// Prefixes whose new mailboxes are counted. With more, prefixes that are not among them make none. Default 65,536.
    pub prefixes: usize,
    /// Connections that may wait to be looked at. Newcomers are refused. Default 1024.
    pub incoming: usize,
    /// Bytes that one of them may have sent before it is looked at. The rest is dropped. Default 16 KiB.
    pub incoming_bytes: u64,
    /// Bytes that all of them may have sent before. The rest is dropped. Default 8 MiB.
    pub incoming_bytes_total: u64,
    /// Bytes of one connection that are held until they are read. The client waits. Default 128 KiB.
    pub receive_window: u32,
    /// Bytes for one connection that wait to be taken. The relay reads nothing more from it. Default 256 KiB.
    pub send_window: u64,
    /// Silence after which a connection is gone. Default 60 s.
    pub idle_time: Duration,
    /// How long a client may take to take what it is sent. Its connection is closed; its messages stay. Default 60 s.
    pub write_time: Duration,
    /// How long a write may take until its client counts as slow. Default 1 s.
    pub slow_after: Duration,
    /// Slow clients at once. Beyond, they are closed at once; their messages stay. Default 256.
    pub slow_readers: usize,
    /// What one connection may have under way, and how long it may be silent.
    pub connection: Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            handshakes: 1024,
            retry_above: 64,
            handshake_time: Duration::from_secs(10),
            retry_token_time: Duration::from_secs(15),
            prefix_connections: limits::PREFIX_CONNECTIONS_MAX,
            prefix_creates_per_hour: limits::PREFIX_CREATES_PER_HOUR,
            prefixes: 65_536,
            incoming: 1024,
            incoming_bytes: 16 * 1024,
            incoming_bytes_total: 8 * 1024 * 1024,
            receive_window: 128 * 1024,
            send_window: 256 * 1024,
            idle_time: Duration::from_secs(60),
            write_time: Duration::from_secs(60),
            slow_after: Duration::from_secs(1),
            slow_readers: 256,
            connection: Bounds::default(),
        }
    }
}

/// A limit that no relay can work with. The field is named as in [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("limit {name} is {value}; it must be from {least} to {most}")]
pub struct LimitsError {
    name: &'static str,
    value: u64,
    least: u64,
    most: u64,
}

impl LimitsError {
    /// The field.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl Limits {
    /// Whether a relay can work with these.
    ///
    /// # Errors
    /// The first that it cannot work with.
    pub fn check(&self) -> Result<(), LimitsError> {
        let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        let frame = count(limits::FRAME_BYTES_MAX);
        let (times, hour) = (1, 3_600_000);
        let it = &self.connection;
        let all = [
            ("connections", count(self.connections), 1, 1_000_000),
            ("handshakes", count(self.handshakes), 1, 1_000_000),
            ("retry_above", count(self.retry_above), 0, 1_000_000),
            ("handshake_time", millis(self.handshake_time), times, hour),
            ("retry_token_time", millis(self.retry_token_time), times, hour),
            ("prefix_connections", count(self.prefix_connections), 1, 1_000_000),
            ("prefix_creates_per_hour", self.prefix_creates_per_hour.into(), 0, 1_000_000),
            ("prefixes", count(self.prefixes), 1, 16_777_216),
            ("incoming", count(self.incoming), 1, 1_000_000),
            ("incoming_bytes", self.incoming_bytes, 2048, 1 << 24),
            ("incoming_bytes_total", self.incoming_bytes_total, 2048, 1 << 32),
            // Smaller, and no frame of the largest kind would ever be whole.
            ("receive_window", self.receive_window.into(), frame + 4, 1 << 24),
            ("send_window", self.send_window, frame + 4, 1 << 24),
            ("idle_time", millis(self.idle_time), 1000, hour),
            ("write_time", millis(self.write_time), times, hour),
            ("slow_after", millis(self.slow_after), times, hour),
            ("slow_readers", count(self.slow_readers), 0, 1_000_000),
            ("connection.requests", count(it.requests), 1, 4096),
            ("connection.request_bytes", count(it.request_bytes), 1, 1 << 24),
            ("connection.frames_burst", it.frames_burst.into(), 1, u64::from(u32::MAX)),
            ("connection.frames_per_second", it.frames_per_second.into(), 1, u64::from(u32::MAX)),
            // A client closes on more than the protocol's window, and on less than one envelope nothing would go.
            (
                "connection.window_messages",
                count(it.window_messages),
                1,
                count(limits::WINDOW_MESSAGES),
            ),
            (
                "connection.window_bytes",
                count(it.window_bytes),
                65_536,
                count(limits::WINDOW_BYTES),
            ),
            ("connection.first_frame_time", millis(it.first_frame_time), times, hour),
            ("connection.sender_idle_time", millis(it.sender_idle_time), times, hour),
            ("connection.drain_time", millis(it.drain_time), 0, hour),
        ];
        match all.into_iter().find(|(_, value, least, most)| value < least || value > most) {
            None => Ok(()),
            Some((name, value, least, most)) => Err(LimitsError { name, value, least, most }),
        }
    }
}

macro_rules! named {
    ($($(#[$doc:meta])* $limit:ident = $name:literal;)*) => {
        /// A bound that was met: what a metric counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Limit {
            $($(#[$doc])* $limit,)*
        }

        impl Limit {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$limit),*];

            /// Its name in a metric's label: lower case, never anything of a user's.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$limit => $name,)* }
            }
        }
    };
}

named! {
    /// A newcomer was refused: [`Limits::connections`].
    Connections = "connections";
    /// A newcomer was refused: [`Limits::handshakes`].
    Handshakes = "handshakes";
    /// A newcomer was asked to prove its address: [`Limits::retry_above`].
    Retry = "retry";
    /// A handshake was given up: [`Limits::handshake_time`].
    HandshakeTime = "handshake_time";
    /// A newcomer was refused: [`Limits::prefix_connections`].
    PrefixConnections = "prefix_connections";
    /// A prefix asked for a mailbox and had no new one left: [`Limits::prefix_creates_per_hour`], [`Limits::prefixes`].
    PrefixCreates = "prefix_creates";
    /// A mailbox was not made: [`Bounds::access`].
    Access = "access";
    /// A connection was closed: [`Limits::slow_readers`].
    SlowReaders = "slow_readers";
    /// A connection was closed: [`Limits::write_time`].
    WriteTime = "write_time";
    /// A connection was not read for a while: [`Bounds::requests`] or [`Bounds::request_bytes`].
    Requests = "requests";
    /// A connection was not read for a while: [`Bounds::frames_burst`] and [`Bounds::frames_per_second`].
    Frames = "frames";
    /// Messages stayed in a mailbox until others were acked: [`Bounds::window_messages`] or [`Bounds::window_bytes`].
    Window = "window";
    /// A connection was closed: [`Bounds::first_frame_time`].
    FirstFrame = "first_frame";
    /// A connection was closed: [`Bounds::sender_idle_time`].
    SenderIdle = "sender_idle";
}

impl From<Limited> for Limit {
    fn from(limited: Limited) -> Self {
        match limited {
            Limited::Requests => Self::Requests,
            Limited::Frames => Self::Frames,
            Limited::Window => Self::Window,
            Limited::FirstFrame => Self::FirstFrame,
            Limited::Access => Self::Access,
            _ => Self::SenderIdle,
        }
    }
}

/// How often each bound was met since the node started.
#[derive(Debug)]
pub struct Bites(Vec<AtomicU64>);

impl Default for Bites {
    fn default() -> Self {
        Self(Limit::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Bites {
    /// How often this one was met.
    pub fn count(&self, limit: Limit) -> u64 {
        self.of(limit).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(crate) fn add(&self, limit: Limit) {
        if let Some(count) = self.of(limit) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn of(&self, limit: Limit) -> Option<&AtomicU64> {
        self.0.get(limit as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work_and_what_cannot_work_is_named() {
        assert_eq!(Limits::default().check(), Ok(()));
        let small = Limits { receive_window: 70_000, ..Limits::default() };
        let said = small.check().unwrap_err().to_string();
        assert_eq!(said, "limit receive_window is 70000; it must be from 73732 to 16777216");
        let connection = Bounds { window_messages: 65, ..Bounds::default() };
        assert!(Limits { connection, ..Limits::default() }.check().is_err());
    }

    #[test]
    fn every_limit_is_counted_under_a_name_of_its_own() {
        let bites = Bites::default();
        for (limit, times) in Limit::ALL.iter().zip(1..) {
            (0..times).for_each(|_| bites.add(*limit));
        }
        let counts: Vec<_> = Limit::ALL.iter().map(|limit| bites.count(*limit)).collect();
        assert_eq!(counts, (1..=counts.len() as u64).collect::<Vec<_>>());
        let names: std::collections::BTreeSet<_> = Limit::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), Limit::ALL.len());
    }
}
