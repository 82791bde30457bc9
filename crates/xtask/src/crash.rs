//! The crash sweep of the relay's program, longer than in the tests.

use std::process::Command;

use crate::{Outcome, codegen::root};

/// Kills the relay so many times, and cuts its power a quarter as often, under load.
#[allow(clippy::print_stdout, reason = "its result is for the person who ran it")]
pub(crate) fn run(count: u32) -> Outcome {
    let status = Command::new(env!("CARGO"))
        .args(["test", "-p", "chopmark-relay", "--test", "process", "t52_"])
        .args(["--", "--nocapture", "--test-threads=1"])
        .env("CRASHES", count.to_string())
        .env("POWER_CUTS", (count / 4).max(1).to_string())
        .current_dir(root())
        .status()?;
    if !status.success() {
        return Err("something that was stored is lost, or was shown twice; see above".into());
    }
    println!("{count} kills and {} power cuts: nothing was lost, nothing came twice", count / 4);
    Ok(())
}
