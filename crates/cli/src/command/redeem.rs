//! `chop redeem`.

use std::time::Duration;

use chopmark::Client;
use serde_json::json;

use crate::outcome::{Done, Failure};
use crate::show::{Show, plain};
use crate::when::span;

/// Take in a token.
#[derive(clap::Args)]
pub(crate) struct Redeem {
    /// The token, or `-` to read it from standard input.
    token: String,
    /// How long to wait for the issuer.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = span)]
    timeout: Duration,
}

impl Redeem {
    pub(crate) async fn run(self, client: &Client, show: Show) -> Done {
        let token = super::argument(self.token)?;
        match client.redeem(token.trim(), self.timeout).await? {
            Some(Ok(())) => {
                show.one(|| json!({"redeemed": true}), || "The money is yours.".to_owned())?;
                match show.is_json() {
                    true => Ok(()),
                    false => super::balance::run(client, show).await,
                }
            }
            Some(Err(why)) => {
                Err(Failure::refused(format!("the token was refused: {}", plain(&why))))
            }
            None => Err(Failure::not_in_time(
                "the issuer could not be reached in time: the token is kept and taken in with the next command or `chop listen`",
            )),
        }
    }
}
