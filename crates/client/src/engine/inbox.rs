//! What the own relay delivers: opened, applied and counted in one turn, acknowledged after it.

use chopmark_core::handshake::InitId;
use chopmark_wire::relay::Deliver;
use serde::{Deserialize, Serialize};

use super::contact::{Contact, Stage};
use super::knock::{Rejected, peek};
use super::link::{Holder, Link};
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Renewal, What};
use crate::store::{Kind, Log};

/// Where we are in our own mailbox.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Mailbox {
    /// The life of the relay's store, as last seen.
    epoch: Option<[u8; 16]>,
    /// Everything up to this number is done.
    seq: u64,
    /// How many deliveries nobody could make anything of.
    skipped: u64,
    /// The highest number that the relay gave when we last subscribed, and when that was.
    #[serde(default)]
    head: Option<(u64, u64)>,
    /// The relay's numbers begin anew: the next one follows none.
    #[serde(default)]
    anew: bool,
}

impl Turn<'_, '_> {
    /// Our relay, and the key that owns our mailbox there.
    pub(crate) fn mailbox_address(
        &self,
    ) -> Result<(String, chopmark_core::signature::SigningKey), Error> {
        let account = self.account()?;
        Ok((account.relay.clone(), account.owner_key()?))
    }

    /// The subscription stands. `true`: the relay's store has another life than the one we knew, so everything is asked
    /// for from the beginning and told again (SPEC §6.7 `[new-epoch-starts-over]`).
    pub(crate) fn subscribed(&mut self, epoch: [u8; 16], head: u64) -> Result<bool, Error> {
        let mut mailbox = self.mailbox()?;
        let known = mailbox.epoch.is_none_or(|known| known == epoch);
        if known && head >= mailbox.seq {
            mailbox.epoch = Some(epoch);
            mailbox.head = Some((head, self.now.as_millis()));
            self.tx.put(Kind::Mailbox, b"", &mailbox)?;
            return Ok(false);
        }
        mailbox.epoch = Some(epoch);
        (mailbox.seq, mailbox.head, mailbox.anew) = (0, None, true);
        self.tx.put(Kind::Mailbox, b"", &mailbox)?;
        for (handle, link) in self.tx.every::<Link>(Kind::Link)? {
            if let Ok(handle) = <[u8; 8]>::try_from(handle.as_slice()) {
                self.publish_link(&handle, &link)?;
            }
        }
        self.publish_renewals(true)?;
        for (_, contact) in self.tx.every::<Contact>(Kind::Contact)? {
            let Some(grant) = contact.grant else { continue };
            if let (Some(capability), Some(handle)) =
                (grant.capability.array(), grant.handle.array())
            {
                self.owe(super::duty::Duty::grant(&capability, &handle, false))?;
            }
        }
        Ok(true)
    }

    /// Takes one delivery in. When this turn is committed the relay may forget it.
    pub(crate) fn deliver(&mut self, delivery: &Deliver) -> Result<(), Error> {
        let mut mailbox = self.mailbox()?;
        if delivery.seq <= mailbox.seq {
            return Ok(());
        }
        // Before the delivery itself: what it acknowledges may be what another life of this home sent.
        if !mailbox.anew && delivery.seq.checked_sub(1) != Some(mailbox.seq) {
            self.renew_everyone()?;
        }
        let handle = delivery.handle.0;
        let routed = match self.take(&handle, &delivery.envelope) {
            Ok(()) => self.retry_held(&handle),
            rejected => rejected,
        };
        match routed {
            Ok(()) => {}
            Err(Rejected::Hold) => self.hold(&handle, &delivery.envelope)?,
            // SPEC §9.3 [poison-is-skipped]: what cannot be opened is counted and does not block what comes after.
            Err(Rejected::Drop(why)) => {
                tracing::debug!(why, "a delivery was skipped");
                mailbox.skipped = mailbox.skipped.saturating_add(1);
            }
            Err(Rejected::Renew(contact, why)) => self.renew(&contact, why)?,
            Err(Rejected::Unreadable(contact)) => self.unreadable(&contact, &delivery.envelope)?,
            Err(Rejected::Failed(error)) => return Err(error),
        }
        (mailbox.seq, mailbox.anew) = (delivery.seq, false);
        Ok(self.tx.put(Kind::Mailbox, b"", &mailbox)?)
    }

    /// What the relay had when we subscribed, and never delivered, it delivered to another life of this home.
    pub(crate) fn miss_deliveries(&mut self) -> Result<(), Error> {
        let mut mailbox = self.mailbox()?;
        let Some((head, at)) = mailbox.head else { return Ok(()) };
        let waited = self.now.as_millis().checked_sub(at).is_none_or(|it| it >= BACKLOG_MS);
        if head <= mailbox.seq || !waited {
            return Ok(());
        }
        (mailbox.seq, mailbox.head) = (head, None);
        self.tx.put(Kind::Mailbox, b"", &mailbox)?;
        self.renew_everyone()
    }

    /// Messages were acknowledged to the relay, or expired there, that this state has not seen: SPEC §9.3
    /// [missed-deliveries-renew].
    fn renew_everyone(&mut self) -> Result<(), Error> {
        for (id, _) in self.tx.every::<Contact>(Kind::Contact)? {
            if let Ok(id) = <[u8; 32]>::try_from(id.as_slice()) {
                self.renew(&id, Renewal::MessagesLost)?;
            }
        }
        Ok(())
    }

    /// Gives up a delivery that this program fails on, whatever the device does: SPEC §9.3 [poison-is-skipped]. The turn that
    /// failed was rolled back whole.
    pub(crate) fn skip(&mut self, seq: u64) -> Result<(), Error> {
        let mut mailbox = self.mailbox()?;
        if seq <= mailbox.seq {
            return Ok(());
        }
        mailbox.seq = seq;
        mailbox.skipped = mailbox.skipped.saturating_add(1);
        self.tx.put(Kind::Mailbox, b"", &mailbox)?;
        self.emit(What::Warning { contact: None, text: SKIPPED.to_owned() })
    }

    /// Takes an envelope in, and notes it once it was.
    fn take(&mut self, handle: &[u8; 8], envelope: &[u8]) -> Result<(), Rejected> {
        self.route(handle, envelope)?;
        Ok(self.note_seen(envelope)?)
    }

    /// Nothing opens what came by a contact's capability: one side has lost a state, or someone leaves noise there. SPEC §5.9
    /// [orphan-renews]. What was seen before is an old envelope delivered again, and means nothing [replay-renews-nothing].
    fn unreadable(&mut self, contact: &[u8; 32], envelope: &[u8]) -> Result<(), Error> {
        if self.was_seen(envelope)? || self.is_renewing(contact)? {
            return Ok(());
        }
        self.note_seen(envelope)?;
        self.renew(contact, Renewal::Unreadable)
    }

    fn route(&mut self, handle: &[u8; 8], envelope: &[u8]) -> Result<(), Rejected> {
        let holder: Holder =
            self.tx.find(Kind::Handle, handle)?.ok_or(Rejected::Drop("an unknown handle"))?;
        let first = peek(envelope);
        if let Some(first) = &first {
            // SPEC §4.5 [first-message-once]: a handshake seen before belongs to its session, and to nothing else.
            if let Some(contact) = self.handshake(first.id)? {
                return self.known_handshake(&contact, first.id, envelope);
            }
        }
        match (holder, &first) {
            (Holder::Contact(contact), None) => {
                let contact = contact.array().ok_or(Error::Internal("a holder"))?;
                self.arrived(&contact, envelope)
            }
            (Holder::Contact(contact), Some(first)) => {
                let contact = contact.array().ok_or(Error::Internal("a holder"))?;
                self.begun_again(&contact, envelope, first)
            }
            (Holder::Link, Some(first)) => self.knocked(handle, envelope, first),
            (Holder::Link, None) => self.by_link_without_handshake(envelope),
        }
    }

    fn known_handshake(
        &mut self,
        contact: &[u8; 32],
        init: InitId,
        envelope: &[u8],
    ) -> Result<(), Rejected> {
        if !self.knows_handshake(contact, init)? {
            return Err(Rejected::Drop("a replay of a first message"));
        }
        match self.arrived(contact, envelope) {
            // Of that session, and opened before or altered: nothing that was lost.
            Err(Rejected::Unreadable(_)) => Err(Rejected::Drop("an old first message")),
            other => other,
        }
    }

    /// A message on one of a contact's sessions.
    pub(crate) fn arrived(&mut self, contact: &[u8; 32], envelope: &[u8]) -> Result<(), Rejected> {
        let stage = Contact::load(self.tx, contact)?.map(|contact| contact.stage);
        if stage.is_none_or(|stage| stage == Stage::Rejected) {
            return Err(Rejected::Drop("nobody we listen to"));
        }
        let arrived = self.open(contact, envelope)?;
        if let Some(mut record) = Contact::load(self.tx, contact)?
            && record.unanswered > 0
        {
            record.unanswered = 0;
            record.save(self.tx, contact)?;
        }
        if arrived.moved {
            self.renewed(contact)?;
        }
        if arrived.moved || arrived.confirmed {
            self.seal_again(contact)?;
        }
        if arrived.confirmed {
            self.lift_claimed(contact, arrived.session)?;
        }
        if let Some(payload) = &arrived.payload {
            self.take_payload(contact, payload, arrived.session)?;
        }
        let content = arrived.payload.as_ref().is_some_and(|it| it.content.is_some());
        self.owe_acknowledgement(contact, arrived.session, arrived.position, content)?;
        Ok(self.nudge_sessions(contact)?)
    }

    /// A message that came by a link and carries no handshake: its writer wrote by the link after we answered, and has not
    /// seen the answer yet. Whose it is only the sessions tell.
    fn by_link_without_handshake(&mut self, envelope: &[u8]) -> Result<(), Rejected> {
        for (id, _) in self.tx.every::<Contact>(Kind::Contact)? {
            let Ok(id) = <[u8; 32]>::try_from(id.as_slice()) else { continue };
            match self.arrived(&id, envelope) {
                Err(Rejected::Drop(_) | Rejected::Unreadable(_)) => {}
                other => return other,
            }
        }
        Err(Rejected::Drop("an envelope that no session opens"))
    }

    /// Keeps what came by a link before the manifest that vouches for it. Anyone who has the link can leave such a message, so
    /// only the last few are kept (SPEC §6.9 [strangers-are-bounded]).
    fn hold(&mut self, handle: &[u8; 8], envelope: &[u8]) -> Result<(), Error> {
        let rows = self.tx.rows_after(Log::HeldKnocks, Some(handle), 0, HELD_MOST)?;
        if rows.len() >= HELD_MOST as usize
            && let Some(oldest) = rows.first()
        {
            self.tx.remove(Log::HeldKnocks, oldest.seq)?;
        }
        self.tx.append(Log::HeldKnocks, handle, envelope)?;
        Ok(())
    }

    /// What came by a link before the manifest that vouches for it did. Each is tried once, and none of them tries others: a
    /// stranger who leaves many does not make us go deep.
    fn retry_held(&mut self, handle: &[u8; 8]) -> Result<(), Rejected> {
        for row in self.tx.rows_after(Log::HeldKnocks, Some(handle), 0, HELD_MOST)? {
            self.tx.remove(Log::HeldKnocks, row.seq)?;
            match self.take(handle, &row.value) {
                Err(Rejected::Failed(error)) => return Err(Rejected::Failed(error)),
                Err(Rejected::Hold) => {
                    self.tx.append(Log::HeldKnocks, handle, &row.value)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn mailbox(&self) -> Result<Mailbox, Error> {
        Ok(self.tx.find(Kind::Mailbox, b"")?.unwrap_or_default())
    }
}

const HELD_MOST: u32 = 16;
/// A full mailbox is delivered in less.
const BACKLOG_MS: u64 = 3_600_000;
const SKIPPED: &str =
    "a message that arrived could not be taken in and was skipped; please report it";
