//! What the relay counts: every metric in one table, and handles that cost an atomic addition.
//!
//! A metric is of the relay as a whole. No label holds an address, a prefix or an identifier (SPEC §6.8
//! [log-names-nobody]); the only label is the name of a limit.
//!
//! Start at [`Metrics`].

use std::{fmt, sync::atomic::Ordering};

pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::family::Family,
    registry::Registry,
};

use crate::limits::{Bites, Limit};

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// As it is scraped.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it tells.
    pub about: &'static str,
}

/// Makes the struct of handles, the table of names, and the registry from the same lines.
macro_rules! metrics {
    (@kind Counter) => { "counter" };
    (@kind Gauge) => { "gauge" };
    (@kind Histogram) => { "histogram" };
    (@make Histogram $buckets:expr) => { Histogram::new($buckets) };
    (@make $kind:ident) => { $kind::default() };
    (@name Counter $name:literal) => { concat!("chopmark_relay_", $name, "_total") };
    (@name $kind:ident $name:literal) => { concat!("chopmark_relay_", $name) };
    ($($(#[doc = $about:literal])+ $handle:ident: $kind:ident($name:literal $(, $buckets:expr)?);)+) => {
        /// The handles of all metrics, and the registry that writes them out. Shared as an `Arc`.
        pub struct Metrics {
            registry: Registry,
            limited: Vec<Counter>,
            $($(#[doc = $about])+ pub $handle: $kind,)+
        }

        impl Metrics {
            /// The table.
            pub const TABLE: &[Metric] = &[
                Metric {
                    name: "chopmark_relay_limited_total",
                    kind: "counter",
                    about: "How often each limit was met, by limit.",
                },
                $(Metric {
                    name: metrics!(@name $kind $name),
                    kind: metrics!(@kind $kind),
                    about: concat!($($about),+).trim_ascii(),
                },)+
            ];

            /// Everything at zero.
            pub fn new() -> Self {
                let mut registry = Registry::with_prefix("chopmark_relay");
                let limited = register_limited(&mut registry);
                $(
                    let $handle: $kind = metrics!(@make $kind $($buckets)?);
                    // The registry ends the sentence.
                    let about = concat!($($about),+).trim_ascii().trim_end_matches('.');
                    registry.register($name, about, $handle.clone());
                )+
                Self { registry, limited, $($handle,)+ }
            }
        }
    };
}

metrics! {
    /// 1 once the relay serves, 0 while it starts and drains.
    ready: Gauge("ready");
    /// When the process started, in seconds of Unix time.
    started: Gauge("start_time_seconds");
    /// Connections that are open.
    connections: Gauge("connections");
    /// Handshakes that are under way.
    handshakes: Gauge("handshakes");
    /// Connections that came through their handshake.
    connected: Counter("connected");
    /// Connections that did not come through their handshake.
    handshakes_failed: Counter("handshakes_failed");
    /// Mailboxes that are listened to.
    subscriptions: Gauge("subscriptions");
    /// Deposits that were stored.
    stored: Counter("messages_stored");
    /// Deposits that were known already, and answered again.
    repeated: Counter("messages_repeated");
    /// Requests that were refused, deposits and others.
    refused: Counter("requests_refused");
    /// Messages that were handed to their owners, and again to one that came back before it acknowledged.
    delivered: Counter("messages_delivered");
    /// Messages that their owners acknowledged.
    acknowledged: Counter("messages_acknowledged");
    /// Batches that the writer committed.
    batches: Counter("store_batches");
    /// Requests of those batches.
    requests: Counter("store_requests");
    /// How long a batch took until it was on disk, in seconds.
    commit_seconds: Histogram("store_commit_seconds", COMMIT_SECONDS.iter().copied());
    /// Batches that met a full disk.
    full: Counter("store_full");
    /// Free bytes on the disk of the data folder.
    free: Gauge("disk_free_bytes");
    /// Free bytes below which no message is taken.
    floor: Gauge("disk_floor_bytes");
    /// Bytes of the data folder.
    used: Gauge("store_bytes");
    /// Files and sockets that are open.
    descriptors: Gauge("open_files");
    /// Files and sockets that may be open.
    descriptors_max: Gauge("open_files_max");
    /// Resident memory, in bytes.
    memory: Gauge("resident_memory_bytes");
    /// When the certificate ends, in seconds of Unix time.
    certificate_ends: Gauge("certificate_expiry_seconds");
    /// Certificates that were taken into use since the start.
    certificates: Counter("certificate_swaps");
    /// Changed certificates that could not be taken into use.
    certificates_failed: Counter("certificate_failures");
    /// Times that settings were read again and taken.
    reloads: Counter("reloads");
    /// Times that settings were read again and not taken, for they were wrong.
    reloads_failed: Counter("reload_failures");
    /// When the last backup of this process was complete, in seconds of Unix time; 0 for none.
    backed_up: Gauge("last_backup_seconds");
}

/// Bounds of the buckets: a good disk to a dying one.
const COMMIT_SECONDS: [f64; 10] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    limit: &'static str,
}

/// Every limit, met or not, so that an alert sees the first time.
fn register_limited(registry: &mut Registry) -> Vec<Counter> {
    let family = Family::<Label, Counter>::default();
    registry.register("limited", "How often each limit was met, by limit", family.clone());
    let counter = |limit: &Limit| family.get_or_create_owned(&Label { limit: limit.name() });
    Limit::ALL.iter().map(counter).collect()
}

impl Metrics {
    /// Takes over how often each limit was met.
    pub fn set_limited(&self, bites: &Bites) {
        for (counter, limit) in self.limited.iter().zip(Limit::ALL) {
            // The same number, whoever else looks meanwhile.
            counter.inner().store(bites.count(*limit), Ordering::Relaxed);
        }
    }

    /// Everything, in the text format that Prometheus scrapes (OpenMetrics 1.0).
    ///
    /// # Errors
    /// When the text cannot grow.
    pub fn write(&self, to: &mut String) -> Result<(), fmt::Error> {
        text::encode(to, &self.registry)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    // Seen to fail with a line of the table that was not registered.
    #[test]
    fn what_is_scraped_is_what_the_table_says_and_all_of_it() {
        let metrics = Metrics::new();
        metrics.commit_seconds.observe(0.004);
        let bites = Bites::default();
        bites.add(Limit::SlowReaders);
        bites.add(Limit::SlowReaders);
        metrics.set_limited(&bites);
        metrics.set_limited(&bites);
        metrics.free.set(1 << 40);
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        let scraped: BTreeSet<(String, &str)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .filter_map(|line| line.split_once(' '))
            .map(|(name, kind)| {
                (format!("{name}{}", if kind == "counter" { "_total" } else { "" }), kind)
            })
            .collect();
        let table: BTreeSet<(String, &str)> =
            Metrics::TABLE.iter().map(|line| (line.name.to_owned(), line.kind)).collect();
        assert_eq!(table, scraped);
        assert_eq!(table.len(), Metrics::TABLE.len(), "a name stands twice");
        assert!(text.contains("\nchopmark_relay_disk_free_bytes 1099511627776\n"), "{text}");
        assert!(text.ends_with("# EOF\n"));
        for limit in Limit::ALL {
            let count = if *limit == Limit::SlowReaders { 2 } else { 0 };
            let line =
                format!("chopmark_relay_limited_total{{limit=\"{}\"}} {count}\n", limit.name());
            assert!(text.contains(&line), "{line}");
        }
        for line in Metrics::TABLE {
            assert!(line.about.ends_with('.'), "{}", line.name);
        }
    }
}
