//! Contact links of our own. SPEC §2.7, §6.9.

use chopmark_core::link::LinkSecret;
use chopmark_core::prekey::ONE_TIME_PREKEYS;
use chopmark_wire::address::RelayAddress;
use chopmark_wire::link::{ContactLink, LinkUse};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::duty::{Duty, PublishDuty, hash_of};
use super::turn::Turn;
use crate::error::Error;
use crate::store::{Kind, Log};

/// One link, under the handle of its knock capability.
#[derive(Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) secret: Blob,
    pub(crate) reusable: bool,
    pub(crate) made_ms: u64,
    /// How many of its one-time prekeys were used since it was last published.
    pub(crate) taken: usize,
}

impl Link {
    pub(crate) fn secret(&self) -> Result<LinkSecret, Error> {
        let bytes = self.secret.array().ok_or(Error::Internal("a link's secret"))?;
        Ok(LinkSecret::from_bytes(&bytes))
    }
}

/// To whom a handle belongs.
#[derive(Serialize, Deserialize)]
pub(crate) enum Holder {
    Link,
    Contact(Blob),
}

impl Turn<'_, '_> {
    /// Makes a link and owes the relay its knock capability and bundle.
    pub(crate) fn make_link(&mut self, uses: LinkUse) -> Result<ContactLink, Error> {
        let secret = LinkSecret::generate(self.rng)?;
        let handle: [u8; 8] = self.draw()?;
        let link = Link {
            secret: Blob::new(secret.expose()),
            reusable: uses == LinkUse::Reusable,
            made_ms: self.now.as_millis(),
            taken: 0,
        };
        self.tx.put(Kind::Link, &handle, &link)?;
        self.tx.put(Kind::Handle, &handle, &Holder::Link)?;
        self.publish_link(&handle, &link)?;
        self.text_of(&link)
    }

    /// Owes the relay everything that a link needs there.
    pub(crate) fn publish_link(&mut self, handle: &[u8; 8], link: &Link) -> Result<(), Error> {
        let secret = link.secret()?;
        let knock = *secret.knock_capability().expose();
        let count = if link.reusable { ONE_TIME_PREKEYS } else { 1 };
        self.supersede_one_time(handle)?;
        let offer = self.offer(&secret, handle, count)?;
        self.owe(Duty::grant(&knock, handle, true))?;
        self.owe(Duty::Publish(PublishDuty {
            knock: hash_of(&knock),
            one_time_link: !link.reusable,
            bundle: Blob::new(&offer.bundle),
            one_time: offer.one_time.iter().map(|blob| Blob::new(blob)).collect(),
            replace: true,
        }))
    }

    /// Ends a link: whoever holds it can neither fetch nor knock any more. Contacts made by it stay.
    pub(crate) fn revoke_link(&mut self, text: &ContactLink) -> Result<(), Error> {
        let found = self.tx.every::<Link>(Kind::Link)?.into_iter();
        let found = found.into_iter().find(|(_, link)| *link.secret == text.expose_secret()[..]);
        let (handle, link) = found.ok_or(Error::NoSuchLink)?;
        for row in self.tx.rows_after(Log::HeldKnocks, Some(&handle), 0, u32::MAX)? {
            self.tx.remove(Log::HeldKnocks, row.seq)?;
        }
        self.end_link(&handle, &link)
    }

    pub(crate) fn end_link(&mut self, handle: &[u8], link: &Link) -> Result<(), Error> {
        self.owe(Duty::revoke(link.secret()?.knock_capability().expose()))?;
        self.drop_one_time(handle)?;
        // The handle stays: what was left under it before the relay heard of the end is still delivered, and opens for those
        // who are known by then.
        Ok(self.tx.drop_record(Kind::Link, handle)?)
    }

    /// The links that still work.
    pub(crate) fn links(&self) -> Result<Vec<ContactLink>, Error> {
        let mut links = self.tx.every::<Link>(Kind::Link)?;
        links.sort_by_key(|(_, link)| link.made_ms);
        links.iter().map(|(_, link)| self.text_of(link)).collect()
    }

    fn text_of(&self, link: &Link) -> Result<ContactLink, Error> {
        let account = self.account()?;
        let relay: RelayAddress = account.relay.parse().map_err(|_| Error::RelayAddress)?;
        let uses = if link.reusable { LinkUse::Reusable } else { LinkUse::OneTime };
        Ok(ContactLink::new(uses, *account.id()?.as_bytes(), relay, *link.secret()?.expose()))
    }
}
