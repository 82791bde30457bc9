//! Fetching someone's bundle: by a link that the user added, or to begin a session anew. SPEC §6.9, §6.10.

use chopmark_core::identity::AccountId;
use chopmark_core::link::{LinkSecret, Published};
use chopmark_core::prekey::VerifiedBundle;
use chopmark_wire::link::ContactLink;

use super::blob::Blob;
use super::contact::{Aim, Contact, Fetch, Reach, Source, Stage};
use super::outbox::pause_ms;
use super::standing::TWO_STORIES;
use super::turn::Turn;
use crate::error::Error;
use crate::event::What;
use crate::store::Kind;

/// A bundle to fetch now.
pub(crate) struct Wanted {
    pub(crate) contact: [u8; 32],
    pub(crate) relay: String,
    pub(crate) capability: [u8; 32],
    pub(crate) fetch_id: [u8; 16],
}

impl Source {
    fn link_secret(&self) -> Option<LinkSecret> {
        self.secret.array().map(|secret| LinkSecret::from_bytes(&secret))
    }

    fn knock(&self) -> Option<[u8; 32]> {
        self.link_secret().map(|secret| *secret.knock_capability().expose())
    }
}

impl Turn<'_, '_> {
    /// Adds the owner of a link. The same link again changes the name only; another link of someone who is known connects
    /// with them anew (SPEC §6.10 `[new-link-connects-anew]`).
    pub(crate) fn add(&mut self, link: &ContactLink, name: &str) -> Result<[u8; 32], Error> {
        let id = *link.account_id();
        if self.account()?.id()?.as_bytes() == &id {
            return Err(Error::OwnLink);
        }
        let mut contact = Contact::load(self.tx, &id)?
            .unwrap_or_else(|| Contact::new(String::new(), Stage::Fetching));
        contact.name = name.to_owned();
        let secret = Blob::new(link.expose_secret());
        let source = Source { relay: link.relay().to_string(), secret };
        let knock = Blob::new(&source.knock().ok_or(Error::Internal("a link's secret"))?);
        let same = contact.added.as_ref() == Some(&knock);
        match contact.stage {
            // The same link again: what was begun with it goes on, with the one-time prekey that it was given.
            Stage::Accepted | Stage::Knocked if same => {}
            Stage::Fetching if same && contact.fetch.is_some() => {}
            // They knocked first: adding them is accepting them.
            Stage::Waiting => {
                contact.save(self.tx, &id)?;
                self.accept(&id)?;
                return Ok(id);
            }
            stage => {
                if !matches!(stage, Stage::Knocked | Stage::Accepted) {
                    contact.stage = Stage::Fetching;
                }
                if stage != Stage::Accepted {
                    contact.reach =
                        vec![Reach { relay: source.relay.clone(), capability: knock.clone() }];
                    contact.source = Some(source.clone());
                }
                contact.added = Some(knock);
                contact.fetch = Some(self.fetch_of(source, Aim::Meet, 0)?);
            }
        }
        contact.save(self.tx, &id)?;
        self.expect_fetch(0)?;
        Ok(id)
    }

    /// A fetch that nobody has asked for yet.
    pub(crate) fn fetch_of(
        &mut self,
        source: Source,
        aim: Aim,
        next_ms: u64,
    ) -> Result<Fetch, Error> {
        Ok(Fetch { source, id: Blob::new(&self.draw::<16>()?), next_ms, tries: 0, aim })
    }

    /// The bundles to fetch now. Each is asked again after a while if no answer was stored.
    pub(crate) fn wanted(&mut self) -> Result<Vec<Wanted>, Error> {
        let now = self.now.as_millis();
        let mut wanted = Vec::new();
        if !self.agenda()?.fetch_is_due(now) {
            return Ok(wanted);
        }
        let mut next = None;
        for (id, mut contact) in self.tx.every::<Contact>(Kind::Contact)? {
            let Ok(id) = <[u8; 32]>::try_from(id.as_slice()) else { continue };
            let Some(fetch) = &mut contact.fetch else { continue };
            if fetch.next_ms > now && fetch.next_ms <= now.saturating_add(DAY_MS) {
                next = Some(next.map_or(fetch.next_ms, |next: u64| next.min(fetch.next_ms)));
                continue;
            }
            fetch.tries = fetch.tries.saturating_add(1);
            fetch.next_ms = now.saturating_add(LEASE_MS.max(pause_ms(fetch.tries)));
            next = Some(next.map_or(fetch.next_ms, |next: u64| next.min(fetch.next_ms)));
            let (Some(capability), Some(fetch_id)) = (fetch.source.knock(), fetch.id.array())
            else {
                continue;
            };
            let relay = fetch.source.relay.clone();
            wanted.push(Wanted { contact: id, relay, capability, fetch_id });
            contact.save(self.tx, &id)?;
        }
        self.next_fetch(next)?;
        Ok(wanted)
    }

    /// Their bundle came: a session begins.
    pub(crate) fn fetched(
        &mut self,
        id: &[u8; 32],
        fetch_id: &[u8; 16],
        bundle: &[u8],
        one_time: Option<&[u8]>,
    ) -> Result<(), Error> {
        let Some(mut contact) = Contact::load(self.tx, id)? else { return Ok(()) };
        // A late answer about another link says nothing about this one.
        let Some(fetch) = contact.fetch.take_if(|fetch| *fetch.id == fetch_id[..]) else {
            return Ok(());
        };
        let bundle = match self.open_bundle(id, &fetch.source, bundle, one_time) {
            Ok(bundle) => bundle,
            Err(why) => {
                let why = format!("{why}; ask for a new link");
                return self.fetch_failed(id, contact, fetch, why);
            }
        };
        if self.meet(id, &mut contact, bundle.manifest())?.is_none() {
            return self.fetch_failed(id, contact, fetch, TWO_STORIES.to_owned());
        }
        // Message 0 of the new session brings the manifest, whatever was counted before.
        contact.unanswered = 0;
        if contact.stage == Stage::Accepted
            && let Aim::Renew(why) = fetch.aim
        {
            return self.begin_anew(id, contact, &bundle, why);
        }
        if contact.stage == Stage::Accepted {
            // Whoever made a new link may know nothing any more of us and of where we are: it is told by the link, on a
            // session that carries content from its first message.
            self.tx.drop_record(Kind::Sessions, id)?;
            let capability = fetch.source.knock().ok_or(Error::Internal("a link's secret"))?;
            let (relay, capability) = (fetch.source.relay.clone(), Blob::new(&capability));
            contact.reach = vec![Reach { relay, capability }];
            contact.source = Some(fetch.source);
            contact.claims.clear();
            self.drop_claims(id)?;
        }
        if contact.stage == Stage::Fetching {
            contact.stage = Stage::Knocked;
        }
        (contact.resend, contact.doubtful) = (None, false);
        contact.save(self.tx, id)?;
        self.unseal(id)?;
        self.begin_session(id, &bundle)?;
        self.introduce(id)?;
        self.seal_waiting(id)
    }

    fn open_bundle(
        &self,
        id: &[u8; 32],
        source: &Source,
        bundle: &[u8],
        one_time: Option<&[u8]>,
    ) -> Result<VerifiedBundle, String> {
        let key = source.link_secret().ok_or("internal error")?.bundle_key();
        let part =
            key.open_published(Published::SignedPart, bundle).map_err(|error| error.to_string())?;
        let one_time = one_time
            .map(|blob| key.open_published(Published::OneTimePrekey, blob))
            .transpose()
            .map_err(|error| error.to_string())?;
        VerifiedBundle::verify(&part, one_time.as_deref(), &AccountId::from_bytes(*id), self.now)
            .map_err(|error| error.to_string())
    }

    /// The relay gave no bundle. `NotAccepted` is final for a link: it is revoked, used up or never was.
    pub(crate) fn not_fetched(
        &mut self,
        id: &[u8; 32],
        fetch_id: &[u8; 16],
        refused: bool,
    ) -> Result<(), Error> {
        let Some(mut contact) = Contact::load(self.tx, id)? else { return Ok(()) };
        let Some(mut fetch) = contact.fetch.take_if(|fetch| *fetch.id == fetch_id[..]) else {
            return Ok(());
        };
        if refused {
            let why = "the relay knows no such link: it was revoked or used up; ask for a new one";
            return self.fetch_failed(id, contact, fetch, why.to_owned());
        }
        fetch.next_ms = self.now.as_millis().saturating_add(pause_ms(fetch.tries));
        self.expect_fetch(fetch.next_ms)?;
        contact.fetch = Some(fetch);
        Ok(contact.save(self.tx, id)?)
    }

    /// A link that leads nowhere is told to the user. A session that was to be begun anew is tried again later: the contact's
    /// relay may have lost what was published, and is told it again once the contact is there.
    fn fetch_failed(
        &mut self,
        id: &[u8; 32],
        mut contact: Contact,
        fetch: Fetch,
        why: String,
    ) -> Result<(), Error> {
        if fetch.aim != Aim::Meet && fetch.tries < RENEWAL_TRIES {
            let pause = HOUR_MS.saturating_mul(1 << fetch.tries.min(5)).min(DAY_MS);
            let at = self.now.as_millis().saturating_add(pause);
            let again = self.fetch_of(fetch.source, fetch.aim, at)?;
            contact.fetch = Some(Fetch { tries: fetch.tries, ..again });
            self.expect_fetch(at)?;
            return Ok(contact.save(self.tx, id)?);
        }
        contact.save(self.tx, id)?;
        self.emit(What::LinkFailed { contact: (*id).into(), why })
    }
}

const LEASE_MS: u64 = 15_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// How often a bundle is asked for that begins a session anew; the last tries are a day apart.
const RENEWAL_TRIES: u32 = 12;
