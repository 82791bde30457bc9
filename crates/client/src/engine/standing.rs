//! What a contact's manifest means beside the one that was known: news, a recovery, two stories. SPEC §2.4.

use chopmark_core::identity::SignedManifest;

use super::contact::{Contact, Met, Stage};
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Hold, What};

impl Turn<'_, '_> {
    /// Meets a manifest that was verified, and tells the user what is new. `None`: the account tells two stories, and nothing
    /// of this one is taken. The caller stores the contact, but for two stories, which are stored here.
    pub(crate) fn meet(
        &mut self,
        id: &[u8; 32],
        contact: &mut Contact,
        manifest: &SignedManifest,
    ) -> Result<Option<Met>, Error> {
        let frozen = contact.frozen;
        let Ok(met) = contact.meet_manifest(manifest) else {
            // SPEC §2.4 [equivocation-freezes]. Of a stranger there is nothing to freeze.
            if contact.stage != Stage::Waiting {
                contact.save(self.tx, id)?;
                if contact.frozen && !frozen {
                    self.emit(What::ContactFrozen { contact: (*id).into() })?;
                }
            }
            return Ok(None);
        };
        if let Met::Newer { recovered, gap } = met {
            self.forget_devices(id, manifest)?;
            if contact.stage != Stage::Waiting {
                let contact = (*id).into();
                self.emit(What::DevicesChanged { contact, recovered, gap })?;
            }
        }
        Ok(Some(met))
    }

    /// The user agrees to a contact whose account recovered: what waits goes out.
    pub(crate) fn agree_to_recovery(&mut self, id: &[u8; 32]) -> Result<(), Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        if contact.frozen {
            return Err(Error::Held(Hold::TwoStories));
        }
        contact.unacknowledged = false;
        contact.save(self.tx, id)?;
        self.seal_waiting(id)?;
        self.hurry(id)?;
        self.nudge_sessions(id)
    }
}

pub(super) const TWO_STORIES: &str =
    "this account shows two different lists of devices under one number; do not trust it";
