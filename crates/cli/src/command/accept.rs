//! `chop accept`.

use chopmark::Client;
use serde_json::json;

use crate::outcome::{Done, Failure};
use crate::show::{Show, plain, short};

/// Accept someone who wrote to you.
#[derive(clap::Args)]
pub(crate) struct Accept {
    /// Who: the beginning of the id that `chop listen` or `chop contacts` shows.
    who: String,
    /// What you call them.
    name: Option<String>,
}

impl Accept {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let contact = crate::find::contact(client, &self.who).await?;
        let name = self.name.unwrap_or(contact.name);
        if !name.is_empty() {
            crate::find::new_name(client, &name, Some(contact.id)).await?;
        }
        client.accept(contact.id, &name).await?;
        let told = client.settled(super::PATIENCE).await?;
        show.one(
            || json!({"id": contact.id.to_string(), "name": name, "stored": told}),
            || match name.as_str() {
                "" => format!("Accepted {}.", short(&contact.id)),
                name => format!("Accepted {}.", plain(name)),
            },
        )?;
        match told {
            true => Ok(()),
            false => Err(Failure::not_in_time(
                "they could not be told in time: it goes on with the next command or `chop listen`",
            )),
        }
    }
}
