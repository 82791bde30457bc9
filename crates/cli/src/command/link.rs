//! `chop link` and `chop link revoke`.

use std::time::Duration;

use chopmark::{Client, ContactLink, LinkUse};
use serde_json::json;

use crate::outcome::{Done, Failure};
use crate::qr;
use crate::show::Show;
use crate::when::span;

/// Make a link by which someone can reach you; or revoke one.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Link {
    #[command(subcommand)]
    action: Option<Action>,
    /// Make a link that may be printed and used by many; you accept each of them.
    #[arg(long)]
    reusable: bool,
    /// How long to wait until the relay has it.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = span)]
    timeout: Duration,
}

#[derive(clap::Subcommand)]
enum Action {
    /// End a link: nobody can reach you by it any more. Contacts made by it stay.
    Revoke {
        /// The link, or `-` to read it from standard input.
        link: String,
    },
}

impl Link {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        match self.action {
            Some(Action::Revoke { link }) => revoke(client, &super::argument(link)?, show).await,
            None => make(client, self.reusable, self.timeout, show).await,
        }
    }
}

async fn make(client: &Client, reusable: bool, patience: Duration, show: Show) -> Done {
    let uses = if reusable { LinkUse::Reusable } else { LinkUse::OneTime };
    let link = client.link(uses).await?;
    let ready = client.settled(patience).await?;
    show.one(
        || json!({"link": link.to_string(), "qr": link.to_qr_text(), "reusable": reusable, "ready": ready}),
        || {
            let code = qr::render(link.to_qr_text().as_bytes()).unwrap_or_default();
            let who = if reusable {
                "Whoever has this link can write to you; you accept each of them. `chop link revoke` ends it."
            } else {
                "This link is for one person, and for one use."
            };
            format!("{code}\n\n{link}\n\n{who}")
        },
    )?;
    match ready {
        true => Ok(()),
        false => Err(Failure::not_in_time(
            "your relay could not be reached in time: the link works once it was, with the next command or `chop listen`",
        )),
    }
}

async fn revoke(client: &Client, link: &str, show: Show) -> Done {
    let link: ContactLink = link.parse().map_err(chopmark::Error::Link)?;
    client.revoke_link(&link).await?;
    let told = client.settled(super::PATIENCE).await?;
    show.one(|| json!({"revoked": true, "ready": told}), || "The link is revoked.".to_owned())?;
    match told {
        true => Ok(()),
        false => Err(Failure::not_in_time(
            "your relay could not be reached in time: it is told with the next command or `chop listen`",
        )),
    }
}
