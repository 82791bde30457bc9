//! What was taken in before: envelopes, so that an old one means nothing, and handshakes, so that each makes one session.
//! SPEC §4.5, §5.9.

use chopmark_core::handshake::{InitId, Peeked};
use chopmark_core::prekey::PrekeyId;
use chopmark_wire::relay::MessageId;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::turn::Turn;
use crate::error::Error;
use crate::event::What;
use crate::store::Kind;

/// A handshake that made a session.
#[derive(Serialize, Deserialize)]
struct Handshake {
    contact: Blob,
    /// While this prekey is alive, the same first message would open again.
    signed_prekey: u32,
}

/// A one-time prekey that was used.
#[derive(Serialize, Deserialize)]
pub(super) struct Spent {
    pub(super) init: Blob,
    day: u64,
    /// The user was told that somebody else used it too.
    told: bool,
}

impl Turn<'_, '_> {
    /// Whether this envelope was opened, or found unreadable, before.
    pub(crate) fn was_seen(&self, envelope: &[u8]) -> Result<bool, Error> {
        Ok(self.tx.load(Kind::Seen as u8, &MessageId::of(envelope).0)?.is_some())
    }

    /// Notes an envelope, so that a copy of it means nothing.
    pub(crate) fn note_seen(&mut self, envelope: &[u8]) -> Result<(), Error> {
        let today = self.now.day().to_be_bytes();
        Ok(self.tx.store(Kind::Seen as u8, &MessageId::of(envelope).0, &today)?)
    }

    /// The contact with whom a handshake made a session.
    pub(crate) fn handshake(&self, init: InitId) -> Result<Option<[u8; 32]>, Error> {
        let found: Option<Handshake> = self.tx.find(Kind::Init, init.as_bytes())?;
        Ok(found.and_then(|found| found.contact.array()))
    }

    /// Notes a handshake: from now on it belongs to its session, and to nothing else.
    pub(crate) fn note_handshake(
        &mut self,
        peeked: &Peeked,
        contact: &[u8; 32],
    ) -> Result<(), Error> {
        let signed_prekey = peeked.signed_prekey.0;
        let handshake = Handshake { contact: Blob::new(contact), signed_prekey };
        Ok(self.tx.put(Kind::Init, peeked.id.as_bytes(), &handshake)?)
    }

    /// Notes by which handshake a one-time prekey was used.
    pub(super) fn note_spent(&mut self, id: PrekeyId, init: InitId) -> Result<(), Error> {
        let spent = Spent { init: Blob::new(init.as_bytes()), day: self.now.day(), told: false };
        Ok(self.tx.put(Kind::Spent, &id.0.to_be_bytes(), &spent)?)
    }

    /// Somebody else's first message asks for a one-time prekey that was used. What it says is not authentic, so the user
    /// is told once for each prekey and once a day.
    pub(crate) fn prekey_reused(&mut self, id: PrekeyId) -> Result<(), Error> {
        let key = id.0.to_be_bytes();
        let Some(mut spent) = self.tx.find::<Spent>(Kind::Spent, &key)? else { return Ok(()) };
        let mut chores = self.chores()?;
        if spent.told || chores.reuse_told_on == Some(self.now.day()) {
            return Ok(());
        }
        spent.told = true;
        self.tx.put(Kind::Spent, &key, &spent)?;
        chores.reuse_told_on = Some(self.now.day());
        self.tx.put(Kind::Chores, b"", &chores)?;
        self.emit(What::PrekeyReused)
    }

    /// Forgets what cannot come again: SPEC §9.3 [memory-expires].
    pub(crate) fn forget_seen(&mut self) -> Result<(), Error> {
        let today = self.now.day();
        for (kind, days) in [(Kind::Seen, SEEN_DAYS), (Kind::Shown, SHOWN_DAYS)] {
            for (key, value) in self.tx.scan(kind as u8, &[])? {
                // Behind the day stands whether it was shown as a claim.
                let (day, mark) = value.split_first_chunk().unwrap_or((&[0; 8], &[]));
                let day = u64::from_be_bytes(*day);
                // A day ahead is of a clock that ran wild: it counts from now on.
                if day > today {
                    let counted = [&today.to_be_bytes(), mark].concat();
                    self.tx.store(kind as u8, &key, &counted)?;
                } else if today.saturating_sub(day) > days {
                    self.tx.drop_record(kind, &key)?;
                }
            }
        }
        for (key, spent) in self.tx.every::<Spent>(Kind::Spent)? {
            if today.saturating_sub(spent.day) > SPENT_DAYS {
                self.tx.drop_record(Kind::Spent, &key)?;
            }
        }
        let oldest = self.oldest_signed_prekey()?;
        for (key, handshake) in self.tx.every::<Handshake>(Kind::Init)? {
            // Without the prekey the same first message opens no more.
            if handshake.signed_prekey < oldest {
                self.tx.drop_record(Kind::Init, &key)?;
            }
        }
        Ok(())
    }
}

/// Two days longer than any relay keeps an envelope.
const SEEN_DAYS: u64 = 32;
/// Longer than anyone seals a content again.
const SHOWN_DAYS: u64 = 400;
/// Longer than the signed prekey lives beside which it was handed out.
const SPENT_DAYS: u64 = 70;
