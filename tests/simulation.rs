//! Relay and clients in one deterministic world: time, network, disk and every fault come from a seed.
//!
//! The machines are the real ones: the relay's connections and its shelf with its records, the clients' halves. What is
//! simulated is what lies around them, and misbehaves in every way that the real thing can ([`fault::Fault`]). The books
//! ([`ledger`]) hold that every deposit that was answered `Stored` is shown once, in order for each sender, or is over by
//! its class; that a number, an id and a tombstone mean what SPEC §6.7 says; that memory and disk stay within their
//! bounds; and that everything comes to rest once nothing goes wrong.
//!
//! A seed that fails prints the line that runs it again, with a trace. `SIMULATION_SEEDS=100000` runs more of them.

mod disk;
mod fault;
mod ledger;
mod network;
mod owner;
mod relay;
mod sender;
mod world;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use world::{Report, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs these seeds on all cores; answers what they did all together.
fn run(seeds: std::ops::Range<u64>) -> Report {
    let (next, end) = (AtomicU64::new(seeds.start), seeds.end);
    let (total, failed) = (Mutex::new(Report::default()), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || failed.lock().unwrap().len() >= FAILURES_MAX {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| World::new(seed, false).run())) {
                        Ok(report) => total.lock().unwrap().add(report),
                        Err(_) => {
                            eprintln!(
                                "seed {seed} failed; run it again, with a trace:\n    {}",
                                again(seed)
                            );
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "seeds {failed:?} failed");
    total.into_inner().unwrap()
}

/// Kinds of faults that are counted.
const FAULTS: usize = 22;
/// So many failures tell enough.
const FAILURES_MAX: usize = 3;

fn again(seed: u64) -> String {
    format!(
        "SIMULATION_SEED={seed} cargo test -p chopmark-tests simulation::whatever -- --nocapture"
    )
}

impl Report {
    fn add(&mut self, other: Self) {
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.stored += other.stored;
        self.shown += other.shown;
        self.repeated += other.repeated;
        self.redelivered += other.redelivered;
        self.expired += other.expired;
    }
}

// Tests [stored-after-fsync], [no-answer-of-a-failed-batch], [dedupe-same-answer], [full-disk-takes-acks], [window],
// [bounded-in-flight]. Each bug of tests/mutants/simulation.toml was seen to make it fail.
#[test]
fn whatever_goes_wrong_what_is_stored_is_shown_once_and_everything_comes_to_rest() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let report = World::new(seed, true).run();
        eprintln!("seed {seed} held: {report:#?}");
        return;
    }
    let count = number("SIMULATION_SEEDS").unwrap_or(1_000);
    let report = run(0..count);
    println!("{count} seeds: {report:#?}");
    if count < 1_000 {
        return;
    }
    // A fault that does not occur tests nothing.
    let rare: BTreeMap<_, _> = report.faults.iter().filter(|(_, count)| **count < 25).collect();
    assert!(rare.is_empty() && report.faults.len() == FAULTS, "{rare:?} of {:?}", report.faults);
    let rare = [report.repeated, report.redelivered, report.expired].into_iter().min();
    assert!(rare > Some(count / 2), "{report:?}");
}

#[test]
fn a_seed_is_one_run() {
    for seed in [3, 14] {
        let runs = [(); 2].map(|()| format!("{:?}", World::new(seed, false).run()));
        assert_eq!(runs[0], runs[1]);
    }
}
