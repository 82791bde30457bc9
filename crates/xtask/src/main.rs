//! Chores of the workspace: `cargo xtask codegen`, `abuse`, `attacks`, `crash`, `mutants`, `bench`, `seeds`, `vectors`.
//!
//! Nothing that is shipped depends on this package.

mod abuse;
mod attacks;
mod bench;
mod codegen;
mod crash;
mod mutants;
mod seeds;
mod shapes;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Flood a relay on loopback in eight ways, and print what each costs it and others.
    Abuse {
        /// How many times as large as in the tests.
        #[arg(default_value_t = 50)]
        scale: usize,
    },
    /// Write crates/wire/src/generated/ from proto/.
    Codegen {
        /// Write nothing; fail if what is checked in differs from what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Run the tests of every covered attack, and say how many there are.
    Attacks,
    /// Kill a relay at random instants under load, cut its power, and see that nothing is lost and nothing comes twice.
    Crash {
        /// How many kills; a quarter as many power cuts.
        #[arg(default_value_t = 1_000)]
        count: u32,
    },
    /// Measure an area beside a peer.
    Bench(bench::Options),
    /// Break each defence that tests/mutants/ names, one at a time, and see its tests fail.
    Mutants {
        /// Only those whose name, area or broken file contains this.
        #[arg(default_value = "")]
        filter: String,
    },
    /// Write the seeds of the fuzz targets to fuzz/corpus/.
    Seeds,
    /// Compare tests/vectors/ with what the code gives, and count.
    Vectors {
        /// Write the files instead.
        #[arg(long)]
        write: bool,
    },
}

/// What a chore ends with: a line for the person who ran it.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let outcome = match Xtask::parse().chore {
        Chore::Abuse { scale } => abuse::run(scale),
        Chore::Codegen { check: true } => codegen::check(),
        Chore::Codegen { check: false } => codegen::write(),
        Chore::Attacks => attacks::run(),
        Chore::Crash { count } => crash::run(count),
        Chore::Bench(options) => bench::run(&options),
        Chore::Mutants { filter } => mutants::run(&filter),
        Chore::Seeds => seeds::write(),
        Chore::Vectors { write } => vectors::run(write),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
