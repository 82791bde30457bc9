//! `cargo xtask bench AREA`: what we cost beside a peer, measured in one process, in interleaved rounds.
//!
//! Numbers are medians of this machine; the ratio is what counts.

mod core;

use std::time::Instant;

use serde::Serialize;

use crate::Outcome;

/// Rounds of each row: one sample of ours, one of the peer's.
const ROUNDS: usize = 301;

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
    met: bool,
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

/// Measures `area` and prints a table, or one JSON object a line.
#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
pub(crate) fn run(area: &str, json: bool) -> Outcome {
    let contests = match area {
        "core" => core::contests()?,
        other => return Err(format!("no benchmark of {other}; there is one of core").into()),
    };
    if cfg!(debug_assertions) {
        eprintln!("note: a debug build; `cargo run --release -p xtask -- bench {area}` counts");
    }
    if !json {
        println!(
            "{:<44} {:>9} {:>9}  {:<5} {:>6} {:>9}  met",
            "", "ours", "peer", "unit", "ratio", "target"
        );
    }
    for contest in contests {
        let row = match contest {
            Contest::Race(race) => measure(race)?,
            Contest::Bound(bound) => take(bound)?,
        };
        if json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            let Row { name, ours, peer, peer_name: _, unit, ratio, target, met } = row;
            let met = if met { "yes" } else { "no" };
            let [peer, ratio] =
                [peer, ratio].map(|it| it.map_or(String::new(), |it| format!("{it:.2}")));
            println!("{name:<44} {ours:>9.2} {peer:>9}  {unit:<5} {ratio:>6} {target:>9.2}  {met}");
        }
    }
    if !json {
        println!("peer: {}", core::PEER);
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
        met: ratio <= target,
    })
}

fn take(bound: Bound<'_>) -> Result<Row, Failed> {
    let Bound { name, unit, target, rounds, mut ours } = bound;
    let samples: Result<Vec<f64>, Failed> = (0..rounds).map(|_| ours()).collect();
    let ours = rounded(median(samples?));
    let (peer, peer_name, ratio) = (None, core::PEER, None);
    Ok(Row { name, ours, peer, peer_name, unit, ratio, target, met: ours <= target })
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
