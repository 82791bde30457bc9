//! First contact: from a link to two people who can reach each other. SPEC §6.9.

use chopmark_core::handshake::{InitBlock, Peeked};
use chopmark_core::identity::SignedManifest;
use chopmark_core::session::SessionId;
use chopmark_wire::payload::Payload;

use super::blob::Blob;
use super::contact::{Contact, Met, Stage};
use super::duty::Duty;
use super::link::Link;
use super::prekey::Lacking;
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Renewal, What};
use crate::store::Kind;

impl Turn<'_, '_> {
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
        self.take_payload(&id, &arrived.payload, arrived.session)?;

        // The handle is the relay's word only. That the writer has this very link shows the one-time prekey, which is
        // sealed under the link's own key: without it, a stranger by another link is not accepted unseen.
        let of_this_link = arrived.prekey_of.as_deref() == Some(handle);
        let uses_up = !link.reusable && of_this_link;
        if arrived.prekey_of.is_none() {
            self.prekey_missing(&id)?;
        }
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
        match arrived.prekey_of.as_ref().map(Blob::array) {
            Some(handle) => self.renewal_taken(&handle.ok_or(Error::Internal("a handle"))?)?,
            None => self.prekey_missing(contact)?,
        }
        self.take_payload(&arrived.contact, &arrived.payload, arrived.session)?;
        Ok(self.nudge_sessions(&arrived.contact)?)
    }

    /// Opens a first message, checks who wrote it, and keeps the session. `expected` is whose capability it came by.
    fn take_handshake(
        &mut self,
        expected: Option<&[u8; 32]>,
        envelope: &[u8],
        peeked: &Peeked,
    ) -> Result<Knock, Rejected> {
        let lacking = |lacking| match (lacking, expected) {
            // SPEC §6.10 [orphan-renews]: a contact began a session with keys that this state never made, or that are gone.
            (Lacking::NeverMade | Lacking::Used, Some(contact)) => Rejected::Unreadable(*contact),
            _ => Rejected::Drop("a prekey that is gone"),
        };
        let signed = self.signed_prekey(peeked.signed_prekey)?.map_err(lacking)?;
        let one_time = match peeked.one_time_prekey {
            Some(number) => Some(match self.one_time_prekey(number, peeked.id)? {
                Ok(found) => found,
                Err(why) => {
                    if why == Lacking::Used {
                        self.prekey_reused(number)?;
                    }
                    return Err(lacking(why));
                }
            }),
            None => None,
        };
        let (one_time, prekey_of) = one_time.unzip();
        let answered = self.respond(&signed, one_time.as_ref(), envelope)?;
        let payload = Payload::decode(&answered.message.content.to_vec().into())
            .map_err(|_| Rejected::Drop("no payload"))?;
        let claimed = answered.session.peer().clone();
        let id = *claimed.account.as_bytes();
        // SPEC §6.9 [capability-names-contact].
        if expected.is_some_and(|expected| *expected != id) {
            return Err(Rejected::Drop("someone else by a contact's capability"));
        }

        // SPEC §4.4 [no-reply-before-introduction]: message 0 and every 8th bring the manifest; without one already known or
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
        // SPEC §4.5 [sessions-a-day].
        let today = self.now.day();
        contact.begun = (today, if contact.begun.0 == today { contact.begun.1 } else { 0 });
        if contact.begun.1 >= SESSIONS_A_DAY {
            return Err(Rejected::Drop("one session too many"));
        }
        contact.begun.1 = contact.begun.1.saturating_add(1);
        let claims = |manifest: &SignedManifest| {
            let entry = manifest.device(claimed.device).cloned();
            entry.ok_or(Rejected::Drop("a device that the account does not have"))
        };
        // Before anything is kept: who shows a manifest that vouches for someone else changes nothing with it.
        let entry = claims(&manifest)?;
        claimed.check(&claimed.account, &entry).map_err(|_| Rejected::Drop("another device"))?;
        match self.meet(&id, &mut contact, &manifest)? {
            None => return Err(Rejected::Drop("two stories")),
            // SPEC §2.4 [newest-manifest-vouches]: an older list may have a device that was removed since.
            Some(Met::Older(newest)) => {
                let entry = claims(&newest)?;
                let same = claimed.check(&claimed.account, &entry);
                same.map_err(|_| Rejected::Drop("a device that was removed"))?;
            }
            Some(_) => {}
        }
        // The session first: who shows someone else's manifest must not leave them in our list.
        let session = answered.session.id();
        let moved = self.adopt(&id, answered, &entry)?;
        contact.save(self.tx, &id)?;
        if let Some(number) = peeked.one_time_prekey {
            self.spend_one_time(number, peeked.id)?;
        }
        self.note_handshake(peeked, &id)?;
        if moved {
            self.renewed(&id)?;
            self.seal_again(&id)?;
        }
        Ok(Knock { contact: id, payload, session, new, prekey_of })
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
        self.seal_waiting(id)?;
        // Whoever knocked twice has only the later session.
        self.nudge_sessions(id)
    }

    /// Wants nothing of someone: what they hold of ours stops working, and they are told nothing.
    pub(crate) fn reject(&mut self, id: &[u8; 32]) -> Result<(), Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        contact.stage = Stage::Rejected;
        contact.fetch = None;
        if let Some(grant) = contact.grant.take() {
            let capability = grant.capability.array().ok_or(Error::Internal("a capability"))?;
            self.owe(Duty::revoke(&capability))?;
            self.tx.drop_record(Kind::Handle, &grant.handle)?;
        }
        self.end_renewal(&mut contact)?;
        self.tx.drop_record(Kind::Sessions, id)?;
        self.drop_outbox(id)?;
        self.drop_held(id)?;
        self.drop_claims(id)?;
        contact.claims.clear();
        contact.reach.clear();
        Ok(contact.save(self.tx, id)?)
    }
}

/// A first message that was taken in.
struct Knock {
    contact: [u8; 32],
    payload: Payload,
    session: SessionId,
    /// Nobody was known under this account before.
    new: bool,
    /// The handle of the link whose one-time prekey it used.
    prekey_of: Option<Blob>,
}

/// A delivery that changes nothing.
pub(crate) enum Rejected {
    /// Nobody can make anything of it, now or later: the reason, for a count.
    Drop(&'static str),
    /// What a contact sent shows that the session with them cannot be gone on with.
    Renew([u8; 32], Renewal),
    /// It came by a contact's capability, and nothing opens it.
    Unreadable([u8; 32]),
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

/// People who wait to be accepted, at most.
const STRANGERS_MOST: usize = 256;
/// Sessions that one account begins with us on a day, at most.
const SESSIONS_A_DAY: u32 = 64;
