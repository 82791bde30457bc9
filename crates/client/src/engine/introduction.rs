//! Introductions: where each side is reached, and where its bundle is fetched. SPEC §6.9, §6.10.

use chopmark_wire::address::RelayAddress;
use chopmark_wire::content::{Body, Introduction};
use chopmark_wire::identity::Endpoint;

use super::blob::Blob;
use super::claim::Places;
use super::contact::{Contact, Grant, Stage};
use super::duty::Duty;
use super::link::Holder;
use super::turn::Turn;
use crate::error::Error;
use crate::event::What;
use crate::store::Kind;

impl Turn<'_, '_> {
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
                self.owe(Duty::grant(&capability, &handle, false))?;
                contact.grant = Some(grant.clone());
                contact.save(self.tx, id)?;
                grant
            }
        };
        let relay: RelayAddress = account.relay.parse().map_err(|_| Error::RelayAddress)?;
        let capability = grant.capability.array().ok_or(Error::Internal("a capability"))?;
        let renewal = Some(self.renewal_secret(id)?);
        let endpoint = Endpoint { relay, capability, priority: 0, version: 1, renewal };
        let body =
            Body::Introduction(Introduction { endpoints: vec![endpoint], lock_keys: Vec::new() });
        self.send_body(id, body, "")?;
        Ok(())
    }

    /// Someone says where they are reached now; on a session that is not confirmed that is a claim.
    pub(crate) fn introduced(
        &mut self,
        id: &[u8; 32],
        introduction: &Introduction,
        claim: Option<&Blob>,
    ) -> Result<(), Error> {
        let places = Places::of(introduction);
        let mut contact = match claim {
            Some(session) => {
                self.claim_places(id, session, places)?;
                Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?
            }
            None => {
                let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
                contact.take_places(places);
                contact
            }
        };
        let answered = contact.stage == Stage::Knocked;
        if answered {
            contact.stage = Stage::Accepted;
        }
        // Whoever only claims to be them does not keep us from beginning anew.
        if answered && claim.is_none() {
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
