//! `chop demo`: the whole path on this machine, every statement checked while it runs.
//!
//! A relay and an issuer run as child processes of this executable, on loopback, with stores on disk; two people and a
//! thief are three clients of the SDK in this process. Nothing is simulated, and nothing that is reported is a constant:
//! what the last line says was seen. Everything waits for a bounded time and says which step it waited in.
//!
//! Start at [`Demo::run`]; the acts are in [`story`].

mod narrator;
mod person;
mod sight;
mod story;
mod thief;
mod worker;

use std::time::Duration;

use serde::Serialize;

use crate::outcome::{Done, Failure};
use crate::show::Show;
use narrator::Narrator;

/// The hidden commands under which this executable is a relay and an issuer.
pub(crate) const RELAY: &str = "__relay";
pub(crate) const MINT: &str = "__mint";

/// See the whole path run by itself.
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Keep the stores and say where they are.
    #[arg(long)]
    keep: bool,
}

/// What was seen.
#[derive(Debug, Serialize)]
struct Findings {
    messages_delivered: usize,
    delivered_after_relay_kill: usize,
    duplicates: usize,
    safety_numbers_match: bool,
    payment: &'static str,
    receipt_verified: bool,
    second_pay_same_receipt: bool,
    thief_refused: bool,
    supply_balanced: bool,
    envelope_sizes: Vec<usize>,
    elapsed_ms: u64,
}

impl Demo {
    pub(crate) async fn run(self, show: Show) -> Done {
        let narrator = Narrator::new(show.is_json());
        let folder = tempfile::Builder::new().prefix("chop-demo-").tempdir()?;
        let path = folder.path().to_owned();
        // However the story ends, its children end with it: they are killed as their handles are dropped, and when this
        // process is killed they notice that their standard input is closed.
        let told = tokio::select! {
            told = tokio::time::timeout(PATIENCE, story::tell(&path, &narrator)) => told,
            () = crate::command::interrupted() => Ok(Err(Failure::failed("interrupted"))),
        };
        if self.keep {
            let kept = folder.keep();
            narrator.say(&format!("The stores are kept in {}", kept.display()))?;
        } else {
            // A child that was killed a moment ago may hold its folder still; the system clears what is left.
            let _ = folder.close();
        }
        let findings = match told {
            Ok(Ok(findings)) => findings,
            Ok(Err(failure)) => return Err(narrator.failed(&failure)),
            Err(_) => return Err(narrator.failed(&Failure::failed("the time is over"))),
        };
        let (seconds, tenths) = (findings.elapsed_ms / 1000, findings.elapsed_ms % 1000 / 100);
        show.record(&findings, || format!("\nEverything held, in {seconds}.{tenths} s."))
    }
}

/// For the whole story; each step has less.
const PATIENCE: Duration = Duration::from_secs(120);
