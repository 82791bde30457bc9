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

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::show::Show;

fn main() -> ExitCode {
    if let Some(code) = child() {
        return code;
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

/// The relay and the issuer of `chop demo` are this executable again. They parse their own command lines and start their
/// own runtimes, so they come before ours.
fn child() -> Option<ExitCode> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (first, rest) = words.split_first()?;
    let line = |program: &str| std::iter::once(program.into()).chain(rest.iter().cloned());
    // What serves ends when the demo does, even if that was killed: the pipe to its standard input closes.
    if rest.first().is_some_and(|word| word == "run")
        && (first == demo::RELAY || first == demo::MINT)
    {
        std::thread::spawn(|| {
            let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    match first.to_str()? {
        demo::RELAY => {
            let args = chopmark_relay::cli::Args::parse_from(line("chopmark-relay"));
            Some(chopmark_relay::cli::run(args))
        }
        demo::MINT => {
            let args = chopmark_mint::cli::Args::parse_from(line("chopmark-mint"));
            Some(chopmark_mint::cli::run(args))
        }
        _ => None,
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
