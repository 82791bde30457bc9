//! `chop init`: a new home.

use std::path::PathBuf;

use chopmark::{Client, Setup, Unit};
use serde_json::json;

use crate::arguments::Global;
use crate::outcome::{Done, Failure};
use crate::show::Show;

/// Make a home.
#[derive(clap::Args)]
pub(crate) struct Init {
    #[command(flatten)]
    home: NewHome,
}

/// What every new home is told.
#[derive(clap::Args)]
pub(super) struct NewHome {
    /// The relay that keeps your mailbox: chop-relay:host:port#hash
    #[arg(long, value_name = "ADDR")]
    relay: String,
    /// An issuer whose coins you take; no other is ever called.
    #[arg(long, value_name = "URL")]
    issuer: Vec<String>,
    /// What its coins count in, and with how many decimals.
    #[arg(long, value_name = "CODE:DECIMALS", default_value = "chop:2", value_parser = unit)]
    unit: Unit,
    /// Claim what comes in at once, as a shop does, instead of after a while that hides which payment a claim is for.
    #[arg(long)]
    merchant: bool,
}

impl NewHome {
    pub(super) fn setup(&self) -> Setup {
        let setup = Setup::new(&self.relay).merchant(self.merchant);
        let unit = &self.unit;
        let add = |setup: Setup, url: &String| setup.issuer(url, unit.code(), unit.exponent());
        self.issuer.iter().fold(setup, add)
    }
}

/// The directory of a home that is to be made: it holds none yet.
pub(super) fn vacant(global: &Global) -> Done<PathBuf> {
    let home = global.directory()?;
    if Client::exists(&home) {
        return Err(Failure::failed(format!(
            "there is a home in {} already: use it, or choose another with --home",
            home.display()
        )));
    }
    Ok(home)
}

impl Init {
    pub(crate) async fn run(self, global: &Global, show: Show) -> Done {
        let home = vacant(global)?;
        let setup = self.home.setup();
        let (client, words) = Client::create(&home, global.unlock(true)?, setup).await?;
        let id = client.id().await?;
        let done = show.one(
            || json!({"home": home.display().to_string(), "id": id.to_string(), "words": words.expose()}),
            || {
                format!(
                    "Made {}\nYour id   {id}\n\n{}\n\n{ADVICE}",
                    home.display(),
                    columns(words.expose())
                )
            },
        );
        client.close().await;
        done
    }
}

/// Twenty-four words in four columns, numbered.
fn columns(words: &str) -> String {
    let words: Vec<_> = words.split(' ').collect();
    let rows = words.len().div_ceil(4);
    let row = |row: usize| {
        let column = |column: usize| {
            let number = column * rows + row;
            words.get(number).map(|word| format!("{:2} {word:9}", number + 1)).unwrap_or_default()
        };
        (0..4).map(column).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    (0..rows).map(row).collect::<Vec<_>>().join("\n")
}

fn unit(text: &str) -> Result<Unit, String> {
    let (code, decimals) = text.split_once(':').unwrap_or((text, "0"));
    let decimals = decimals.parse().map_err(|_| "a unit looks like chop:2".to_owned())?;
    Unit::new(code, decimals).map_err(|error| error.to_string())
}

const ADVICE: &str = "\
These 24 words are your account. They are shown this once.
`chop restore` makes it again from them on another device: the same id, and nothing else. Contacts and messages are not
in them, and coins cannot be brought back with this version.
Write them on paper and keep it where you keep cash; whoever reads them is you.";
