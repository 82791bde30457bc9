//! Contents: how one is made and queued, and what happens when one arrives. SPEC §7.

use bytes::Bytes;
use chopmark_core::identity::AccountId;
use chopmark_core::session::SessionId;
use chopmark_core::time::Timestamp;
use chopmark_pay::Reference;
use chopmark_wire::content::{Body, Content, Fallback};
use chopmark_wire::payload::Payload;
use chopmark_wire::payment::PaymentRequest;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::contact::{Contact, Mark, Stage};
use super::outbox::Item;
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Direction, Message, MessageId, Progress, Revision, What};
use crate::store::{Kind, Log};

impl Turn<'_, '_> {
    /// Writes a text to someone: history, ratchet and outbox in one.
    pub(crate) fn send_text(&mut self, to: &[u8; 32], text: &str) -> Result<MessageId, Error> {
        if text.is_empty() || text.len() > chopmark_wire::limits::TEXT_MAX {
            return Err(Error::Text(chopmark_wire::limits::TEXT_MAX));
        }
        let contact = Contact::load(self.tx, to)?.ok_or(Error::NoSuchContact)?;
        if let Some(hold) = contact.hold() {
            return Err(Error::Held(hold));
        }
        match contact.stage {
            Stage::Accepted | Stage::Knocked | Stage::Fetching => {}
            Stage::Waiting => return Err(Error::Stage("accept this contact before you answer")),
            Stage::Rejected => return Err(Error::Stage("this contact was rejected")),
        }
        self.send_body(to, Body::Text(text.to_owned()), text)
    }

    /// Queues a body; a `text` that is not empty stands in the history.
    pub(crate) fn send_body(
        &mut self,
        to: &[u8; 32],
        body: Body,
        text: &str,
    ) -> Result<MessageId, Error> {
        let (raw, id) = self.content(to, body)?;
        let message = if text.is_empty() {
            None
        } else {
            let message = Message {
                id,
                direction: Direction::Sent,
                sent_at_ms: self.now.as_millis(),
                text: text.to_owned(),
                progress: Progress::Waiting,
                revised: Revision::Original,
                confirmed: true,
            };
            let seq = self.tx.push(Log::Messages, to, &message)?;
            self.place(to, id, seq)?;
            Some(seq)
        };
        self.queue(to, &raw, id, message, None)?;
        Ok(id)
    }

    /// Queues a message about money; its way is reported to the wallet.
    pub(crate) fn send_money(
        &mut self,
        to: &[u8; 32],
        body: Body,
        reference: Reference,
    ) -> Result<(), Error> {
        let (raw, id) = self.content(to, body)?;
        self.queue(to, &raw, id, None, Some(reference))
    }

    fn content(&mut self, to: &[u8; 32], body: Body) -> Result<(Bytes, MessageId), Error> {
        let content = Content {
            salt: self.draw()?,
            // A clock beyond what a content can say does not keep anyone from writing.
            sent_at: self.now.min(Timestamp(chopmark_wire::limits::SENT_AT_MS_MAX)),
            fallback: Fallback::default(),
            reply_to: None,
            thread_root: None,
            expiry: None,
            extensions: Vec::new(),
            body,
        };
        let raw = content.encode().map_err(|_| Error::Internal("a content that nobody takes"))?;
        let own = self.account()?.id()?;
        Ok((raw.clone(), message_id(&own, to, own.as_bytes(), &raw)))
    }

    /// A payload that a session opened: what it says of the sender, and its content. What is not certain to be theirs is
    /// shown as a claim, and changes nothing that is known. SPEC §5.8 [claim-waits].
    pub(crate) fn take_payload(
        &mut self,
        from: &[u8; 32],
        payload: &Payload,
        session: SessionId,
    ) -> Result<(), Error> {
        let claim = self.claim_of(from, session)?;
        let stranger = self.count_stranger(from, payload.content.is_some())?;
        if stranger == Some(false) {
            return Ok(());
        }
        if stranger.is_none() {
            if claim.is_none() {
                self.note_manifest(from, payload)?;
            }
            match (&payload.resend_after, &claim) {
                (Some(resend), Some(session)) => self.claim_resend(from, session, resend)?,
                (Some(resend), None) => self.resent(from, resend)?,
                (None, _) => {}
            }
        }
        let Some(raw) = &payload.content else { return Ok(()) };
        if stranger.is_some() && Content::decode(raw).is_err() {
            return Ok(());
        }
        self.take_content(from, raw, claim.as_ref())
    }

    /// A content of someone's, or what a session claims to be one.
    pub(crate) fn take_content(
        &mut self,
        from: &[u8; 32],
        raw: &Bytes,
        claim: Option<&Blob>,
    ) -> Result<(), Error> {
        let Ok(content) = Content::decode(raw) else {
            // SPEC §7.4 [poison-is-skipped]: authentic and unreadable; the next message must not wait for it.
            return self.emit(What::Warning {
                contact: Some((*from).into()),
                text: "a message could not be read and was skipped".to_owned(),
            });
        };
        let own = self.account()?.id()?;
        let id = message_id(&own, from, from, raw);
        // SPEC §9.3 [shown-once]: sealed again on another session, it is the same message.
        let shown = self.tx.load(Kind::Shown as u8, id.as_bytes())?;
        match (&shown, claim) {
            (Some(shown), None) if shown.get(8) == Some(&CLAIMED) => {
                self.note_shown(id, false)?;
                return self.lift_content(from, id, &content.body);
            }
            // Whichever of the two sessions is confirmed, it is theirs then.
            (Some(shown), Some(session)) if shown.get(8) == Some(&CLAIMED) => {
                return self.claim_again(from, session, id, &content.body);
            }
            (Some(_), _) => return Ok(()),
            (None, _) => {}
        }
        match (&content.body, claim) {
            // It comes again from who is certain to be them, or does what it says once this session is confirmed.
            (Body::Introduction(introduction), Some(_)) => {
                return self.introduced(from, introduction, claim);
            }
            (
                Body::Edit(_)
                | Body::Retract(_)
                | Body::Reaction(_)
                | Body::PaymentReceipt(_)
                | Body::PaymentDecline(_)
                | Body::PaymentCancel(_),
                Some(session),
            ) => return self.defer(from, session, raw),
            _ => {}
        }
        self.note_shown(id, claim.is_some())?;
        let sent_at = content.sent_at.as_millis();
        match &content.body {
            Body::Introduction(introduction) => self.introduced(from, introduction, None),
            Body::Text(text) => self.show(from, id, sent_at, text, claim),
            Body::PaymentRequest(_)
            | Body::Payment(_)
            | Body::PaymentReceipt(_)
            | Body::PaymentDecline(_)
            | Body::PaymentCancel(_) => self.take_or_hold_money(from, raw, &content.body, claim),
            Body::Edit(_) | Body::Retract(_) | Body::Reaction(_) => {
                self.revise(from, &content.body)
            }
            // SPEC §7.4: what this version does not act on is shown by its fallback text.
            _ if content.fallback.text.is_empty() => Ok(()),
            _ => self.show(from, id, sent_at, &content.fallback.text, claim),
        }
    }

    fn note_shown(&mut self, id: MessageId, claimed: bool) -> Result<(), Error> {
        let mut shown = self.now.day().to_be_bytes().to_vec();
        shown.extend(claimed.then_some(CLAIMED));
        Ok(self.tx.store(Kind::Shown as u8, id.as_bytes(), &shown)?)
    }

    /// What was shown as a claim of one session came on another one that is not confirmed either.
    fn claim_again(
        &mut self,
        from: &[u8; 32],
        session: &Blob,
        id: MessageId,
        body: &Body,
    ) -> Result<(), Error> {
        match (body, self.placed(from, id)?) {
            (Body::PaymentRequest(bytes), _) => match PaymentRequest::decode(bytes) {
                Ok((request, _)) => self.mark_request(from, session, &request.0),
                Err(_) => Ok(()),
            },
            (_, Some((seq, _))) => self.mark_message(from, session, seq),
            (_, None) => Ok(()),
        }
    }

    /// What was shown as a claim came again on a session that is certain to be theirs.
    fn lift_content(&mut self, from: &[u8; 32], id: MessageId, body: &Body) -> Result<(), Error> {
        match body {
            Body::PaymentRequest(_) => self.take_money(from, body, None),
            _ => match self.placed(from, id)? {
                Some((seq, _)) => self.lift_message(seq),
                None => Ok(()),
            },
        }
    }

    /// SPEC §6.9 [strangers-are-bounded]: whoever waits to be accepted leaves so many contents and no more. `None`: they do
    /// not wait; else whether this one is still taken.
    fn count_stranger(&mut self, from: &[u8; 32], content: bool) -> Result<Option<bool>, Error> {
        let Some(mut contact) = Contact::load(self.tx, from)? else { return Ok(None) };
        if contact.stage != Stage::Waiting {
            return Ok(None);
        }
        if content && contact.left >= LEFT_MOST {
            return Ok(Some(false));
        }
        if content {
            contact.left = contact.left.saturating_add(1);
            contact.save(self.tx, from)?;
        }
        Ok(Some(true))
    }

    /// SPEC §7.1 [withheld-manifest-shows]: the sender names the newest manifest; if we know another, someone keeps it from
    /// us, or shows us another one.
    fn note_manifest(&mut self, from: &[u8; 32], payload: &Payload) -> Result<(), Error> {
        let Some(mut contact) = Contact::load(self.tx, from)? else { return Ok(()) };
        let named = Mark::from(payload.manifest);
        let Some(known) = &contact.mark else { return Ok(()) };
        if !named.is_news_to(known) || contact.warned_of.as_ref() == Some(&named) {
            return Ok(());
        }
        contact.warned_of = Some(named);
        contact.save(self.tx, from)?;
        self.emit(What::Warning {
            contact: Some((*from).into()),
            text: "this contact's devices changed and the change did not arrive; compare the \
                   safety number before you trust new messages"
                .to_owned(),
        })
    }

    /// SPEC §6.9 [no-reaction-before-consent]: no issuer hears of a payment before its payer is accepted.
    fn take_or_hold_money(
        &mut self,
        from: &[u8; 32],
        raw: &Bytes,
        body: &Body,
        claim: Option<&Blob>,
    ) -> Result<(), Error> {
        let stage = Contact::load(self.tx, from)?.map(|contact| contact.stage);
        if stage == Some(Stage::Accepted) {
            return self.take_money(from, body, claim);
        }
        let held = Held { content: Blob::new(raw), claim: claim.cloned() };
        self.tx.push(Log::Held, from, &held)?;
        Ok(())
    }

    /// Forgets what waited for someone who is not accepted after all.
    pub(crate) fn drop_held(&mut self, from: &[u8; 32]) -> Result<(), Error> {
        for row in self.tx.rows_after(Log::Held, Some(from), 0, u32::MAX)? {
            self.tx.remove(Log::Held, row.seq)?;
        }
        Ok(())
    }

    /// What waited for this contact to be accepted.
    pub(crate) fn release_held(&mut self, from: &[u8; 32]) -> Result<(), Error> {
        for (seq, held) in self.tx.list::<Held>(Log::Held, Some(from), 0, 1_000)? {
            self.tx.remove(Log::Held, seq)?;
            if let Ok(content) = Content::decode(&Bytes::copy_from_slice(&held.content)) {
                self.take_money(from, &content.body, held.claim.as_ref())?;
            }
        }
        Ok(())
    }

    fn show(
        &mut self,
        from: &[u8; 32],
        id: MessageId,
        sent_at_ms: u64,
        text: &str,
        claim: Option<&Blob>,
    ) -> Result<(), Error> {
        let confirmed = claim.is_none();
        let message = Message {
            id,
            direction: Direction::Received,
            sent_at_ms,
            text: text.to_owned(),
            progress: Progress::Delivered,
            revised: Revision::Original,
            confirmed,
        };
        let seq = self.tx.push(Log::Messages, from, &message)?;
        self.place(from, id, seq)?;
        if let Some(session) = claim {
            self.mark_message(from, session, seq)?;
        }
        self.emit(What::Message {
            contact: (*from).into(),
            message: id,
            text: text.to_owned(),
            sent_at_ms,
            confirmed,
        })
    }

    /// Marks how far a message of ours has come.
    pub(crate) fn progress(&mut self, item: &Item, progress: Progress) -> Result<(), Error> {
        let Some(seq) = item.message else { return Ok(()) };
        let Some(row) = self.tx.row(Log::Messages, seq)? else { return Ok(()) };
        let mut message: Message = super::record::decode(&row.value)?;
        message.progress = progress;
        Ok(self.tx.rewrite(Log::Messages, seq, &super::record::encode(&message)?)?)
    }
}

/// A message about money from someone who is not accepted.
#[derive(Serialize, Deserialize)]
struct Held {
    content: Blob,
    /// The session that claims to be theirs.
    claim: Option<Blob>,
}

const LEFT_MOST: u32 = 64;
/// Behind the day on which a content was shown: it was shown as a claim.
const CLAIMED: u8 = 1;

/// SPEC §7.2: both sides name a message alike. A conversation of two is named by both accounts, the lower one first.
fn message_id(own: &AccountId, peer: &[u8; 32], sender: &[u8; 32], raw: &[u8]) -> MessageId {
    let (low, high) =
        if own.as_bytes() <= peer { (own.as_bytes(), peer) } else { (peer, own.as_bytes()) };
    let conversation =
        chopmark_core::hash::sha256(chopmark_core::label::CONVERSATION, &[low, high]);
    let id = chopmark_wire::content::MessageId::of(&conversation, sender, raw);
    MessageId(*id.as_bytes())
}
