//! What has to be looked after without anything coming in: prekeys, silent contacts, acknowledgements that are owed,
//! memory that expires.

use serde::{Deserialize, Serialize};

use super::contact::{Contact, Stage};
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

/// Contents of a contact that nothing of ours has acknowledged yet.
#[derive(Serialize, Deserialize)]
struct Debt {
    contents: u32,
    since_ms: u64,
}

impl Turn<'_, '_> {
    /// Looks after everything that time alone brings about. Called every few minutes while the own relay is connected.
    pub(crate) fn upkeep(&mut self) -> Result<(), Error> {
        self.refresh_links()?;
        self.pay_debts()?;
        let mut chores = self.chores()?;
        if chores.forgot_on == Some(self.now.day()) {
            return Ok(());
        }
        chores.forgot_on = Some(self.now.day());
        self.tx.put(Kind::Chores, b"", &chores)?;
        self.expire_prekeys()?;
        self.forget_seen()?;
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

    /// A content came that has to be acknowledged; the next message to the contact does that.
    pub(crate) fn owe_acknowledgement(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        let known = Contact::load(self.tx, contact)?;
        // SPEC §6.9 [no-reaction-before-consent].
        if known.is_none_or(|it| it.stage != Stage::Accepted || it.hold().is_some()) {
            return Ok(());
        }
        let now = self.now.as_millis();
        let owed: Option<Debt> = self.tx.find(Kind::Debt, contact)?;
        let owed = owed.unwrap_or(Debt { contents: 0, since_ms: now });
        let owed = Debt { contents: owed.contents.saturating_add(1), ..owed };
        self.tx.put(Kind::Debt, contact, &owed)?;
        // SPEC §5.9 [one-way-is-acknowledged].
        if owed.contents >= CONTENTS_MOST { self.acknowledge(contact) } else { Ok(()) }
    }

    fn pay_debts(&mut self) -> Result<(), Error> {
        let now = self.now.as_millis();
        for (contact, owed) in self.tx.every::<Debt>(Kind::Debt)? {
            let Ok(contact) = <[u8; 32]>::try_from(contact.as_slice()) else { continue };
            // Since a time ahead: a clock that ran wild.
            let waited = now.checked_sub(owed.since_ms).is_none_or(|waited| waited >= DEBT_MS);
            let known = Contact::load(self.tx, &contact)?;
            let may = known.is_some_and(|it| it.stage == Stage::Accepted && it.hold().is_none());
            match (may, waited) {
                (true, true) => self.acknowledge(&contact)?,
                (true, false) => {}
                (false, _) => self.tx.drop_record(Kind::Debt, &contact)?,
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

/// So many contents without an answer are acknowledged at once.
const CONTENTS_MOST: u32 = 32;
/// The oldest of them waits no longer than that.
const DEBT_MS: u64 = 3_600_000;
