//! `chop contacts`.

use chopmark::{Client, Hold, Stage};
use serde_json::json;

use crate::outcome::Done;
use crate::show::{Show, plain, short};

pub(crate) async fn run(client: &Client, show: Show) -> Done {
    let mut contacts = client.contacts().await?;
    contacts.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    let rows = contacts.into_iter().map(|contact| {
        let object = json!({
            "id": contact.id.to_string(),
            "name": contact.name,
            "stage": stage(contact.stage),
            "verified": contact.verified,
            "confirmed": contact.confirmed,
            "held": contact.hold.map(hold),
        });
        let verified = match (contact.hold, contact.verified) {
            (Some(held), _) => hold(held),
            (None, true) => "verified",
            (None, false) => "not verified",
        };
        let name = if contact.name.is_empty() { "-".to_owned() } else { plain(&contact.name) };
        (object, [name, short(&contact.id), stage(contact.stage).to_owned(), verified.to_owned()])
    });
    let nothing = "No contacts. `chop add LINK NAME` adds one, `chop link` lets one reach you.";
    show.list(rows.collect(), ["NAME", "ID", "STAGE", "SAFETY NUMBER"], nothing)
}

const fn hold(hold: Hold) -> &'static str {
    match hold {
        Hold::Recovered => "account restored: chop safety NAME --agree",
        Hold::TwoStories => "account tells two stories",
        _ => "held",
    }
}

pub(crate) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetching => "fetching",
        Stage::Knocked => "knocked",
        Stage::Waiting => "waiting",
        Stage::Accepted => "accepted",
        Stage::Rejected => "rejected",
        _ => "unknown",
    }
}
