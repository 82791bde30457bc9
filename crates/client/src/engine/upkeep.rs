//! What has to be looked after without anything coming in: prekeys, silent contacts, acknowledgements, old memory.

use serde::{Deserialize, Serialize};

use super::contact::Contact;
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Renewal, What};
use crate::store::Kind;

/// When which of it was done last.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Chores {
    /// The day on which memory was last looked through.
    forgot_on: Option<u64>,
    /// The day on which the user was last told of a one-time prekey that was used twice.
    pub(super) reuse_told_on: Option<u64>,
    /// The same of one that was missing.
    missing_told_on: Option<u64>,
}

impl Turn<'_, '_> {
    /// Looks after everything that time alone brings about. Called every few minutes while the own relay is connected.
    pub(crate) fn upkeep(&mut self) -> Result<(), Error> {
        self.refresh_links()?;
        self.pay_debts()?;
        self.miss_deliveries()?;
        let mut chores = self.chores()?;
        if chores.forgot_on == Some(self.now.day()) {
            return Ok(());
        }
        chores.forgot_on = Some(self.now.day());
        self.tx.put(Kind::Chores, b"", &chores)?;
        self.let_go()?;
        self.expire_prekeys()?;
        self.forget_seen()?;
        self.expire_claims()?;
        self.renew_unanswered()
    }

    pub(crate) fn chores(&self) -> Result<Chores, Error> {
        Ok(self.tx.find(Kind::Chores, b"")?.unwrap_or_default())
    }

    /// SPEC §4.5: whoever has not answered for two weeks may have lost the keys that the session was begun with.
    fn renew_unanswered(&mut self) -> Result<(), Error> {
        for (id, contact) in self.tx.every::<Contact>(Kind::Contact)? {
            let Ok(id) = <[u8; 32]>::try_from(id.as_slice()) else { continue };
            if contact.may_be_answered() && self.is_unanswered(&id)? {
                self.renew(&id, Renewal::Unanswered)?;
            }
        }
        Ok(())
    }

    /// A first message came without a one-time prekey. Told once a day: who asks for many of them empties the stock too.
    pub(crate) fn prekey_missing(&mut self, from: &[u8; 32]) -> Result<(), Error> {
        let mut chores = self.chores()?;
        if chores.missing_told_on == Some(self.now.day()) {
            return Ok(());
        }
        chores.missing_told_on = Some(self.now.day());
        self.tx.put(Kind::Chores, b"", &chores)?;
        self.emit(What::PrekeyMissing { contact: (*from).into() })
    }
}
