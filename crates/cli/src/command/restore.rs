//! `chop restore`: an account again, from its words.

use chopmark::Client;
use serde_json::json;
use zeroize::Zeroizing;

use super::init::{NewHome, vacant};
use crate::arguments::Global;
use crate::outcome::Done;
use crate::show::Show;

/// Make a home for an account that you have the 24 words of.
#[derive(clap::Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    home: NewHome,
    /// The 24 words; `-` reads them from standard input, and nothing else keeps them out of the shell's history.
    #[arg(value_name = "WORDS", default_value = "-")]
    words: String,
}

impl Restore {
    pub(crate) async fn run(self, global: &Global, show: Show) -> Done {
        let home = vacant(global)?;
        let setup = self.home.setup();
        let words = Zeroizing::new(super::argument(self.words)?);
        let client = Client::restore(&home, global.unlock(true)?, setup, &words).await?;
        let id = client.id().await?;
        let done = show.one(
            || json!({"home": home.display().to_string(), "id": id.to_string()}),
            || format!("Made {}\nYour id   {id}\n\n{WHAT_CAME_BACK}", home.display()),
        );
        client.close().await;
        done
    }
}

const WHAT_CAME_BACK: &str = "\
Your id is back, and with it your safety numbers. Nothing else is: no contacts, no messages, no links, no coins.
Add your contacts by their links, or give them a new one of yours. What they wrote and you never had comes again then.
Whoever compared the safety number with you is asked to agree before they write to you. Ask them to.
Do not use the home that you had before any more, if it still exists: your contacts drop its device.";
