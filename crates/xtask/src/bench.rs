//! `cargo xtask bench AREA`: what we cost beside a peer, measured in one run, in interleaved rounds.
//!
//! Numbers are medians of this machine; the ratio is what counts.

mod core;
mod relay;

use std::{path::PathBuf, time::Instant};

use serde::Serialize;

use crate::Outcome;

/// Rounds of each row: one sample of ours, one of the peer's.
const ROUNDS: usize = 301;

/// How a benchmark is run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to measure: `core` or `relay`.
    area: String,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Of the relay: shorter rounds and a tenth of the messages.
    #[arg(long)]
    quick: bool,
    /// Of the relay: only the rows whose group is named so.
    #[arg(long, value_name = "GROUP")]
    only: Option<String>,
    /// Of the relay: this program, not one that is built for it.
    #[arg(long, value_name = "PATH")]
    relay: Option<PathBuf>,
    /// Of the relay, deposits alone: another build of it as one more peer.
    #[arg(long, value_name = "PATH")]
    beside: Option<PathBuf>,
}

/// One line of the result. Without a peer the target is for our own number, else for the ratio.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    ours: f64,
    peer: Option<f64>,
    peer_name: &'static str,
    unit: &'static str,
    ratio: Option<f64>,
    target: f64,
    /// Whether the target is the least that there should be; else it is the most.
    at_least: bool,
    met: bool,
    /// What helps to judge it: raw limits of the machine, costs.
    beside: Vec<Beside>,
}

/// A number that has no target.
#[derive(Clone, Serialize)]
struct Beside {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

/// What is measured.
enum Contest<'a> {
    Race(Race<'a>),
    Bound(Bound<'a>),
}

/// A number of ours that has a limit of its own.
struct Bound<'a> {
    name: &'static str,
    unit: &'static str,
    /// The number to stay under.
    target: f64,
    /// How often it is taken: once what is counted, the median of many of what is timed.
    rounds: usize,
    ours: Box<dyn FnMut() -> Result<f64, Failed> + 'a>,
}

/// A thing to measure: each call does `operations` of it and returns the microseconds one took.
struct Race<'a> {
    name: &'static str,
    /// The ratio to stay under.
    target: f64,
    ours: Box<dyn FnMut() -> Result<f64, Failed> + 'a>,
    peer: Box<dyn FnMut() -> Result<f64, Failed> + 'a>,
}

/// Whatever went wrong while measuring: there is no number then.
type Failed = Box<dyn std::error::Error>;

/// Measures the area and prints a table, or one JSON object a line.
pub(crate) fn run(options: &Options) -> Outcome {
    let area = options.area.as_str();
    if cfg!(debug_assertions) {
        eprintln!("note: a debug build; `cargo run --release -p xtask -- bench {area}` counts");
    }
    let json = options.json;
    match area {
        "core" => {
            header(json);
            for contest in core::contests()? {
                let row = match contest {
                    Contest::Race(race) => measure(race)?,
                    Contest::Bound(bound) => take(bound)?,
                };
                print(&row, json)?;
            }
            footer(core::PEER, json);
            Ok(())
        }
        "relay" => {
            header(json);
            relay::run(options, &mut |row| print(&row, json))?;
            footer(relay::PEERS, json);
            Ok(())
        }
        other => {
            Err(format!("no benchmark of {other}; there is one of core and one of relay").into())
        }
    }
}

#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
fn header(json: bool) {
    if !json {
        println!(
            "{:<44} {:>9} {:>9}  {:<5} {:>6} {:>9}  met",
            "", "ours", "peer", "unit", "ratio", "target"
        );
    }
}

#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
fn footer(peer: &str, json: bool) {
    if !json {
        println!("peer: {peer}");
    }
}

#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
fn print(row: &Row, json: bool) -> Outcome {
    if json {
        println!("{}", serde_json::to_string(row)?);
        return Ok(());
    }
    let Row { name, ours, peer, peer_name: _, unit, ratio, target, at_least, met, beside } = row;
    let met = if *met { "yes" } else { "no" };
    let [peer, ratio] = [peer, ratio].map(|it| it.map_or(String::new(), |it| format!("{it:.2}")));
    let bound = if *at_least { ">" } else { "" };
    let target = format!("{bound}{target:.2}");
    println!("{name:<44} {ours:>9.2} {peer:>9}  {unit:<5} {ratio:>6} {target:>9}  {met}");
    for Beside { name, value, unit } in beside {
        println!("    {name:<50} {value:>11.2}  {unit}");
    }
    Ok(())
}

fn measure(race: Race<'_>) -> Result<Row, Failed> {
    let Race { name, target, mut ours, mut peer } = race;
    let (mut mine, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // One round warms up.
    for round in 0..=ROUNDS {
        let (one, other) = (ours()?, peer()?);
        if round > 0 {
            mine.push(one);
            theirs.push(other);
            ratios.push(one / other);
        }
    }
    // Whatever else the machine does hits both halves of a round.
    let (ours, peer, ratio) = (median(mine), median(theirs), median(ratios));
    Ok(Row {
        name,
        ours: rounded(ours),
        peer: Some(rounded(peer)),
        peer_name: core::PEER,
        unit: "us",
        ratio: Some(rounded(ratio)),
        target,
        at_least: false,
        met: ratio <= target,
        beside: Vec::new(),
    })
}

fn take(bound: Bound<'_>) -> Result<Row, Failed> {
    let Bound { name, unit, target, rounds, mut ours } = bound;
    let samples: Result<Vec<f64>, Failed> = (0..rounds).map(|_| ours()).collect();
    let ours = rounded(median(samples?));
    let (peer, peer_name, ratio) = (None, core::PEER, None);
    let (at_least, met, beside) = (false, ours <= target, Vec::new());
    Ok(Row { name, ours, peer, peer_name, unit, ratio, target, at_least, met, beside })
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Microseconds that one of `operations` took.
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed<T>(operations: u32, work: impl FnOnce() -> Result<T, Failed>) -> Result<(f64, T), Failed> {
    let start = Instant::now();
    let result = work()?;
    let elapsed = start.elapsed();
    Ok((elapsed.as_secs_f64() * 1e6 / f64::from(operations), result))
}
