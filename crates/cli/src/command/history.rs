//! `chop history`.

use chopmark::{Client, Direction, Progress, Revision};
use chopmark_core::time::Timestamp;
use serde_json::json;

use crate::outcome::Done;
use crate::show::{Show, plain};
use crate::when::date;

/// Print the conversation with a contact.
#[derive(clap::Args)]
pub(crate) struct History {
    /// With whom: your name for them, or the beginning of the id.
    with: String,
    /// Only the last so many messages.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
}

impl History {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let contact = crate::find::contact(client, &self.with).await?;
        let messages = client.history(contact.id).await?;
        let first = messages.len().saturating_sub(self.last.unwrap_or(usize::MAX));
        let them = if contact.name.is_empty() { "they" } else { &contact.name };
        let mut any = false;
        for message in messages.into_iter().skip(first) {
            any = true;
            let sent = message.direction == Direction::Sent;
            let progress = progress(message.progress);
            show.one(
                || {
                    json!({
                        "id": message.id.to_string(),
                        "direction": if sent { "sent" } else { "received" },
                        "sent_at_ms": message.sent_at_ms,
                        "text": message.text,
                        "progress": progress,
                        "revised": revised(message.revised),
                        "confirmed": message.confirmed,
                    })
                },
                || {
                    let who = if sent { "you".to_owned() } else { plain(them) };
                    let mark = match sent && message.progress != Progress::Delivered {
                        true => format!("  ({progress})"),
                        false => String::new(),
                    };
                    let doubt = if message.confirmed { "" } else { "  (not confirmed)" };
                    let at = date(Timestamp(message.sent_at_ms));
                    let said = match message.revised {
                        Revision::Original => plain(&message.text),
                        Revision::Edited => format!("{}  (edited)", plain(&message.text)),
                        _ => "(taken back)".to_owned(),
                    };
                    format!("{at}  {who}: {said}{mark}{doubt}")
                },
            )?;
        }
        if !any {
            show.text("Nothing yet.")?;
        }
        Ok(())
    }
}

const fn progress(progress: Progress) -> &'static str {
    match progress {
        Progress::Waiting => "waiting",
        Progress::Stored => "stored",
        Progress::Delivered => "delivered",
        _ => "unknown",
    }
}

const fn revised(revision: Revision) -> &'static str {
    match revision {
        Revision::Original => "no",
        Revision::Edited => "edited",
        Revision::Retracted => "retracted",
        _ => "unknown",
    }
}
