//! `chop safety`.

use chopmark::Client;
use serde_json::json;

use crate::outcome::Done;
use crate::show::{Show, plain};

/// Show the safety number with a contact.
#[derive(clap::Args)]
pub(crate) struct Safety {
    /// With whom: your name for them, or the beginning of the id.
    with: String,
    /// Note that you compared it and it is the same.
    #[arg(long, conflicts_with = "not_verified")]
    verified: bool,
    /// Note that it no longer counts as compared.
    #[arg(long)]
    not_verified: bool,
    /// Their account was restored since you compared it: you asked them, and go on. It counts as compared no more.
    #[arg(long, conflicts_with_all = ["verified", "not_verified"])]
    agree: bool,
}

impl Safety {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let contact = crate::find::contact(client, &self.with).await?;
        if self.verified || self.not_verified {
            client.set_verified(contact.id, self.verified).await?;
        }
        if self.agree {
            client.agree_to_recovery(contact.id).await?;
        }
        let verified = self.verified || contact.verified && !self.not_verified;
        let number = client.safety_number(contact.id).await?;
        show.one(
            || json!({"id": contact.id.to_string(), "digits": number.digits(), "verified": verified}),
            || {
                let groups: Vec<_> = number.digits().split(' ').map(str::to_owned).collect();
                let lines: Vec<_> = groups.chunks(4).map(|line| line.join(" ")).collect();
                let name = if contact.name.is_empty() { "them" } else { &contact.name };
                let name = plain(name);
                let says = match verified {
                    true => format!("You compared it with {name}."),
                    false => format!(
                        "Compare it with {name} by voice or side by side. The same: chop safety {name} --verified"
                    ),
                };
                format!("  {}\n\n{says}", lines.join("\n  "))
            },
        )
    }
}
