//! First contact: from a link to two people who can reach each other. SPEC §6.9.

use chopmark_core::handshake::{InitBlock, Peeked};
use chopmark_core::identity::{AccountId, SignedManifest};
use chopmark_core::link::{LinkSecret, Published};
use chopmark_core::prekey::VerifiedBundle;
use chopmark_wire::address::RelayAddress;
use chopmark_wire::content::{Body, Introduction};
use chopmark_wire::identity::Endpoint;
use chopmark_wire::link::ContactLink;
use chopmark_wire::payload::Payload;

use super::blob::Blob;
use super::contact::{Contact, Fetch, Grant, Mark, Reach, Stage};
use super::duty::Duty;
use super::link::{Holder, Link};
use super::outbox::pause_ms;
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

impl Turn<'_, '_> {
    /// Adds the owner of a link. Adding someone again changes the name only, unless nothing came of it before.
    pub(crate) fn add(&mut self, link: &ContactLink, name: &str) -> Result<[u8; 32], Error> {
        let id = *link.account_id();
        if self.account()?.id()?.as_bytes() == &id {
            return Err(Error::OwnLink);
        }
        let mut contact = Contact::load(self.tx, &id)?
            .unwrap_or_else(|| Contact::new(String::new(), Stage::Fetching));
        contact.name = name.to_owned();
        let secret = LinkSecret::from_bytes(link.expose_secret());
        let knock = Blob::new(secret.knock_capability().expose());
        let same = contact.reach.first().is_some_and(|reach| reach.capability == knock);
        match contact.stage {
            Stage::Accepted => {}
            // The same link again: what was begun with it goes on, with the one-time prekey that it was given.
            Stage::Knocked if same => {}
            Stage::Fetching if same && contact.fetch.is_some() => {}
            // They knocked first: adding them is accepting them.
            Stage::Waiting => {
                contact.save(self.tx, &id)?;
                self.accept(&id)?;
                return Ok(id);
            }
            Stage::Fetching | Stage::Rejected | Stage::Knocked => {
                if contact.stage != Stage::Knocked {
                    contact.stage = Stage::Fetching;
                }
                contact.reach = vec![Reach { relay: link.relay().to_string(), capability: knock }];
                contact.fetch = Some(Fetch {
                    secret: Blob::new(secret.expose()),
                    id: Blob::new(&self.draw::<16>()?),
                    next_ms: 0,
                    tries: 0,
                });
            }
        }
        contact.save(self.tx, &id)?;
        Ok(id)
    }

    /// The bundles to fetch now. Each is asked again after a while if no answer was stored.
    pub(crate) fn wanted(&mut self) -> Result<Vec<Wanted>, Error> {
        let now = self.now.as_millis();
        let mut wanted = Vec::new();
        for (id, mut contact) in self.tx.every::<Contact>(Kind::Contact)? {
            let Ok(id) = <[u8; 32]>::try_from(id.as_slice()) else { continue };
            let (Some(fetch), Some(reach)) = (&mut contact.fetch, contact.reach.first()) else {
                continue;
            };
            if fetch.next_ms > now && fetch.next_ms <= now.saturating_add(DAY_MS) {
                continue;
            }
            fetch.tries = fetch.tries.saturating_add(1);
            fetch.next_ms = now.saturating_add(LEASE_MS.max(pause_ms(fetch.tries)));
            let (Some(capability), Some(fetch_id)) = (reach.capability.array(), fetch.id.array())
            else {
                continue;
            };
            wanted.push(Wanted { contact: id, relay: reach.relay.clone(), capability, fetch_id });
            contact.save(self.tx, &id)?;
        }
        Ok(wanted)
    }

    /// Their bundle came: a session begins, and everything written so far goes out behind an introduction.
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
        let bundle = match self.open_bundle(id, &fetch, bundle, one_time) {
            Ok(bundle) => bundle,
            Err(why) => {
                contact.save(self.tx, id)?;
                let why = format!("{why}; ask for a new link");
                return self.emit(What::LinkFailed { contact: (*id).into(), why });
            }
        };
        if contact.meet_manifest(bundle.manifest()).is_err() {
            contact.save(self.tx, id)?;
            return self
                .emit(What::LinkFailed { contact: (*id).into(), why: TWO_STORIES.to_owned() });
        }
        if contact.stage == Stage::Fetching {
            contact.stage = Stage::Knocked;
        }
        // Message 0 of the new session brings the manifest, whatever was counted before.
        contact.unanswered = 0;
        contact.save(self.tx, id)?;
        self.unseal(id)?;
        self.begin_session(id, &bundle)?;
        self.introduce(id)?;
        self.seal_waiting(id)
    }

    fn open_bundle(
        &self,
        id: &[u8; 32],
        fetch: &Fetch,
        bundle: &[u8],
        one_time: Option<&[u8]>,
    ) -> Result<VerifiedBundle, String> {
        let secret = fetch.secret.array().ok_or("internal error")?;
        let key = LinkSecret::from_bytes(&secret).bundle_key();
        let part =
            key.open_published(Published::SignedPart, bundle).map_err(|error| error.to_string())?;
        let one_time = one_time
            .map(|blob| key.open_published(Published::OneTimePrekey, blob))
            .transpose()
            .map_err(|error| error.to_string())?;
        VerifiedBundle::verify(&part, one_time.as_deref(), &AccountId::from_bytes(*id), self.now)
            .map_err(|error| error.to_string())
    }

    /// The relay gave no bundle. `NotAccepted` is final: the link is revoked, used up or never was.
    pub(crate) fn not_fetched(
        &mut self,
        id: &[u8; 32],
        fetch_id: &[u8; 16],
        refused: bool,
    ) -> Result<(), Error> {
        let Some(mut contact) = Contact::load(self.tx, id)? else { return Ok(()) };
        let Some(fetch) = contact.fetch.as_mut().filter(|fetch| *fetch.id == fetch_id[..]) else {
            return Ok(());
        };
        if refused {
            contact.fetch = None;
            contact.save(self.tx, id)?;
            let why = "the relay knows no such link: it was revoked or used up; ask for a new one";
            return self.emit(What::LinkFailed { contact: (*id).into(), why: why.to_owned() });
        }
        fetch.next_ms = self.now.as_millis().saturating_add(pause_ms(fetch.tries));
        Ok(contact.save(self.tx, id)?)
    }

    /// Tells someone where we are reached: queued as their next message.
    pub(crate) fn introduce(&mut self, id: &[u8; 32]) -> Result<(), Error> {
        let account = self.account()?;
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        let grant = match contact.grant.clone() {
            Some(grant) => grant,
            None => {
                let capability: [u8; 32] = self.draw()?;
                let handle: [u8; 8] = self.draw()?;
                let grant =
                    Grant { capability: Blob::new(&capability), handle: Blob::new(&handle) };
                self.tx.put(Kind::Handle, &handle, &Holder::Contact(Blob::new(id)))?;
                self.owe(&Duty::grant(&capability, &handle, false))?;
                contact.grant = Some(grant.clone());
                contact.save(self.tx, id)?;
                grant
            }
        };
        let relay: RelayAddress = account.relay.parse().map_err(|_| Error::RelayAddress)?;
        let capability = grant.capability.array().ok_or(Error::Internal("a capability"))?;
        let endpoint = Endpoint { relay, capability, priority: 0, version: 1 };
        let body =
            Body::Introduction(Introduction { endpoints: vec![endpoint], lock_keys: Vec::new() });
        self.send_body(id, body, "")?;
        Ok(())
    }

    /// A message came by a link: who knocks, and do we know them?
    ///
    /// Nothing leaves this device because of it, until the user accepts (SPEC §6.9 `[no-reaction-before-consent]`).
    pub(crate) fn knocked(
        &mut self,
        handle: &[u8; 8],
        envelope: &[u8],
        peeked: &Peeked,
    ) -> Result<(), Rejected> {
        let mut link: Link =
            self.tx.find(Kind::Link, handle)?.ok_or(Rejected::Drop("a link that is gone"))?;
        let arrived = self.take_handshake(None, envelope, peeked)?;
        let id = arrived.contact;
        link.taken = link.taken.saturating_add(usize::from(peeked.one_time_prekey.is_some()));
        self.tx.put(Kind::Link, handle, &link)?;
        self.take_payload(&id, &arrived.payload)?;

        // The handle is the relay's word only. That the writer has this very link shows the one-time prekey, which is
        // sealed under the link's own key: without it, a stranger by another link is not accepted unseen.
        let of_this_link = arrived.prekey_of.as_deref() == Some(handle);
        let uses_up = !link.reusable && of_this_link;
        match Contact::load(self.tx, &id)?.map(|contact| contact.stage) {
            // Both added each other: each knock is the other's answer.
            Some(Stage::Knocked | Stage::Fetching) => self.accept(&id)?,
            // SPEC §6.9 [one-time-link-accepts]: it was made for one person, and this is them.
            Some(Stage::Waiting) if uses_up => self.accept(&id)?,
            Some(Stage::Waiting) if arrived.new => {
                self.emit(What::ContactWaiting { contact: id.into() })?;
            }
            // They have lost what we gave them, or they would not come by a link: they get it again, on the new session
            // once that is confirmed.
            Some(Stage::Accepted) => {
                self.introduce(&id)?;
                self.nudge_sessions(&id)?;
            }
            _ => {}
        }
        if uses_up {
            self.end_link(handle, &link)?;
        }
        Ok(())
    }

    /// A contact begins a session anew, by the capability that only they hold.
    pub(crate) fn begun_again(
        &mut self,
        contact: &[u8; 32],
        envelope: &[u8],
        peeked: &Peeked,
    ) -> Result<(), Rejected> {
        let arrived = self.take_handshake(Some(contact), envelope, peeked)?;
        self.take_payload(&arrived.contact, &arrived.payload)?;
        Ok(self.nudge_sessions(&arrived.contact)?)
    }

    /// Opens a first message, checks who wrote it, and keeps the session. `expected` is whose capability it came by.
    fn take_handshake(
        &mut self,
        expected: Option<&[u8; 32]>,
        envelope: &[u8],
        peeked: &Peeked,
    ) -> Result<Knock, Rejected> {
        let signed = self
            .signed_prekey(peeked.signed_prekey)?
            .ok_or(Rejected::Drop("a prekey that is gone"))?;
        let one_time = match peeked.one_time_prekey {
            Some(number) => Some(
                self.one_time_prekey(number)?
                    .ok_or(Rejected::Drop("a one-time prekey that was used before"))?,
            ),
            None => None,
        };
        let (one_time, prekey_of) = one_time.unzip();
        let opened = self.respond(&signed, one_time.as_ref(), envelope)?;
        let payload = Payload::decode(&opened.content.to_vec().into())
            .map_err(|_| Rejected::Drop("no payload"))?;
        let claimed = opened.session.peer().clone();
        let id = *claimed.account.as_bytes();
        // SPEC §6.9 [capability-names-contact].
        if expected.is_some_and(|expected| *expected != id) {
            return Err(Rejected::Drop("someone else by a contact's capability"));
        }

        // SPEC §4.4 [unverified-until-manifest]: message 0 and every 8th bring the manifest; without one already known or
        // brought along, nobody vouches for the device and the message has to come again.
        let known = Contact::load(self.tx, &id)?;
        let manifest = match (&payload.manifest_bytes, &known) {
            (Some(bytes), _) => SignedManifest::verify_for(bytes, &claimed.account)
                .map_err(|_| Rejected::Drop("a manifest that does not verify"))?,
            (None, Some(Contact { manifest: Some(bytes), .. })) => {
                SignedManifest::verify_for(bytes, &claimed.account)
                    .map_err(|_| Rejected::Drop("a manifest that does not verify"))?
            }
            (None, _) => return Err(Rejected::Hold),
        };
        let entry = manifest.device(claimed.device).ok_or(Rejected::Drop("an unknown device"))?;
        if self.account()?.id()?.as_bytes() == &id {
            return Err(Rejected::Drop("our own account"));
        }

        let new = known.is_none();
        if new && self.strangers()? >= STRANGERS_MOST {
            return Err(Rejected::Drop("one stranger too many"));
        }
        let mut contact = known.unwrap_or_else(|| Contact::new(String::new(), Stage::Waiting));
        if contact.stage == Stage::Rejected {
            return Err(Rejected::Drop("someone who was rejected"));
        }
        if contact.meet_manifest(&manifest).is_err() {
            let other = Some(Mark::of(&manifest));
            if contact.stage == Stage::Waiting || contact.warned_of == other {
                return Err(Rejected::Drop("two stories, told before"));
            }
            contact.warned_of = other;
            contact.save(self.tx, &id)?;
            return Err(Rejected::Warn(TWO_STORIES));
        }
        // The session first: who shows someone else's manifest must not leave them in our list.
        self.adopt(&id, opened, entry)?;
        contact.save(self.tx, &id)?;
        if let Some(number) = peeked.one_time_prekey {
            self.spend_one_time(number)?;
        }
        self.tx.put(Kind::Init, peeked.id.as_bytes(), &Blob::new(&id))?;
        Ok(Knock { contact: id, payload, new, prekey_of })
    }

    fn strangers(&self) -> Result<usize, Error> {
        let contacts = self.tx.every::<Contact>(Kind::Contact)?;
        Ok(contacts.iter().filter(|(_, contact)| contact.stage == Stage::Waiting).count())
    }

    /// The user agrees to someone who waits, and names them. Whom we wrote to has to answer first.
    pub(crate) fn agree(&mut self, id: &[u8; 32], name: &str) -> Result<(), Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        if matches!(contact.stage, Stage::Fetching | Stage::Knocked) {
            return Err(Error::Stage("this contact has not answered yet"));
        }
        if !name.is_empty() {
            contact.name = name.to_owned();
            contact.save(self.tx, id)?;
        }
        self.accept(id)
    }

    /// Agrees to someone who knocked: they are told where we are reached.
    pub(crate) fn accept(&mut self, id: &[u8; 32]) -> Result<(), Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        match contact.stage {
            Stage::Accepted => return Ok(()),
            Stage::Rejected => {
                return Err(Error::Stage("this contact was rejected: add them by a link"));
            }
            Stage::Waiting | Stage::Knocked | Stage::Fetching => {}
        }
        contact.stage = Stage::Accepted;
        contact.fetch = None;
        contact.save(self.tx, id)?;
        self.emit(What::ContactAccepted { contact: (*id).into() })?;
        self.introduce(id)?;
        self.release_held(id)?;
        self.seal_waiting(id)
    }

    /// Wants nothing of someone: what they hold of ours stops working, and they are told nothing.
    pub(crate) fn reject(&mut self, id: &[u8; 32]) -> Result<(), Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        contact.stage = Stage::Rejected;
        contact.fetch = None;
        if let Some(grant) = contact.grant.take() {
            let capability = grant.capability.array().ok_or(Error::Internal("a capability"))?;
            self.owe(&Duty::revoke(&capability))?;
            self.tx.drop_record(Kind::Handle, &grant.handle)?;
        }
        self.tx.drop_record(Kind::Sessions, id)?;
        self.drop_outbox(id)?;
        self.drop_held(id)?;
        contact.reach.clear();
        Ok(contact.save(self.tx, id)?)
    }

    /// Someone says where they are reached now.
    pub(crate) fn introduced(
        &mut self,
        id: &[u8; 32],
        introduction: &Introduction,
    ) -> Result<(), Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        let mut endpoints: Vec<_> = introduction.endpoints.iter().collect();
        endpoints.sort_by_key(|endpoint| endpoint.priority);
        contact.reach = endpoints
            .iter()
            .map(|endpoint| Reach {
                relay: endpoint.relay.to_string(),
                capability: Blob::new(&endpoint.capability),
            })
            .collect();
        contact.lock_keys = introduction.lock_keys.iter().map(|key| Blob::new(key)).collect();
        let answered = contact.stage == Stage::Knocked;
        if answered {
            contact.stage = Stage::Accepted;
            contact.fetch = None;
        }
        contact.save(self.tx, id)?;
        self.hurry(id)?;
        if answered {
            self.emit(What::ContactAccepted { contact: (*id).into() })?;
            self.release_held(id)?;
        }
        Ok(())
    }
}

/// A first message that was taken in.
struct Knock {
    contact: [u8; 32],
    payload: Payload,
    /// Nobody was known under this account before.
    new: bool,
    /// The handle of the link whose one-time prekey it used.
    prekey_of: Option<Blob>,
}

/// A delivery that changes nothing.
pub(crate) enum Rejected {
    /// Nobody can make anything of it, now or later: the reason, for a count.
    Drop(&'static str),
    /// As `Drop`, and the user should know.
    Warn(&'static str),
    /// It may open once something else has arrived; kept as it is.
    Hold,
    /// The store failed: it is delivered again.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Rejected {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Reads the init block of an envelope, if it has one.
pub(crate) fn peek(envelope: &[u8]) -> Option<Peeked> {
    InitBlock::peek(envelope)
}

const TWO_STORIES: &str =
    "this account shows two different lists of devices under one number; do not trust it";
/// People who wait to be accepted, at most.
const STRANGERS_MOST: usize = 256;
const LEASE_MS: u64 = 15_000;
const DAY_MS: u64 = 24 * 3_600_000;
