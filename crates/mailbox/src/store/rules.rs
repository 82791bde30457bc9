//! What each request does to a store, in one batch at one time (SPEC §6.6, §6.7). A refusal writes nothing.

use std::collections::HashMap;

use bytes::Bytes;
use chopmark_core::{codec::DecodeError, time::Timestamp};
use chopmark_wire::relay::{
    self as wire, CapabilityHash, CapabilityKind, Deliver, FetchId, Hour, MailboxId, MessageId,
    Publish, Refusal, TtlClass, limits,
};

use super::{
    StoreAnswer, StoreRequest,
    batch::Batch,
    disk::{Disk, DiskError, Writes},
    expiry::Expiry,
    record::{self, Fetched, Grant, Life, Link, Mailbox, Message, Seen},
};
use crate::relay::TokenBucket;

/// The rules, in one batch at one time.
pub(super) struct Rules<'a, D> {
    pub(super) batch: Batch<'a, D>,
    /// Mailboxes and grants of this batch, read once and written once.
    mailboxes: HashMap<MailboxId, Held<Mailbox>>,
    grants: HashMap<CapabilityHash, Held<Grant>>,
    now: Timestamp,
    life: Life,
    /// The number of the next mailbox or link, and what it was.
    next: u64,
    counted: u64,
    expiry: Expiry,
    pub(super) idle_hours: u64,
}

/// A record as it is now, and whether that is to be written.
struct Held<T> {
    record: Option<T>,
    changed: bool,
}

/// A refusal, or a disk that failed under the rule.
pub(super) enum Not {
    Refused(Refusal),
    Failed(DiskError),
}

impl From<DiskError> for Not {
    fn from(error: DiskError) -> Self {
        Self::Failed(error)
    }
}

impl From<DecodeError> for Not {
    fn from(_: DecodeError) -> Self {
        Self::Failed(DiskError::Broken(
            "a record cannot be read; restore the data folder from a backup".into(),
        ))
    }
}

pub(super) type Rule<T> = Result<T, Not>;

const NOT_ACCEPTED: Not = Not::Refused(Refusal::NotAccepted);
/// SPEC §6.6 [full-looks-empty]: an empty bucket and a full mailbox say the same.
const LATER: Not = Not::Refused(Refusal::Later { hours: 1 });
const LIMIT: Not = Not::Refused(Refusal::Limit);
/// No mailbox has this id, and none this number.
const NOBODY: MailboxId = MailboxId([0; 32]);

impl<'a, D: Disk> Rules<'a, D> {
    pub(super) fn new(
        batch: Batch<'a, D>,
        now: Timestamp,
        life: Life,
        next: u64,
        expiry: Expiry,
        idle_hours: u64,
    ) -> Self {
        let (mailboxes, grants) = (HashMap::new(), HashMap::new());
        Self { batch, mailboxes, grants, now, life, next, counted: next, expiry, idle_hours }
    }

    /// Everything to be written, and the next number once it is.
    pub(super) fn into_writes(mut self) -> (Writes, u64) {
        let mailboxes = self.mailboxes.into_iter().filter(|(_, held)| held.changed);
        for (id, held) in mailboxes {
            self.batch.write(record::mailbox(&id), held.record.map(|it| it.encode().into()));
        }
        let grants = self.grants.into_iter().filter(|(_, held)| held.changed);
        for (hash, held) in grants {
            self.batch.write(record::grant(&hash), held.record.map(|it| it.encode().into()));
        }
        if self.next != self.counted {
            self.batch.put(record::COUNTER.to_vec(), record::write_u64(self.next));
        }
        (self.batch.into_writes(), self.next)
    }

    pub(super) fn answer(&mut self, request: StoreRequest) -> Rule<StoreAnswer> {
        match request {
            StoreRequest::Create { mailbox, new } => self.create(mailbox, new),
            StoreRequest::Grant { mailbox, grant } => self.grant(mailbox, &grant),
            StoreRequest::Revoke { mailbox, capability } => self.revoke(&mailbox, &capability),
            StoreRequest::Publish { mailbox, publish } => self.publish(&mailbox, publish),
            StoreRequest::Subscribe { mailbox } => {
                let head = self.owned(&mailbox)?.head;
                Ok(StoreAnswer::Subscribed { epoch: self.life.epoch, head })
            }
            StoreRequest::Read { mailbox, after, messages, bytes } => {
                self.read(&mailbox, after, messages, bytes)
            }
            StoreRequest::Ack { mailbox, seqs } => self.ack(&mailbox, &seqs),
            StoreRequest::Delete { mailbox } => {
                self.delete(&mailbox)?;
                Ok(StoreAnswer::Done)
            }
            StoreRequest::Deposit { capability, ttl, id, envelope } => {
                self.deposit(&capability, ttl, &id, envelope)
            }
            StoreRequest::Probe { capability } => {
                match self.good(&capability)?.0.deposits.has_one(self.now) {
                    true => Ok(StoreAnswer::Done),
                    false => Err(LATER),
                }
            }
            StoreRequest::Fetch { capability, id } => self.fetch(&capability, &id),
        }
    }

    pub(super) fn mailbox(&mut self, id: &MailboxId) -> Rule<Option<Mailbox>> {
        if let Some(held) = self.mailboxes.get(id) {
            return Ok(held.record);
        }
        let bytes = self.batch.load(&record::mailbox(id))?;
        let record = bytes.map(|bytes| Mailbox::decode(&bytes)).transpose()?;
        self.mailboxes.insert(*id, Held { record, changed: false });
        Ok(record)
    }

    pub(super) fn put_mailbox(&mut self, id: MailboxId, mailbox: Option<Mailbox>) {
        self.mailboxes.insert(id, Held { record: mailbox, changed: true });
    }

    /// A mailbox that its owner asks something of.
    fn owned(&mut self, id: &MailboxId) -> Rule<Mailbox> {
        let mut mailbox = self.mailbox(id)?.ok_or(NOT_ACCEPTED)?;
        let hour = self.expiry.until(self.now, 0);
        if hour >= mailbox.touched.plus(limits::MAILBOX_TOUCH_HOURS) {
            mailbox.touched = hour;
            self.put_mailbox(*id, Some(mailbox));
        }
        Ok(mailbox)
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    pub(super) fn granted(&mut self, capability: &CapabilityHash) -> Rule<Option<Grant>> {
        if let Some(held) = self.grants.get(capability) {
            return Ok(held.record.clone());
        }
        let bytes = self.batch.load(&record::grant(capability))?;
        let record = bytes.map(|bytes| Grant::decode(&bytes)).transpose()?;
        self.grants.insert(*capability, Held { record: record.clone(), changed: false });
        Ok(record)
    }

    pub(super) fn put_grant(&mut self, capability: CapabilityHash, grant: Option<Grant>) {
        self.grants.insert(capability, Held { record: grant, changed: true });
    }

    /// A grant that is not expired, and its mailbox. The same reads whether there is one or not (SPEC §6.6
    /// [capability-same-answer]).
    fn found(&mut self, capability: &CapabilityHash) -> Rule<Option<(Grant, Mailbox)>> {
        let grant = self.granted(capability)?;
        let mailbox = self.mailbox(&grant.as_ref().map_or(NOBODY, |grant| grant.mailbox))?;
        let hour = Hour::of(self.now);
        Ok(grant.zip(mailbox).filter(|(grant, mailbox)| {
            grant.number == mailbox.number && grant.expires.is_none_or(|expires| expires > hour)
        }))
    }

    fn good(&mut self, capability: &CapabilityHash) -> Rule<(Grant, Mailbox)> {
        self.found(capability)?.ok_or(NOT_ACCEPTED)
    }

    fn create(&mut self, id: MailboxId, new: bool) -> Rule<StoreAnswer> {
        if self.mailbox(&id)?.is_some() {
            self.owned(&id)?;
            return Ok(StoreAnswer::Done);
        }
        if !new {
            return Err(LATER);
        }
        // A clock that is behind makes no mailbox that is idle from the start.
        let (number, hour) = (self.number(), self.expiry.until(self.now, 0));
        self.put_mailbox(id, Some(Mailbox::new(number, hour)));
        self.batch.put(record::owner_of(number), Bytes::copy_from_slice(id.as_bytes()));
        self.look_at_idle(&id, number, hour);
        Ok(StoreAnswer::Made)
    }

    /// A mailbox that was touched then is looked at again when it would be idle.
    pub(super) fn look_at_idle(&mut self, id: &MailboxId, number: u64, touched: Hour) {
        let at = record::expiry(touched.plus(self.idle_hours), &record::idle(id, number));
        self.batch.put(at, Bytes::new());
    }

    fn grant(&mut self, mailbox: MailboxId, grant: &wire::Grant) -> Rule<StoreAnswer> {
        let mut record = self.owned(&mailbox)?;
        let held = self.granted(&grant.capability)?;
        // One whose mailbox was deleted is nobody's.
        let live = match &held {
            Some(held) => self.mailbox(&held.mailbox)?.is_some_and(|it| it.number == held.number),
            None => false,
        };
        let deposits = match held {
            Some(held) if live && held.mailbox != mailbox => {
                return Err(Not::Refused(Refusal::Conflict));
            }
            Some(held) if live => held.deposits.with_rate(self.now, grant.rate),
            _ if record.grants >= limits::CAPABILITIES_MAX => return Err(LIMIT),
            stale => {
                if stale.is_some() {
                    self.drop_link(&grant.capability)?;
                }
                record.grants = record.grants.saturating_add(1);
                self.put_mailbox(mailbox, Some(record));
                self.batch.put(record::grant_of(record.number, &grant.capability), Bytes::new());
                TokenBucket::full(self.now, grant.rate)
            }
        };
        let (handle, kind, expires) = (grant.handle, grant.kind, grant.expires);
        let held = Grant { mailbox, number: record.number, handle, kind, expires, deposits };
        self.put_grant(grant.capability, Some(held));
        Ok(StoreAnswer::Done)
    }

    fn revoke(&mut self, mailbox: &MailboxId, capability: &CapabilityHash) -> Rule<StoreAnswer> {
        let mut record = self.owned(mailbox)?;
        let held = self.granted(capability)?;
        if held.is_some_and(|held| held.mailbox == *mailbox && held.number == record.number) {
            if let Some(link) = self.drop_link(capability)? {
                record.published = record.published.saturating_sub(link.bytes());
                record.fetches = record.fetches.saturating_sub(link.answered);
            }
            self.put_grant(*capability, None);
            self.batch.delete(record::grant_of(record.number, capability));
            record.grants = record.grants.saturating_sub(1);
            self.put_mailbox(*mailbox, Some(record));
        }
        Ok(StoreAnswer::Done)
    }

    pub(super) fn link(&self, capability: &CapabilityHash) -> Rule<Option<Link>> {
        let bytes = self.batch.load(&record::link(capability))?;
        Ok(bytes.map(|bytes| Link::decode(&bytes)).transpose()?)
    }

    pub(super) fn put_link(&mut self, capability: &CapabilityHash, link: &Link) {
        self.batch.put(record::link(capability), link.encode());
    }

    /// A link goes; what hangs on it, a bit at a time.
    pub(super) fn drop_link(&mut self, capability: &CapabilityHash) -> Rule<Option<Link>> {
        let link = self.link(capability)?;
        if let Some(link) = &link {
            self.batch.delete(record::link(capability));
            self.drop_number(link.number);
        }
        Ok(link)
    }

    /// Deletes a mailbox, if it is there: from here on it is not. What hangs on it goes a bit at a time, however much
    /// it is (SPEC §6.7 [delete-in-steps]).
    pub(super) fn delete(&mut self, id: &MailboxId) -> Rule<()> {
        if let Some(mailbox) = self.mailbox(id)? {
            self.put_mailbox(*id, None);
            self.batch.delete(record::owner_of(mailbox.number));
            self.drop_number(mailbox.number);
        }
        Ok(())
    }

    fn publish(&mut self, mailbox: &MailboxId, publish: Publish) -> Rule<StoreAnswer> {
        let mut record = self.owned(mailbox)?;
        let knock = publish.knock;
        let (held, _) = self.good(&knock)?;
        if held.mailbox != *mailbox || held.kind != CapabilityKind::Knock {
            return Err(NOT_ACCEPTED);
        }
        let known = self.link(&knock)?;
        let new = known.is_none();
        let mut link = known.unwrap_or_else(|| Link {
            number: 0,
            life: self.life.count,
            link: publish.link,
            fetches: TokenBucket::fetches(self.now),
            budget: TokenBucket::one_time(self.now, publish.link),
            first: 0,
            end: 0,
            stock: 0,
            bundle: 0,
            answered: 0,
        });
        if link.link != publish.link {
            return Err(Not::Refused(Refusal::Conflict));
        }
        let replace = publish.replace_one_time || link.life != self.life.count;
        let before = link.bytes();
        let (mut first, mut stock) = (link.first, link.stock);
        if replace {
            (first, stock) = (link.end, 0);
        }
        let added = publish.one_time.len() as u64;
        let bytes: usize = publish.one_time.iter().map(Bytes::len).sum();
        let bundle = u32::try_from(publish.bundle.len()).unwrap_or(u32::MAX);
        let after = stock.saturating_add(bytes as u64).saturating_add(u64::from(bundle));
        let published = record.published.saturating_sub(before).saturating_add(after);
        if link.end.saturating_sub(first).saturating_add(added) > limits::ONE_TIME_STOCK_MAX as u64
            || published > limits::MAILBOX_PUBLISHED_BYTES_MAX
        {
            return Err(LIMIT);
        }
        if new {
            link.number = self.number();
        }
        for count in link.first..first {
            self.batch.delete(record::one_time(link.number, count));
        }
        for blob in publish.one_time {
            self.batch.put(record::one_time(link.number, link.end), blob);
            link.end = link.end.saturating_add(1);
        }
        link.first = first;
        link.stock = stock.saturating_add(bytes as u64);
        link.bundle = bundle;
        link.life = self.life.count;
        self.batch.put(record::bundle(link.number), publish.bundle);
        self.put_link(&knock, &link);
        record.published = published;
        self.put_mailbox(*mailbox, Some(record));
        Ok(StoreAnswer::Done)
    }

    fn read(
        &mut self,
        mailbox: &MailboxId,
        after: u64,
        messages: usize,
        bytes: usize,
    ) -> Rule<StoreAnswer> {
        let number = self.mailbox(mailbox)?.ok_or(NOT_ACCEPTED)?.number;
        let prefix = record::hanging(record::MESSAGE, number);
        let from = record::message(number, after.saturating_add(1));
        let mut room = bytes;
        let mut read = Vec::new();
        for (key, value) in self.batch.scan(&prefix, &from, messages, bytes)? {
            let seq = key.last_chunk().map_or(0, |seq| u64::from_be_bytes(*seq));
            let Message { handle, envelope, .. } = Message::decode(&value)?;
            let Some(left) = room.checked_sub(envelope.len()) else { break };
            room = left;
            read.push(Deliver { seq, handle, envelope });
        }
        Ok(StoreAnswer::Messages(read))
    }

    /// The message goes; what was seen stays until its time: a tombstone.
    fn ack(&mut self, mailbox: &MailboxId, seqs: &[u64]) -> Rule<StoreAnswer> {
        let mut record = self.owned(mailbox)?;
        let mut lost = false;
        for seq in seqs {
            lost |= self.drop_message(&mut record, *seq)?;
        }
        if lost {
            self.put_mailbox(*mailbox, Some(record));
        }
        Ok(StoreAnswer::Done)
    }

    /// A message goes, if it is there.
    pub(super) fn drop_message(&mut self, mailbox: &mut Mailbox, seq: u64) -> Rule<bool> {
        let key = record::message(mailbox.number, seq);
        let Some(value) = self.batch.load(&key)? else { return Ok(false) };
        let message = Message::decode(&value)?;
        mailbox.lose(message.kind, message.envelope.len() as u64);
        self.batch.delete(key);
        Ok(true)
    }

    fn deposit(
        &mut self,
        capability: &CapabilityHash,
        ttl: TtlClass,
        id: &MessageId,
        envelope: Bytes,
    ) -> Rule<StoreAnswer> {
        // SPEC §6.6 [capability-same-answer]: a capability that opens nothing reads what a good one reads.
        let good = self.found(capability)?;
        let number = good.as_ref().map_or(0, |(_, mailbox)| mailbox.number);
        let key = record::seen(number, id);
        let seen = self.batch.load(&key)?;
        let (mut held, mut record) = good.ok_or(NOT_ACCEPTED)?;
        let stale = seen.map(|seen| Seen::decode(&seen)).transpose()?;
        if stale.is_some_and(|seen| seen.until > Hour::of(self.now)) {
            // SPEC §6.7 [dedupe-same-answer].
            return Ok(StoreAnswer::Stored { arrived: None });
        }
        let length = envelope.len() as u64;
        let knock = held.kind == CapabilityKind::Knock;
        let before = held.deposits;
        if !held.deposits.take(self.now) {
            if went_back(&before, &held.deposits) {
                self.put_grant(*capability, Some(held));
            }
            return Err(LATER);
        }
        if record.messages >= limits::MAILBOX_MESSAGES_MAX
            || record.bytes.saturating_add(length) > limits::MAILBOX_BYTES_MAX
            || record.seen >= limits::MAILBOX_SEEN_MAX
            || knock && record.knocks >= limits::KNOCK_MESSAGES_MAX
        {
            return Err(LATER);
        }
        if let Some(Seen { until, seq }) = stale {
            self.drop_message(&mut record, seq)?;
            self.batch.delete(record::expiry(until, &key));
            record.seen = record.seen.saturating_sub(1);
        }
        record.head = record.head.saturating_add(1);
        record.messages = record.messages.saturating_add(1);
        record.bytes = record.bytes.saturating_add(length);
        record.knocks = record.knocks.saturating_add(u32::from(knock));
        record.seen = record.seen.saturating_add(1);
        let (of, seq) = (held.mailbox, record.head);
        let until = self.expiry.until(self.now, ttl.hours());
        let message = Message { handle: held.handle, kind: held.kind, envelope };
        self.batch.put(record::message(number, seq), message.encode());
        self.batch.put(record::expiry(until, &key), Bytes::new());
        self.batch.put(key, Seen { until, seq }.encode());
        self.put_grant(*capability, Some(held));
        self.put_mailbox(of, Some(record));
        Ok(StoreAnswer::Stored { arrived: Some(of) })
    }

    fn fetch(&mut self, capability: &CapabilityHash, id: &FetchId) -> Rule<StoreAnswer> {
        // SPEC §6.6 [capability-same-answer]: as for a deposit, the same reads whatever they find.
        let good = self.found(capability)?;
        let link = self.link(capability)?;
        let number = link.as_ref().map_or(0, |link| link.number);
        let bundle = self.batch.load(&record::bundle(number))?;
        let key = record::fetch(number, id);
        let answered = self.batch.load(&key)?;
        let (held, mut record) = good.ok_or(NOT_ACCEPTED)?;
        let (mut link, bundle) = link.zip(bundle).ok_or(NOT_ACCEPTED)?;
        let stale = answered.map(|answered| Fetched::decode(&answered)).transpose()?;
        if let Some(Fetched { until, one_time, .. }) = &stale
            && *until > Hour::of(self.now)
        {
            return Ok(StoreAnswer::Fetched { bundle, one_time: one_time.clone() });
        }
        if record.fetches >= limits::MAILBOX_FETCHES_MAX {
            return Err(LATER);
        }
        let before = link.fetches;
        if !link.fetches.take(self.now) {
            if went_back(&before, &link.fetches) {
                self.put_link(capability, &link);
            }
            return Err(LATER);
        }
        match stale {
            Some(stale) => self.batch.delete(record::expiry(stale.until, &key)),
            None => {
                record.fetches = record.fetches.saturating_add(1);
                link.answered = link.answered.saturating_add(1);
            }
        }
        let mut one_time = None;
        let at_hand = link.first < link.end && link.life == self.life.count;
        if at_hand && link.budget.take(self.now) {
            let blob = record::one_time(number, link.first);
            one_time = self.batch.load(&blob)?;
            self.batch.delete(blob);
            link.first = link.first.saturating_add(1);
            let bytes = one_time.as_ref().map_or(0, |blob| blob.len() as u64);
            link.stock = link.stock.saturating_sub(bytes);
            record.published = record.published.saturating_sub(bytes);
        }
        let until = self.expiry.until(self.now, limits::FETCH_REPEAT_HOURS);
        let fetched = Fetched { until, capability: *capability, one_time: one_time.clone() };
        self.put_link(capability, &link);
        self.put_mailbox(held.mailbox, Some(record));
        self.batch.put(record::expiry(until, &key), Bytes::new());
        self.batch.put(key, fetched.encode());
        Ok(StoreAnswer::Fetched { bundle, one_time })
    }
}

/// The clock was ahead when this bucket was emptied. The hour that it shows now is written down although nothing was
/// taken: tokens would come back only once the wrong time is reached again.
fn went_back(before: &TokenBucket, after: &TokenBucket) -> bool {
    after.parts().3 < before.parts().3
}
