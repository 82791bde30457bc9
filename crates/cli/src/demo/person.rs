//! One of the people of the demo: a home, and the client while it is open.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chopmark::{Client, Setup, Unlock, What};
use chopmark_core::random;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::command::listen::hex;
use crate::outcome::{Done, Failure};

/// A person with a passphrase of their own.
pub(super) struct Person {
    name: &'static str,
    home: PathBuf,
    passphrase: Zeroizing<String>,
    client: Option<Client>,
    /// The last event that was heard: one that comes again, because its cursor was not yet moved, is no second message.
    last: u64,
    /// How often each text was heard.
    pub(super) heard: BTreeMap<String, usize>,
}

impl Person {
    /// Makes a home.
    pub(super) async fn new(name: &'static str, home: PathBuf, setup: Setup) -> Done<Self> {
        let random: [u8; 16] =
            random::array(&mut SysRng).map_err(|error| Failure::failed(error.to_string()))?;
        let passphrase = Zeroizing::new(hex(&random));
        let unlock = Unlock::passphrase(passphrase.as_str());
        let (client, _words) = Client::create(&home, unlock, setup).await?;
        Ok(Self { name, home, passphrase, client: Some(client), last: 0, heard: BTreeMap::new() })
    }

    pub(super) fn client(&self) -> Done<&Client> {
        self.client.as_ref().ok_or_else(|| Failure::failed(format!("{} is away", self.name)))
    }

    /// Closes the app.
    pub(super) async fn leave(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    /// Opens the app again, from what is on disk.
    pub(super) async fn come_back(&mut self) -> Done {
        let unlock = Unlock::passphrase(self.passphrase.as_str());
        self.client = Some(Client::open(&self.home, unlock).await?);
        Ok(())
    }

    /// Listens until something is heard; every text that comes by is counted.
    pub(super) async fn hears<T>(
        &mut self,
        what: &str,
        found: impl Fn(&What) -> Option<T>,
    ) -> Done<T> {
        let late = || Failure::failed(format!("{} waited too long for {what}", self.name));
        let client = self.client.as_ref().ok_or_else(late)?;
        let mut events = client.events();
        let listen = async {
            loop {
                let event = events.next().await?;
                if let What::Message { text, .. } = &event.what
                    && event.cursor > self.last
                {
                    let count = self.heard.entry(text.clone()).or_default();
                    *count = count.saturating_add(1);
                }
                self.last = self.last.max(event.cursor);
                client.done(event.cursor).await?;
                if let Some(found) = found(&event.what) {
                    return Ok(found);
                }
            }
        };
        match tokio::time::timeout(PATIENCE, listen).await {
            Ok(heard) => heard,
            Err(_) => Err(Failure::failed(format!("{} waited too long for {what}", self.name))),
        }
    }

    /// Listens for a text.
    pub(super) async fn hears_text(&mut self, wanted: &str) -> Done {
        let text_is = |what: &What| match what {
            What::Message { text, .. } => (text == wanted).then_some(()),
            _ => None,
        };
        self.hears("a message", text_is).await
    }

    /// Listens a little longer for what should not come.
    pub(super) async fn hears_nothing_more(&mut self) -> Done {
        let quiet = tokio::time::timeout(QUIET, self.hears("nothing", |_| None::<()>)).await;
        match quiet {
            Ok(Err(failure)) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Everything in minor units, and of it what can be spent.
    pub(super) async fn money(&self) -> Done<Money> {
        let mut money = Money::default();
        for balance in self.client()?.balance().await? {
            money.spendable = money.spendable.saturating_add(balance.spendable);
            money.locked = money.locked.saturating_add(balance.locked);
            money.moving =
                money.moving.saturating_add(balance.reserved).saturating_add(balance.incoming);
        }
        Ok(money)
    }
}

/// What someone has, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) spendable: u64,
    pub(super) locked: u64,
    /// In a swap with the issuer that is under way.
    pub(super) moving: u64,
}

pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(400);
