//! The relay and the issuer: this executable again, as child processes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{MINT, RELAY};
use crate::outcome::{Done, Failure};

/// A running child. Dropped, it is killed.
pub(super) struct Worker {
    child: Child,
    /// The first line that it printed: where it is reached.
    pub(super) address: String,
    pub(super) data: PathBuf,
    what: &'static str,
}

impl Worker {
    /// A relay on this port of loopback, or on any.
    pub(super) async fn relay(data: &Path, port: u16) -> Done<Self> {
        Self::start("relay", RELAY, data, port).await
    }

    /// An issuer on any port of loopback.
    pub(super) async fn issuer(data: &Path) -> Done<Self> {
        Self::start("issuer", MINT, data, 0).await
    }

    async fn start(what: &'static str, command: &str, data: &Path, port: u16) -> Done<Self> {
        let log =
            std::fs::File::options().create(true).append(true).open(data.with_extension("log"))?;
        let mut child = ourselves()?
            .args([command, "run", "--dev", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take();
        let mut lines =
            BufReader::new(stdout.ok_or_else(|| Failure::failed("a child without an output"))?)
                .lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let address = match first {
            Ok(Ok(Some(address))) => address,
            _ => {
                let said = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing");
                return Err(Failure::failed(format!("the {what} did not start: {last}")));
            }
        };
        Ok(Self { child, address, data: data.to_owned(), what })
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(super) async fn kill(mut self) -> Done {
        self.child.kill().await?;
        Ok(())
    }

    /// The port that it listens on.
    pub(super) fn port(&self) -> Done<u16> {
        let address = self.address.split('#').next().unwrap_or_default();
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
        port.ok_or_else(|| Failure::failed(format!("the {} has no port", self.what)))
    }

    /// Runs a command of the issuer's operator, and reads the object that it prints.
    pub(super) async fn operate(&self, words: &[&str]) -> Done<Value> {
        let mut command = ourselves()?;
        command.arg(MINT).args(words).arg("--json").arg("--data").arg(&self.data);
        let output = tokio::time::timeout(PATIENCE, command.output())
            .await
            .map_err(|_| Failure::failed("the issuer's operator waited too long"))??;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it said nothing").to_owned();
            Failure::failed(format!("the issuer did not do what its operator asked: {last}"))
        })
    }
}

fn ourselves() -> Done<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // The pipe closes when this process ends, however it ends; the child watches it.
    command.stdin(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

const PATIENCE: Duration = Duration::from_secs(15);
