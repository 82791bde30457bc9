//! `chop send`.

use std::time::Duration;

use chopmark::{Client, Progress};
use serde_json::json;

use crate::outcome::{Done, Failure};
use crate::show::Show;
use crate::when::span;

/// Write to a contact.
#[derive(clap::Args)]
pub(crate) struct Send {
    /// To whom: your name for them, or the beginning of the id.
    to: String,
    /// What, or `-` to read it from standard input.
    text: String,
    /// Do not wait until the relay has it.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until the relay has it.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = span)]
    timeout: Duration,
}

impl Send {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let to = crate::find::contact(client, &self.to).await?;
        let text = super::argument(self.text)?;
        let id = client.send(to.id, &text).await?;
        let patience = if self.no_wait { Duration::ZERO } else { self.timeout };
        let reached = client.reached(to.id, id, Progress::Stored, patience).await?;
        let progress = if reached { "stored" } else { "waiting" };
        show.one(
            || json!({"id": id.to_string(), "to": to.id.to_string(), "progress": progress}),
            || match reached {
                true => "Stored at the relay.".to_owned(),
                false => "Kept here; it leaves when the relay can be reached.".to_owned(),
            },
        )?;
        match reached || self.no_wait {
            true => Ok(()),
            false => Err(Failure::not_in_time(
                "the relay could not be reached in time: the message is kept and leaves with the next command or `chop listen`",
            )),
        }
    }
}
