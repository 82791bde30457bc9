//! Does the time of an operation tell of its secrets? Welch's t-test over two classes of inputs, in the manner of dudect
//! (Reparaz, Balasch and Verbauwhede, 2017): a |t| of 4.5 or more says that it does.
//!
//! `cargo run --release --bin dudect [samples]`, a million by default. The last operation compares in variable time and
//! must be found, or the machine is too noisy for the run to mean anything.

use core::hint::black_box;
use std::process::ExitCode;

use chopmark_core::{hazmat::header::Header, secret::Secret};

/// Above this the two classes differ.
const THRESHOLD: f64 = 4.5;

/// One operation with an input that was prepared before the clock starts.
struct Operation<T> {
    name: &'static str,
    prepare: fn(fixed: bool, &mut Random) -> T,
    run: fn(&T),
}

fn main() -> ExitCode {
    let samples = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse());
    let Ok(samples) = samples else {
        eprintln!("error: the number of samples is a number");
        return ExitCode::FAILURE;
    };
    let comparison = measure(
        &Operation { name: "comparison of secrets", prepare: two_secrets, run: compare },
        samples,
    );
    let header = measure(
        &Operation { name: "trial of a header key", prepare: trial, run: try_key },
        samples,
    );
    let planted = measure(
        &Operation { name: "planted: memcmp of secrets", prepare: two_secrets, run: compare_early },
        samples,
    );
    if planted < THRESHOLD {
        eprintln!("error: the planted comparison was not found: too few samples, or too noisy");
        return ExitCode::FAILURE;
    }
    match comparison.max(header) < THRESHOLD {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The class that is fixed holds the same secret twice; the other one a random one beside it.
fn two_secrets(fixed: bool, random: &mut Random) -> (Secret, Secret) {
    let other = random.array();
    (Secret::new([7; 32]), Secret::new(if fixed { [7; 32] } else { other }))
}

fn compare((one, other): &(Secret, Secret)) {
    black_box(black_box(one) == black_box(other));
}

fn compare_early((one, other): &(Secret, Secret)) {
    let (one, other) = (black_box(one.expose()), black_box(other.expose()));
    black_box(one.iter().zip(other).all(|(one, other)| one == other));
}

/// A wrong header key either way, fixed or random: the header is refused, and the time must not tell which key it was.
fn trial(fixed: bool, random: &mut Random) -> ([u8; 32], [u8; 72], [u8; 16]) {
    let other = random.array();
    (if fixed { [0; 32] } else { other }, [3; 72], [4; 16])
}

fn try_key((key, sealed, tag): &([u8; 32], [u8; 72], [u8; 16])) {
    black_box(Header::open(black_box(key), black_box(sealed), black_box(tag)).is_some());
}

/// The largest |t| over all measurements and over those that are left when the slowest are cut off, in steps.
fn measure<T>(operation: &Operation<T>, samples: usize) -> f64 {
    let mut random = Random(0x5eed);
    let mut times: Vec<(bool, u64)> = Vec::with_capacity(samples);
    const BATCH: usize = 512;
    while times.len() < samples {
        let inputs: Vec<(bool, T)> = (0..BATCH)
            .map(|_| {
                let fixed = random.next() & 1 == 1;
                (fixed, (operation.prepare)(fixed, &mut random))
            })
            .collect();
        for (fixed, input) in &inputs {
            let before = cycles();
            (operation.run)(input);
            times.push((*fixed, cycles().saturating_sub(before)));
        }
    }
    let mut sorted: Vec<u64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_unstable();
    let mut largest = 0.0_f64;
    for cut in [50, 75, 90, 95, 99, 100] {
        let limit = sorted[(sorted.len() - 1) * cut / 100];
        largest = largest.max(welch(times.iter().filter(|(_, time)| *time <= limit)).abs());
    }
    let verdict = if largest < THRESHOLD { "no difference" } else { "DIFFERS" };
    let median = sorted[sorted.len() / 2];
    println!(
        "{:28} {samples} samples, median {median} cycles, max |t| {largest:.2}: {verdict}",
        operation.name
    );
    largest
}

/// Welch's statistic of the two classes.
fn welch<'a>(times: impl Iterator<Item = &'a (bool, u64)>) -> f64 {
    // Count, mean and sum of squared differences, by Welford.
    let mut classes = [(0.0_f64, 0.0_f64, 0.0_f64); 2];
    for (fixed, time) in times {
        let (count, mean, squares) = &mut classes[usize::from(*fixed)];
        let time = *time as f64;
        *count += 1.0;
        let difference = time - *mean;
        *mean += difference / *count;
        *squares += difference * (time - *mean);
    }
    let [one, other] = classes;
    if one.0 < 100.0 || other.0 < 100.0 {
        return 0.0;
    }
    let error = |class: (f64, f64, f64)| class.2 / (class.0 - 1.0) / class.0;
    let spread = (error(one) + error(other)).sqrt();
    if spread == 0.0 { 0.0 } else { (one.1 - other.1) / spread }
}

/// The cycle counter, with nothing reordered around it.
fn cycles() -> u64 {
    // SAFETY: both instructions exist on every x86-64 and touch no memory.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        let cycles = core::arch::x86_64::_rdtsc();
        core::arch::x86_64::_mm_lfence();
        cycles
    }
}

/// SplitMix64: inputs to measure with, no secrets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn array(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.iter_mut().for_each(|byte| *byte = self.next() as u8);
        bytes
    }
}
