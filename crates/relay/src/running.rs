//! A relay that runs, as its operator sees it: metrics, health, status, and what it can be told.

use std::{
    io::{self, BufWriter, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{
    Notify,
    mpsc::{Receiver, Sender, channel},
};

use crate::{
    admin::Operated,
    command::{status::Status, unix_now},
    confine,
    limits::Limit,
    metrics::Metrics,
    node::{Gauges, now},
    store::{Source, backup::backup},
};

/// What is asked from outside, and what the running command tells it.
pub(crate) struct Running {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gauges: Gauges,
    pub(crate) store: Source,
    pub(crate) folder: PathBuf,
    /// Somebody wants it to stop.
    pub(crate) drain: Notify,
    pub(crate) backing_up: Arc<AtomicBool>,
    /// What does not change by itself, and the state.
    pub(crate) told: Mutex<Told>,
}

/// What the running command knows.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: Status,
    pub(crate) busy: Option<&'static str>,
    pub(crate) sick: Option<&'static str>,
}

impl Running {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what is looked at and not counted.
    pub(crate) fn look(&self) {
        let (metrics, gauges) = (&self.metrics, &self.gauges);
        let set = |gauge: &crate::metrics::Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        set(&metrics.connections, count(gauges.connections()));
        set(&metrics.handshakes, count(gauges.handshakes()));
        set(&metrics.subscriptions, count(gauges.subscribers()));
        set(&metrics.free, fs4::available_space(&self.folder).unwrap_or(0));
        set(&metrics.used, folder_bytes(&self.folder));
        let (memory, files) = confine::usage();
        set(&metrics.memory, memory);
        set(&metrics.descriptors, files);
        let told = self.told();
        metrics.ready.set(i64::from(told.busy.is_none() && told.sick.is_none()));
        drop(told);
        metrics.set_limited(gauges.bites());
    }
}

impl Operated for Running {
    fn sick(&self) -> Option<&'static str> {
        self.told().sick
    }

    fn busy(&self) -> Option<&'static str> {
        self.told().busy
    }

    fn metrics(&self) -> String {
        self.look();
        let mut text = String::new();
        // Half a page is worse than none: the scraper notices an empty one.
        if self.metrics.write(&mut text).is_err() {
            text.clear();
        }
        text
    }

    fn status(&self) -> String {
        self.look();
        let value = |gauge: &crate::metrics::Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        let (metrics, bites) = (&self.metrics, self.gauges.bites());
        let told = self.told();
        let limited = Limit::ALL.iter().map(|limit| (limit.name().to_owned(), bites.count(*limit)));
        let status = Status {
            state: told.sick.or(told.busy).unwrap_or("ready").to_owned(),
            connections: value(&metrics.connections),
            handshakes: value(&metrics.handshakes),
            subscriptions: value(&metrics.subscriptions),
            disk_free: value(&metrics.free),
            disk_floor: value(&metrics.floor),
            store_bytes: value(&metrics.used),
            memory: value(&metrics.memory),
            open_files: value(&metrics.descriptors),
            open_files_max: value(&metrics.descriptors_max),
            certificate_ends: metrics.certificate_ends.get(),
            backed_up: metrics.backed_up.get(),
            limited: limited.filter(|(_, count)| *count > 0).collect(),
            ..told.status.clone()
        };
        serde_json::to_string(&status).unwrap_or_default()
    }

    fn drain(&self) {
        self.drain.notify_one();
    }

    fn backup(&self) -> Result<Receiver<io::Result<Bytes>>, String> {
        if self.backing_up.swap(true, Ordering::AcqRel) {
            return Err("a backup is under way already; wait for it".to_owned());
        }
        let under_way = UnderWay(Arc::clone(&self.backing_up));
        let (parts, received) = channel(4);
        let (store, metrics) = (self.store.clone(), Arc::clone(&self.metrics));
        let read = move || {
            let _under_way = under_way;
            let mut out = BufWriter::with_capacity(PART_BYTES, Parts(parts.clone()));
            let sent = backup(&store, now(), &mut out)
                .map_err(|error| io::Error::other(error.to_string()));
            match sent.and_then(|_| out.flush()) {
                Ok(()) => {
                    metrics.backed_up.set(unix_now());
                    tracing::info!("a backup was read");
                }
                Err(error) => {
                    tracing::warn!("a backup broke off");
                    let _ = parts.blocking_send(Err(error));
                }
            }
        };
        let thread = std::thread::Builder::new().name("backup".into()).spawn(read);
        thread.map_err(|error| format!("no thread for it: {error}"))?;
        Ok(received)
    }
}

/// Bytes of a backup that are sent at once.
const PART_BYTES: usize = 256 * 1024;

/// One backup at a time, however the last one ended.
struct UnderWay(Arc<AtomicBool>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// What is written leaves in parts; who does not take them makes the writer wait.
struct Parts(Sender<io::Result<Bytes>>);

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes of all files in a folder and below; what cannot be looked at is nothing.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            // What it takes, and not what it says: journals have holes.
            Ok(metadata) => metadata.blocks().saturating_mul(512),
            Err(_) => 0,
        })
        .fold(0, u64::saturating_add)
}
