//! `chop`: Chopmark from a terminal.
//!
//! One command, one file in `command/`; each opens a home with the SDK, does one thing, prints it and says in its exit
//! code how it ended. Nothing here knows keys, frames or coins.
//!
//! Start at [`arguments`]; `chop demo` is in [`demo`].

mod arguments;
mod command;
mod demo;
mod find;
mod home;
mod outcome;
mod qr;
mod show;
mod when;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::show::Show;

fn main() -> ExitCode {
    // The relay and the issuer of `chop demo` are this executable again. They parse their own command lines and start
    // their own runtimes, so they come before ours.
    let mut words = std::env::args_os();
    let _program = words.next();
    match words.next().and_then(|word| word.into_string().ok()).as_deref() {
        Some(demo::RELAY) => {
            let args = std::iter::once("chopmark-relay".into()).chain(words);
            return chopmark_relay::cli::run(chopmark_relay::cli::Args::parse_from(args));
        }
        Some(demo::MINT) => {
            let args = std::iter::once("chopmark-mint".into()).chain(words);
            return chopmark_mint::cli::run(chopmark_mint::cli::Args::parse_from(args));
        }
        _ => {}
    }
    let arguments = Arguments::parse();
    log(arguments.global.verbose);
    let show = Show::new(arguments.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return outcome::Failure::from(error).report(),
    };
    let done = runtime.block_on(command::run(arguments, &show));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn log(verbose: u8) {
    let filter = match verbose {
        0 => return,
        1 => "chopmark=info",
        2 => "chopmark=debug",
        _ => "trace",
    };
    // A second subscriber cannot be: nothing ran before.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .try_init();
}
