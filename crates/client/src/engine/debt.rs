//! Acknowledgements that are owed: whoever only reads would never give one. SPEC §5.9 [one-way-is-acknowledged].

use chopmark_core::session::{Acknowledged, Position, SessionId};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::contact::{Contact, Stage};
use super::turn::Turn;
use crate::error::Error;
use crate::store::Kind;

/// Contents of a contact that no message of ours has acknowledged yet.
#[derive(Serialize, Deserialize)]
struct Debt {
    contents: u32,
    /// Since when one can be acknowledged. `None`: a message before it is missing, and nothing can be said of it yet.
    since_ms: Option<u64>,
    /// The last of them.
    session: Blob,
    chain: u64,
    n: u32,
}

impl Debt {
    fn is_covered(&self, acknowledged: Acknowledged) -> bool {
        acknowledged.covers(Position { chain: self.chain, n: self.n })
    }
}

impl Turn<'_, '_> {
    /// A message came. With a content it has to be acknowledged; without one it may be what others waited for.
    pub(crate) fn owe_acknowledgement(
        &mut self,
        contact: &[u8; 32],
        session: SessionId,
        position: Position,
        content: bool,
    ) -> Result<(), Error> {
        let known: Option<Debt> = self.tx.find(Kind::Debt, contact)?;
        if !content && known.is_none() {
            return Ok(());
        }
        if !self.may_acknowledge(contact)? {
            return Ok(());
        }
        let now = self.now.as_millis();
        let debt = match (known, content) {
            (Some(debt), false) => {
                let covered = self.acknowledgement(contact, &debt.session)?;
                if debt.since_ms.is_some() || !covered.is_some_and(|it| debt.is_covered(it)) {
                    return Ok(());
                }
                Debt { since_ms: Some(now), ..debt }
            }
            (known, _) => {
                let (contents, since_ms) =
                    known.map_or((0, None), |known| (known.contents, known.since_ms));
                let Position { chain, n } = position;
                let (contents, since_ms) = (contents.saturating_add(1), since_ms.or(Some(now)));
                Debt { contents, since_ms, session: super::session::name(session), chain, n }
            }
        };
        self.tx.put(Kind::Debt, contact, &debt)?;
        if debt.contents >= CONTENTS_MOST { self.pay_debt(contact, &debt) } else { Ok(()) }
    }

    /// A message of ours acknowledges what it can.
    pub(crate) fn acknowledges(
        &mut self,
        contact: &[u8; 32],
        session: SessionId,
        acknowledged: Acknowledged,
    ) -> Result<(), Error> {
        let Some(debt) = self.tx.find::<Debt>(Kind::Debt, contact)? else { return Ok(()) };
        if debt.session != super::session::name(session) {
            return Ok(());
        }
        if debt.is_covered(acknowledged) {
            return Ok(self.tx.drop_record(Kind::Debt, contact)?);
        }
        Ok(self.tx.put(Kind::Debt, contact, &Debt { contents: 0, since_ms: None, ..debt })?)
    }

    /// Acknowledges what has waited long enough.
    pub(crate) fn pay_debts(&mut self) -> Result<(), Error> {
        let now = self.now.as_millis();
        for (contact, debt) in self.tx.every::<Debt>(Kind::Debt)? {
            let Ok(contact) = <[u8; 32]>::try_from(contact.as_slice()) else { continue };
            let Some(since) = debt.since_ms else { continue };
            // Since a time ahead: a clock that ran wild.
            let waited = now.checked_sub(since).is_none_or(|waited| waited >= DEBT_MS);
            if waited && self.may_acknowledge(&contact)? {
                self.pay_debt(&contact, &debt)?;
            }
        }
        Ok(())
    }

    fn pay_debt(&mut self, contact: &[u8; 32], debt: &Debt) -> Result<(), Error> {
        match self.named_session(contact, &debt.session)? {
            Some(session) => self.probe(contact, session),
            None => Ok(self.tx.drop_record(Kind::Debt, contact)?),
        }
    }

    /// SPEC §6.9 [no-reaction-before-consent].
    fn may_acknowledge(&self, contact: &[u8; 32]) -> Result<bool, Error> {
        let known = Contact::load(self.tx, contact)?;
        Ok(known.is_some_and(|it| it.stage == Stage::Accepted && it.hold().is_none()))
    }
}

/// So many contents without an answer are acknowledged at once.
const CONTENTS_MOST: u32 = 32;
/// The oldest of them waits no longer than that.
const DEBT_MS: u64 = 3_600_000;
