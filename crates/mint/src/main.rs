//! `chopmark-mint`: the issuer as a program.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    chopmark_mint::cli::run(chopmark_mint::cli::Args::parse())
}
