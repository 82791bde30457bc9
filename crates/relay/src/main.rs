//! The relay's program: `chopmark-relay`.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    chopmark_relay::cli::run(chopmark_relay::cli::Args::parse())
}
