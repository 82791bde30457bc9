//! Sessions begun anew: why, how often, with which keys, and what each side publishes for that. SPEC §5.9, §6.10.
//!
//! A renewal is a fetch of the contact's bundle and a new session beside the old ones, which go on until the new one is
//! confirmed. Whoever makes us renew gains nothing by it and gets it once an hour.

use chopmark_core::link::LinkSecret;
use chopmark_core::prekey::VerifiedBundle;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::contact::{Aim, Contact, Fetch, Stage};
use super::duty::{Duty, PublishDuty, hash_of};
use super::link::Holder;
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Renewal, What};
use crate::store::Kind;

/// What one contact fetches when a session has to be begun anew, under the handle of its knock capability.
#[derive(Serialize, Deserialize)]
pub(crate) struct Published {
    secret: Blob,
    contact: Blob,
}

impl Published {
    fn secret(&self) -> Result<LinkSecret, Error> {
        let bytes = self.secret.array().ok_or(Error::Internal("a renewal secret"))?;
        Ok(LinkSecret::from_bytes(&bytes))
    }
}

impl Turn<'_, '_> {
    /// The session with a contact cannot be gone on with: another one is begun, now or when the hour since the last is over.
    ///
    /// Strangers cause nothing. A cause that comes while a renewal is under way changes nothing but what the user is told.
    pub(crate) fn renew(&mut self, id: &[u8; 32], why: Renewal) -> Result<(), Error> {
        let Some(mut contact) = Contact::load(self.tx, id)? else { return Ok(()) };
        let wanted = match contact.stage {
            Stage::Accepted => true,
            // Who was written to and never answered can have caused nothing.
            Stage::Knocked => why == Renewal::Unanswered,
            _ => false,
        };
        if !wanted {
            return Ok(());
        }
        // SPEC §5.9 [doubtful-acknowledgements].
        if matches!(why, Renewal::MessagesLost | Renewal::OwnRollback) && !contact.doubtful {
            contact.doubtful = true;
            contact.save(self.tx, id)?;
            self.revive(id)?;
        }
        match &mut contact.fetch {
            Some(Fetch { aim: Aim::Meet, .. }) => return Ok(()),
            Some(Fetch { aim: Aim::Renew(known), .. }) if *known >= why => return Ok(()),
            Some(Fetch { aim, .. }) => *aim = Aim::Renew(why),
            None => {
                let Some(source) = contact.bundle_source().cloned() else {
                    return self.emit(What::Warning {
                        contact: Some((*id).into()),
                        text: NO_SOURCE.to_owned(),
                    });
                };
                let at = self.renewal_time(id, contact.renewed_ms)?;
                contact.renewed_ms = Some(at);
                contact.fetch = Some(self.fetch_of(source, Aim::Renew(why), at)?);
                self.expect_fetch(at)?;
            }
        }
        contact.save(self.tx, id)?;
        self.emit(What::SessionRenewed { contact: (*id).into(), why })
    }

    /// Whether another session with a contact is on its way already.
    pub(crate) fn is_renewing(&self, id: &[u8; 32]) -> Result<bool, Error> {
        Ok(Contact::load(self.tx, id)?.is_some_and(|contact| contact.fetch.is_some()))
    }

    /// When another session may be begun: SPEC §5.9 [renewed-once-an-hour], and a day after the last one that is not
    /// confirmed yet. Sessions that are begun faster than they are confirmed push each other out.
    fn renewal_time(&self, id: &[u8; 32], last: Option<u64>) -> Result<u64, Error> {
        let now = self.now.as_millis();
        let hour = last.map_or(now, |last| last.saturating_add(HOUR_MS));
        let day = self.newest_unconfirmed(id)?.map_or(now, |begun| begun.saturating_add(DAY_MS));
        let at = hour.max(day).max(now);
        // Further ahead than that is of a clock that ran wild.
        Ok(if at > now.saturating_add(DAY_MS) { now } else { at })
    }

    /// Sending moved to another session: the renewal that was to lead there is not needed any more.
    pub(crate) fn renewed(&mut self, id: &[u8; 32]) -> Result<(), Error> {
        let Some(mut contact) = Contact::load(self.tx, id)? else { return Ok(()) };
        let renewal = contact.fetch.take_if(|fetch| fetch.aim != Aim::Meet);
        if renewal.is_some() || contact.doubtful {
            contact.doubtful = false;
            contact.save(self.tx, id)?;
        }
        Ok(())
    }

    /// A contact's fresh bundle came, to begin a session beside those there are.
    pub(crate) fn begin_anew(
        &mut self,
        id: &[u8; 32],
        mut contact: Contact,
        bundle: &VerifiedBundle,
        why: Renewal,
    ) -> Result<(), Error> {
        // A state that fell back, or is in use twice, sent other messages under the numbers that are acknowledged.
        let fell_back = matches!(why, Renewal::PeerRolledBack | Renewal::PeerForked);
        contact.resend = self.resend_after(id, fell_back)?;
        contact.save(self.tx, id)?;
        if self.begin_session(id, bundle)? {
            self.renewed(id)?;
            self.seal_again(id)?;
        }
        self.nudge_sessions(id)
    }

    /// The secret under which our bundle is published for one contact alone; published if it is not yet.
    pub(crate) fn renewal_secret(&mut self, id: &[u8; 32]) -> Result<[u8; 16], Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        if let Some(handle) = &contact.renewal
            && let Some(published) = self.tx.find::<Published>(Kind::Renewal, handle)?
        {
            return published.secret.array().ok_or(Error::Internal("a renewal secret"));
        }
        let secret = LinkSecret::generate(self.rng)?;
        let handle: [u8; 8] = self.draw()?;
        let bytes = *secret.expose();
        let published = Published { secret: Blob::new(&bytes), contact: Blob::new(id) };
        self.tx.put(Kind::Renewal, &handle, &published)?;
        // Whoever deposits there is that contact, or nobody.
        self.tx.put(Kind::Handle, &handle, &Holder::Contact(Blob::new(id)))?;
        contact.renewal = Some(Blob::new(&handle));
        contact.save(self.tx, id)?;
        self.publish_renewal(&handle, &published, Stock::Replace)?;
        Ok(bytes)
    }

    fn publish_renewal(
        &mut self,
        handle: &[u8; 8],
        published: &Published,
        stock: Stock,
    ) -> Result<(), Error> {
        let secret = published.secret()?;
        let knock = *secret.knock_capability().expose();
        let replace = stock == Stock::Replace;
        if replace {
            self.supersede_one_time(handle)?;
            self.owe(Duty::grant(&knock, handle, true))?;
        }
        let count = match stock {
            Stock::Replace => RENEWAL_PREKEYS,
            Stock::Add(count) => count,
        };
        let offer = self.offer(&secret, handle, count)?;
        self.owe(Duty::Publish(PublishDuty {
            knock: hash_of(&knock),
            one_time_link: false,
            bundle: Blob::new(&offer.bundle),
            one_time: offer.one_time.iter().map(|blob| Blob::new(blob)).collect(),
            replace,
        }))
    }

    /// Publishes for every contact anew: with a fresh signed prekey, or to a relay that lost what it had.
    pub(crate) fn publish_renewals(&mut self, lost: bool) -> Result<(), Error> {
        let stock = if lost { Stock::Replace } else { Stock::Add(0) };
        for (handle, published) in self.tx.every::<Published>(Kind::Renewal)? {
            let Ok(handle) = <[u8; 8]>::try_from(handle.as_slice()) else { continue };
            self.publish_renewal(&handle, &published, stock)?;
        }
        Ok(())
    }

    /// A contact used one of the one-time prekeys that were published for it: it gets another one.
    pub(crate) fn renewal_taken(&mut self, handle: &[u8; 8]) -> Result<(), Error> {
        let Some(published) = self.tx.find::<Published>(Kind::Renewal, handle)? else {
            return Ok(());
        };
        self.publish_renewal(handle, &published, Stock::Add(1))
    }

    /// A contact is nobody's any more: what was published for it ends.
    pub(crate) fn end_renewal(&mut self, contact: &mut Contact) -> Result<(), Error> {
        let Some(handle) = contact.renewal.take() else { return Ok(()) };
        if let Some(published) = self.tx.find::<Published>(Kind::Renewal, &handle)? {
            self.owe(Duty::revoke(published.secret()?.knock_capability().expose()))?;
            self.tx.drop_record(Kind::Renewal, &handle)?;
        }
        self.drop_one_time(&handle)?;
        self.tx.drop_record(Kind::Handle, &handle)?;
        contact.source = None;
        Ok(())
    }
}

/// What a publication does to the one-time prekeys that the relay has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stock {
    Replace,
    Add(usize),
}

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// One-time prekeys that the relay keeps for one contact.
const RENEWAL_PREKEYS: usize = 2;
const NO_SOURCE: &str =
    "the session with this contact cannot be gone on with; ask for a new link of theirs";
