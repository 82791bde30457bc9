//! `chop balance`.

use chopmark::{Amount, Client};
use serde_json::json;

use crate::outcome::Done;
use crate::show::Show;

pub(crate) async fn run(client: &Client, show: Show) -> Done {
    let rows = client.balance().await?.into_iter().map(|balance| {
        let amount = |minor| Amount::new(minor, balance.unit.clone()).to_string();
        let object = json!({
            "issuer": balance.issuer.as_str(),
            "unit": balance.unit.code(),
            "exponent": balance.unit.exponent(),
            "spendable": balance.spendable,
            "reserved": balance.reserved,
            "locked": balance.locked,
            "incoming": balance.incoming,
        });
        let cells = [
            amount(balance.spendable),
            amount(balance.reserved),
            amount(balance.locked),
            amount(balance.incoming),
            balance.issuer.as_str().to_owned(),
        ];
        (object, cells)
    });
    let heads = ["SPENDABLE", "RESERVED", "LOCKED", "INCOMING", "ISSUER"];
    show.list(rows.collect(), heads, "This home has no issuer, and so no money.")
}
