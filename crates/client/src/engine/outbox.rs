//! What has to reach someone: kept until their device says that it arrived.
//!
//! SPEC §5.9, §9.3. A row is written in the transaction that seals it. It leaves for the relay only after that, as often
//! as it takes, always the same bytes. The relay's `Stored` slows that down to once a day, because a relay is a cache and
//! may lose what it had; only the peer's acknowledgement ends the row.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chopmark_core::session::{Acknowledged, Position, SessionId};
use chopmark_pay::{Part, Reference};
use chopmark_wire::payment::PaymentId;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::contact::{self, Contact};
use super::turn::Turn;
use crate::error::Error;
use crate::event::{MessageId, Progress, What};
use crate::store::Log;

/// One content on its way to one contact.
#[derive(Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) contact: Blob,
    /// The content, until it is acknowledged: another session may have to seal it again.
    pub(crate) content: Option<Blob>,
    /// The row of the history that shows it, for what a person wrote.
    pub(crate) message: Option<u64>,
    pub(crate) id: MessageId,
    /// For a message about money: the payment, and which part of it.
    pub(crate) payment: Option<(Blob, u8)>,
    pub(crate) stage: Stage,
    pub(crate) tries: u32,
    /// Not before this time: a retry, or another process that is at it.
    pub(crate) due_ms: u64,
    /// Whoever waits for the acknowledgement was told of it.
    #[serde(default)]
    pub(crate) told: bool,
}

/// How far a row is.
#[derive(Serialize, Deserialize)]
pub(crate) enum Stage {
    /// No session yet: their keys are being fetched.
    Unsealed,
    /// Sealed, not on the relay's disk yet.
    Sealed { envelope: Blob, slot: Slot },
    /// On the relay's disk, not acknowledged by the peer yet.
    Stored { envelope: Blob, slot: Slot },
    /// Acknowledged at that time. Kept for a while: the acknowledgement may have been of another life's message.
    Acknowledged { slot: Slot, at_ms: u64 },
}

impl Stage {
    fn slot(&self) -> Option<&Slot> {
        match self {
            Self::Unsealed => None,
            Self::Sealed { slot, .. }
            | Self::Stored { slot, .. }
            | Self::Acknowledged { slot, .. } => Some(slot),
        }
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Acknowledged { .. })
    }
}

/// Which message of which session a row became; the peer's acknowledgement covers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Slot {
    session: Blob,
    chain: u64,
    n: u32,
}

impl Slot {
    pub(crate) fn new(session: SessionId, position: Position) -> Self {
        Self { session: super::session::name(session), chain: position.chain, n: position.n }
    }

    fn is_covered(&self, session: &Blob, acknowledged: Acknowledged) -> bool {
        let position = Position { chain: self.chain, n: self.n };
        self.session == *session && acknowledged.covers(position)
    }
}

/// An envelope to deposit now.
pub(crate) struct Due {
    pub(crate) seq: u64,
    pub(crate) relay: String,
    pub(crate) capability: [u8; 32],
    pub(crate) envelope: Vec<u8>,
}

impl Turn<'_, '_> {
    /// Queues a content for someone, sealed at once where there is a session.
    pub(crate) fn queue(
        &mut self,
        contact: &[u8; 32],
        content: &[u8],
        id: MessageId,
        message: Option<u64>,
        reference: Option<Reference>,
    ) -> Result<(), Error> {
        // Nobody is left to tell; a payment under way comes back at its end.
        if Contact::load(self.tx, contact)?.is_some_and(|c| c.stage == contact::Stage::Rejected) {
            return Ok(());
        }
        let stage = self.seal(contact, content)?;
        let payment = reference.map(|it| (Blob::new(&it.payment.0), part_number(it.part)));
        self.put_in_outbox(contact, Some(Blob::new(content)), id, message, payment, stage)
    }

    /// Queues a message without content, to bring a session on. Another session needs another one.
    pub(crate) fn queue_probe(&mut self, contact: &[u8; 32], stage: Stage) -> Result<(), Error> {
        self.put_in_outbox(contact, None, MessageId([0; 32]), None, None, stage)
    }

    fn put_in_outbox(
        &mut self,
        contact: &[u8; 32],
        content: Option<Blob>,
        id: MessageId,
        message: Option<u64>,
        payment: Option<(Blob, u8)>,
        stage: Stage,
    ) -> Result<(), Error> {
        let contact_id = Blob::new(contact);
        let item = Item {
            contact: contact_id,
            content,
            message,
            id,
            payment,
            stage,
            tries: 0,
            due_ms: 0,
            told: false,
        };
        self.tx.push(Log::Outbox, contact, &item)?;
        self.expect_deposit(0)
    }

    /// Seals what waited for a session.
    pub(crate) fn seal_waiting(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        self.seal_rows(contact, |stage| matches!(stage, Stage::Unsealed))
    }

    /// Seals everything that is not acknowledged once more, because sending moved to another session (SPEC §5.9). The
    /// message id is of the content, so that who gets both shows one.
    pub(crate) fn seal_again(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        let sending = self.sending_session(contact)?.map(super::session::name);
        self.seal_rows(contact, |stage| {
            stage.slot().is_none_or(|slot| Some(&slot.session) != sending.as_ref())
        })
    }

    /// Takes back what was sealed on a session that leads nowhere: it waits for the next one. Probes are over.
    pub(crate) fn unseal(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        for (seq, mut item) in self.tx.list::<Item>(Log::Outbox, Some(contact), 0, ALL)? {
            if item.content.is_none() {
                self.tx.remove(Log::Outbox, seq)?;
                continue;
            }
            if item.stage.is_acknowledged() {
                continue;
            }
            item.stage = Stage::Unsealed;
            self.tx.rewrite(Log::Outbox, seq, &super::record::encode(&item)?)?;
        }
        Ok(())
    }

    /// Forgets everything on its way to someone.
    pub(crate) fn drop_outbox(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        for row in self.tx.rows_after(Log::Outbox, Some(contact), 0, ALL)? {
            self.tx.remove(Log::Outbox, row.seq)?;
        }
        Ok(())
    }

    /// There is a new way to someone: nothing waits for the next try of the old one.
    pub(crate) fn hurry(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        for (seq, mut item) in self.tx.list::<Item>(Log::Outbox, Some(contact), 0, ALL)? {
            if matches!(item.stage, Stage::Sealed { .. }) {
                (item.due_ms, item.tries) = (0, 0);
                self.tx.rewrite(Log::Outbox, seq, &super::record::encode(&item)?)?;
            }
        }
        self.expect_deposit(0)
    }

    fn seal_rows(
        &mut self,
        contact: &[u8; 32],
        which: impl Fn(&Stage) -> bool,
    ) -> Result<(), Error> {
        for (seq, mut item) in self.tx.list::<Item>(Log::Outbox, Some(contact), 0, ALL)? {
            if item.stage.is_acknowledged() || !which(&item.stage) {
                continue;
            }
            let Some(content) = &item.content else {
                // A probe that is not sent leaves a gap, behind which nothing is ever acknowledged. Of a session that is
                // over nobody asks.
                if let Some(slot) = item.stage.slot()
                    && self.named_session(contact, &slot.session)?.is_none()
                {
                    self.tx.remove(Log::Outbox, seq)?;
                }
                continue;
            };
            // A row that is sealed anew gets a new number: rows leave in the order in which they were sealed.
            self.tx.remove(Log::Outbox, seq)?;
            item.stage = self.seal(contact, content)?;
            item.due_ms = 0;
            self.tx.push(Log::Outbox, contact, &item)?;
        }
        self.expect_deposit(0)
    }

    /// The envelopes to deposit now, at most `limit`. Each is this process's own for a while: another one that works on
    /// the same home leaves it alone until then, and takes it over if we die.
    pub(crate) fn due(&mut self, limit: usize) -> Result<Vec<Due>, Error> {
        let now = self.now.as_millis();
        let mut due = Vec::new();
        if !self.agenda()?.deposit_is_due(now) {
            return Ok(due);
        }
        let mut next = None;
        let mut reach = HashMap::new();
        for (seq, mut item) in self.tx.list::<Item>(Log::Outbox, None, 0, ALL)? {
            if due.len() >= limit {
                next = Some(now);
                break;
            }
            let (Stage::Sealed { envelope, slot } | Stage::Stored { envelope, slot }) = &item.stage
            else {
                continue;
            };
            // A clock that was far ahead when the row was written must not hold it back for long.
            let Some(contact) = item.contact.array::<32>() else { continue };
            let to = match reach.entry(contact) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.reachable(&contact)?),
            };
            let to = to.as_ref().and_then(|contact| contact.reach_on(&slot.session));
            let Some(to) = to.cloned() else { continue };
            if item.due_ms > now && item.due_ms <= now.saturating_add(LONGEST_WAIT_MS) {
                next = Some(next.map_or(item.due_ms, |next: u64| next.min(item.due_ms)));
                continue;
            }
            let Some(capability) = to.capability.array() else { continue };
            due.push(Due { seq, relay: to.relay, capability, envelope: envelope.to_vec() });
            item.due_ms = now.saturating_add(LEASE_MS);
            next = Some(next.map_or(item.due_ms, |next: u64| next.min(item.due_ms)));
            self.tx.rewrite(Log::Outbox, seq, &super::record::encode(&item)?)?;
        }
        self.next_deposit(next)?;
        Ok(due)
    }

    /// Someone to whom anything goes out at all.
    fn reachable(&self, contact: &[u8; 32]) -> Result<Option<Contact>, Error> {
        Ok(Contact::load(self.tx, contact)?.filter(|it| it.hold().is_none()))
    }

    /// The relay has it on disk. Until the peer acknowledges it, it is deposited again a day later (SPEC §5.9
    /// `[nothing-lost-silently]`): a relay that still has it answers the same, one that lost it has it again.
    pub(crate) fn stored(&mut self, seq: u64) -> Result<(), Error> {
        let Some(mut item) = self.item(seq)? else { return Ok(()) };
        (item.due_ms, item.tries) = (self.now.as_millis().saturating_add(LONGEST_WAIT_MS), 0);
        if let Stage::Sealed { envelope, slot } = item.stage {
            item.stage = Stage::Stored { envelope, slot };
            self.progress(&item, Progress::Stored)?;
        }
        Ok(self.tx.rewrite(Log::Outbox, seq, &super::record::encode(&item)?)?)
    }

    /// The relay did not take it, or did not answer: it is tried again later, less and less often.
    pub(crate) fn not_stored(&mut self, seq: u64, retry_after_hours: u32) -> Result<(), Error> {
        let Some(mut item) = self.item(seq)? else { return Ok(()) };
        item.tries = item.tries.saturating_add(1);
        // No relay's word makes a row wait so long that it looks like a clock that ran wild.
        let asked = u64::from(retry_after_hours).saturating_mul(3_600_000).min(LONGEST_WAIT_MS);
        item.due_ms = self.now.as_millis().saturating_add(asked.max(pause_ms(item.tries)));
        self.tx.rewrite(Log::Outbox, seq, &super::record::encode(&item)?)?;
        self.expect_deposit(item.due_ms)
    }

    /// Their device says what it has: those rows are done.
    pub(crate) fn acknowledged(
        &mut self,
        contact: &[u8; 32],
        session: SessionId,
        acknowledged: Acknowledged,
    ) -> Result<(), Error> {
        // SPEC §5.9 [doubtful-acknowledgements].
        if Contact::load(self.tx, contact)?.is_some_and(|contact| contact.doubtful) {
            return Ok(());
        }
        let session = super::session::name(session);
        for (seq, mut item) in self.tx.list::<Item>(Log::Outbox, Some(contact), 0, ALL)? {
            let Some(slot) = item.stage.slot().cloned() else { continue };
            if item.stage.is_acknowledged() || !slot.is_covered(&session, acknowledged) {
                continue;
            }
            if item.content.is_none() {
                self.tx.remove(Log::Outbox, seq)?;
                continue;
            }
            let told = std::mem::replace(&mut item.told, true);
            item.stage = Stage::Acknowledged { slot, at_ms: self.now.as_millis() };
            self.tx.rewrite(Log::Outbox, seq, &super::record::encode(&item)?)?;
            if told {
                continue;
            }
            if item.message.is_some() {
                self.progress(&item, Progress::Delivered)?;
                self.emit(What::Delivered { contact: (*contact).into(), message: item.id })?;
            }
            if let Some((payment, part)) = &item.payment
                && let (Some(payment), Some(part)) = (payment.array(), part_of(*part))
            {
                self.money_delivered(Reference { payment: PaymentId(payment), part })?;
            }
        }
        Ok(())
    }

    /// What was acknowledged lately may have been another life's message: it goes out again with everything else, and
    /// whoever has it shows it once. SPEC §5.9 [doubtful-acknowledgements].
    pub(crate) fn revive(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        for (seq, mut item) in self.tx.list::<Item>(Log::Outbox, Some(contact), 0, ALL)? {
            if item.stage.is_acknowledged() {
                item.stage = Stage::Unsealed;
                self.tx.rewrite(Log::Outbox, seq, &super::record::encode(&item)?)?;
            }
        }
        Ok(())
    }

    /// Lets go of what was acknowledged long enough ago.
    pub(crate) fn let_go(&mut self) -> Result<(), Error> {
        let now = self.now.as_millis();
        for (seq, item) in self.tx.list::<Item>(Log::Outbox, None, 0, ALL)? {
            if let Stage::Acknowledged { at_ms, .. } = item.stage
                && now.checked_sub(at_ms).is_none_or(|kept| kept >= KEPT_MS)
            {
                self.tx.remove(Log::Outbox, seq)?;
            }
        }
        Ok(())
    }

    /// How many envelopes no relay has taken yet. What waits for keys or for an address is not among them.
    pub(crate) fn waiting(&self) -> Result<usize, Error> {
        let mut reachable = HashMap::new();
        let mut waiting = 0usize;
        for (_, item) in self.tx.list::<Item>(Log::Outbox, None, 0, ALL)? {
            let (Stage::Sealed { slot, .. }, Some(contact)) =
                (&item.stage, item.contact.array::<32>())
            else {
                continue;
            };
            let to = match reachable.entry(contact) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.reachable(&contact)?),
            };
            let to = to.as_ref().and_then(|contact| contact.reach_on(&slot.session));
            waiting = waiting.saturating_add(usize::from(to.is_some()));
        }
        Ok(waiting)
    }

    fn item(&self, seq: u64) -> Result<Option<Item>, Error> {
        let row = self.tx.row(Log::Outbox, seq)?;
        Ok(row.map(|row| super::record::decode(&row.value)).transpose()?)
    }
}

fn part_number(part: Part) -> u8 {
    match part {
        Part::Payment => 0,
        Part::Accepted => 1,
        Part::Settled => 2,
        Part::Decline => 3,
    }
}

fn part_of(number: u8) -> Option<Part> {
    [Part::Payment, Part::Accepted, Part::Settled, Part::Decline].get(usize::from(number)).copied()
}

/// Half a second, doubled with each try, at most five minutes.
pub(crate) fn pause_ms(tries: u32) -> u64 {
    500u64.saturating_mul(1 << tries.min(12)).min(300_000)
}

const ALL: u32 = 100_000;
const LEASE_MS: u64 = 15_000;
/// So long a content is kept after its acknowledgement.
const KEPT_MS: u64 = 7 * 24 * 3_600_000;
/// The longest that a row ever waits: to be tried again, or to be deposited again.
const LONGEST_WAIT_MS: u64 = 24 * 3_600_000;
