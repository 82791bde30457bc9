//! `chop links`.

use chopmark::{Client, LinkUse};
use serde_json::json;

use crate::outcome::Done;
use crate::show::Show;

pub(crate) async fn run(client: &Client, show: Show) -> Done {
    let rows = client.links().await?.into_iter().map(|link| {
        let reusable = link.uses() == LinkUse::Reusable;
        let uses = if reusable { "reusable" } else { "one-time" };
        let object = json!({"link": link.to_string(), "reusable": reusable});
        (object, [uses.to_owned(), link.to_string()])
    });
    show.list(rows.collect(), ["USE", "LINK"], "No links. `chop link` makes one.")
}
