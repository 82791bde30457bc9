//! `chop reject`.

use chopmark::Client;
use serde_json::json;

use crate::find::called;
use crate::outcome::Done;
use crate::show::Show;

/// Reject someone.
#[derive(clap::Args)]
pub(crate) struct Reject {
    /// Who: your name for them, or the beginning of the id.
    who: String,
}

impl Reject {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let contact = crate::find::contact(client, &self.who).await?;
        client.reject(contact.id).await?;
        // The own relay forgets their way to us; if it cannot be reached now, later.
        client.settled(super::PATIENCE).await?;
        show.one(
            || json!({"id": contact.id.to_string(), "rejected": true}),
            || format!("Rejected {}. They are told nothing.", called(&contact)),
        )
    }
}
