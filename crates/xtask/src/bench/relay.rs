//! The relay beside NATS JetStream and Redis: real processes on loopback, their data on one disk, the same payload and
//! the same number of requests under way for all, round by round in turn.
//!
//! Every program but the relay is spoken to with a few lines of its own text protocol ([`nats`], [`redis`]) over TCP, so
//! that the client costs next to nothing; the relay's client is quinn, which costs as much as a server does. Client and
//! server share the machine, so what a message costs the *server* stands beside each rate.

mod idle;
mod latency;
mod line;
mod load;
mod nats;
mod rates;
mod raw;
mod redis;
mod server;
mod storage;
mod tcp;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use super::{Beside, Failed, Options, Row, median, rounded};
use crate::{Outcome, codegen::root};
use server::Server;

/// Whom we are measured beside.
pub(super) const PEERS: &str = "nats-server with JetStream (R1, file storage) and redis-server (appendfsync always), \
    as installed, clear TCP on loopback";

/// What is sent, in bytes: a message of the smallest bucket.
const PAYLOAD: usize = 2048;
/// Requests under way of each sender.
const WINDOW: usize = 16;
/// Senders at once, each with a connection of its own.
const SENDERS: usize = 64;

/// Whatever went wrong, in a task or out of it.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What every group of rows is given.
struct Bench<'a> {
    runtime: Runtime,
    relay: PathBuf,
    beside: Option<PathBuf>,
    quick: bool,
    report: &'a mut dyn FnMut(Row) -> Outcome,
}

type Group = fn(&mut Bench<'_>) -> Result<(), Fault>;

/// The groups of rows, by name.
const GROUPS: [(&str, Group); 7] = [
    ("deposits", rates::deposits),
    ("delivered", rates::delivered),
    ("latency", latency::rows),
    ("amplification", storage::amplification),
    ("restart", storage::restart),
    ("idle", idle::connections),
    ("handshake", idle::handshakes),
];

/// Measures every row, or those of one group.
pub(super) fn run(options: &Options, report: &mut dyn FnMut(Row) -> Outcome) -> Result<(), Failed> {
    let relay = match &options.relay {
        Some(path) => path.canonicalize()?,
        None => build()?,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let beside = options.beside.as_ref().map(std::fs::canonicalize).transpose()?;
    let mut bench = Bench { runtime, relay, beside, quick: options.quick, report };
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let mut known = false;
    for (_, group) in GROUPS.into_iter().filter(|(name, _)| wanted(name)) {
        known = true;
        group(&mut bench).map_err(|fault| fault as Failed)?;
    }
    if known {
        return Ok(());
    }
    let names = GROUPS.map(|(name, _)| name).join(", ");
    Err(format!("no such group of rows; there are {names}").into())
}

/// The program that is shipped.
fn build() -> Result<PathBuf, Failed> {
    let arguments = ["build", "--release", "--locked", "-p", "chopmark-relay"];
    let built = Command::new(env!("CARGO")).current_dir(root()).args(arguments).status()?;
    if !built.success() {
        return Err("the relay does not build".into());
    }
    Ok(root().join("target/release/chopmark-relay"))
}

impl Bench<'_> {
    /// A fresh relay with an empty store.
    fn relay(&self) -> Result<Server, Fault> {
        Server::relay(&self.relay)
    }

    /// How often each side is measured, in turn.
    const fn rounds(&self) -> usize {
        if self.quick { 3 } else { 7 }
    }

    /// How long each side is measured in a round.
    const fn round_time(&self) -> Duration {
        if self.quick { Duration::from_millis(1500) } else { Duration::from_secs(3) }
    }

    fn row(&mut self, row: Row) -> Result<(), Fault> {
        (self.report)(row).map_err(|failed| failed.to_string().into())
    }
}

/// A row whose target is for the ratio of ours to the peer's, the median of the rounds'.
fn ratio_row(
    name: &'static str,
    unit: &'static str,
    peer_name: &'static str,
    rounds: &[(f64, f64)],
    (target, at_least): (f64, bool),
) -> Row {
    let of = |pick: fn(&(f64, f64)) -> f64| rounded(median(rounds.iter().map(pick).collect()));
    let ratio = of(|(ours, peer)| ours / peer);
    Row {
        name,
        ours: of(|(ours, _)| *ours),
        peer: Some(of(|(_, peer)| *peer)),
        peer_name,
        unit,
        ratio: Some(ratio),
        target,
        at_least,
        met: if at_least { ratio >= target } else { ratio <= target },
        beside: Vec::new(),
    }
}

/// A row whose target is for our own number.
fn own_row(name: &'static str, unit: &'static str, ours: f64, target: f64) -> Row {
    let (ours, target) = (rounded(ours), rounded(target));
    Row {
        name,
        ours,
        peer: None,
        peer_name: "",
        unit,
        ratio: None,
        target,
        at_least: false,
        met: ours <= target,
        beside: Vec::new(),
    }
}

const fn beside(name: &'static str, value: f64, unit: &'static str) -> Beside {
    Beside { name, value, unit }
}

/// The clock of all that is measured here.
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// A folder on the disk that is measured, gone when dropped. Not the system's own for temporary files, which may be in
/// memory.
fn folder() -> Result<tempfile::TempDir, Fault> {
    let within: &Path = &root().join("target");
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(within)?)
}

/// A payload that nobody has seen before and that does not compress; its first 16 bytes are to be filled in.
fn payload() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    (0..PAYLOAD / 8).flat_map(|_| next()).collect()
}

/// The sample below which `share` of all lie.
fn quantile(mut samples: Vec<f64>, share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = (samples.len() as f64 * share) as usize;
    samples.get(at.min(samples.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
