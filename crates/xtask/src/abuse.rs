//! The floods of `crates/relay/tests/process/abuse.rs`, large and on a release build.

use std::process::Command;

use crate::Outcome;

/// Runs every flood, one after another, this many times as large as the tests do.
pub(crate) fn run(scale: usize) -> Outcome {
    let status = Command::new(env!("CARGO"))
        .args(["test", "--release", "-p", "chopmark-relay", "--test", "process", "abuse"])
        .args(["--", "--nocapture", "--test-threads=1"])
        .env("CHOPMARK_ABUSE", scale.to_string())
        .status()?;
    if status.success() { Ok(()) } else { Err("a flood was not withstood".into()) }
}
