//! `chop add`.

use std::time::Duration;

use chopmark::{Client, ContactLink, Stage};
use serde_json::json;

use crate::outcome::{Done, Failure};
use crate::show::{Show, plain};
use crate::when::span;

/// Add the owner of a link.
#[derive(clap::Args)]
pub(crate) struct Add {
    /// The link they gave you, or `-` to read it from standard input.
    link: String,
    /// What you call them. They do not learn it.
    name: String,
    /// How long to wait until their relay has our first message.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = span)]
    timeout: Duration,
}

impl Add {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let text = super::argument(self.link)?;
        let link: ContactLink = text.parse().map_err(chopmark::Error::Link)?;
        let id = chopmark::ContactId::from(*link.account_id());
        crate::find::new_name(client, &self.name, Some(id)).await?;
        let id = client.add(&link, &self.name).await?;
        let settled = client.settled(self.timeout).await?;
        let contacts = client.contacts().await?;
        let stage = contacts.iter().find(|it| it.id == id).map(|it| it.stage);
        let name = plain(&self.name);
        if stage == Some(Stage::Fetching) {
            return Err(match settled {
                true => Failure::refused(
                    "the link does not work: it was revoked, is used up or was altered; ask for a new one",
                ),
                false => Failure::not_in_time(format!(
                    "the relay of {name} could not be reached in time: it is tried again with the next command or `chop listen`"
                )),
            });
        }
        show.one(
            || json!({"id": id.to_string(), "name": self.name, "stored": settled}),
            || format!("Added {name}. Compare the safety number when you can: chop safety {name}"),
        )?;
        match settled {
            true => Ok(()),
            false => Err(Failure::not_in_time(
                "the first message could not be delivered to the relay in time: it is tried again with the next command or `chop listen`",
            )),
        }
    }
}
