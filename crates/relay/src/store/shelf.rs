//! The rules of mailboxes, over any disk (SPEC §6.6, §6.7).

use bytes::Bytes;
use chopmark_core::{codec::DecodeError, time::Timestamp};
use chopmark_mailbox::{
    relay::TokenBucket,
    store::{MailboxStore, StoreAnswer, StoreRequest},
};
use chopmark_wire::relay::{
    self as wire, CapabilityHash, CapabilityKind, Deliver, Epoch, FetchId, Hour, MailboxId,
    MessageId, Publish, Refusal, TtlClass, limits,
};
use thiserror::Error;

use super::{
    batch::Batch,
    disk::{Disk, DiskError},
    record::{self, Fetched, Grant, Link, Mailbox, Message, Seen},
};

/// Why a batch was not taken. Nothing of it may be answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk was full; room has been made, and the next batch may be tried.
    #[error("the disk was full; the requests are to be made again")]
    Full,
    /// What is on disk is not known. The node must stop; started again, it reads what is there.
    #[error("the relay stops, because its store failed: {0}")]
    Stopped(String),
}

/// Mailboxes on a disk.
pub struct Shelf<D> {
    disk: D,
    epoch: Epoch,
    /// Whether there was room last time: the operator hears of a change, once.
    room: bool,
}

/// A refusal, or a disk that failed under the rule.
enum Not {
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
        Self::Failed(DiskError::Broken("a record cannot be read".into()))
    }
}

type Rule<T> = Result<T, Not>;

const NOT_ACCEPTED: Not = Not::Refused(Refusal::NotAccepted);
/// SPEC §6.6 [full-looks-empty]: an empty bucket and a full mailbox say the same.
const LATER: Not = Not::Refused(Refusal::Later { hours: 1 });

impl<D: Disk> Shelf<D> {
    /// The shelf on this disk. A new one gets the epoch that `draw` draws.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails.
    pub fn open(mut disk: D, draw: impl FnOnce() -> Epoch) -> Result<Self, StoreError> {
        let kept = disk.load(record::EPOCH).map_err(stopped)?;
        let epoch = match kept.as_deref().and_then(Epoch::from_slice) {
            Some(epoch) => epoch,
            None => {
                let epoch = draw();
                let value = Bytes::copy_from_slice(epoch.as_bytes());
                disk.commit(vec![(record::EPOCH.to_vec(), Some(value))]).map_err(stopped)?;
                epoch
            }
        };
        let mut shelf = Self { disk, epoch, room: true };
        shelf.look_for_room();
        Ok(shelf)
    }

    /// The disk under it.
    pub const fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk under it, to be made to fail.
    pub const fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    fn look_for_room(&mut self) -> bool {
        let room = self.disk.has_room();
        match (self.room, room) {
            (true, false) => tracing::warn!(
                "less space is free than is to be kept free: no message is taken until there is more"
            ),
            (false, true) => tracing::info!("there is space again: messages are taken"),
            _ => {}
        }
        self.room = room;
        room
    }

    fn commit(&mut self, writes: super::disk::Writes) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        match self.disk.commit(writes) {
            Ok(()) => Ok(()),
            Err(DiskError::Full) => {
                self.disk.reopen().map_err(stopped)?;
                Err(StoreError::Full)
            }
            Err(error) => Err(stopped(error)),
        }
    }
}

impl<D: Disk> MailboxStore for Shelf<D> {
    type Error = StoreError;

    fn apply(
        &mut self,
        now: Timestamp,
        requests: Vec<StoreRequest>,
    ) -> Result<Vec<StoreAnswer>, StoreError> {
        let room = self.look_for_room();
        let mut rules = Rules { batch: Batch::new(&self.disk), now, epoch: self.epoch };
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            // SPEC §6.7 [full-disk-takes-acks].
            if !room && grows(&request) {
                answers.push(StoreAnswer::Refused(Refusal::Unavailable { hours: 1 }));
                continue;
            }
            answers.push(match rules.answer(request) {
                Ok(answer) => answer,
                Err(Not::Refused(refusal)) => StoreAnswer::Refused(refusal),
                Err(Not::Failed(error)) => return Err(stopped(error)),
            });
        }
        let writes = rules.batch.into_writes();
        self.commit(writes)?;
        Ok(answers)
    }

    fn sweep(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let mut rules = Rules { batch: Batch::new(&self.disk), now, epoch: self.epoch };
        let more = match rules.sweep() {
            Ok(more) => more,
            Err(Not::Refused(_)) => false,
            Err(Not::Failed(error)) => return Err(stopped(error)),
        };
        let writes = rules.batch.into_writes();
        self.commit(writes).map(|()| more)
    }
}

const fn grows(request: &StoreRequest) -> bool {
    matches!(
        request,
        StoreRequest::Create { .. }
            | StoreRequest::Grant { .. }
            | StoreRequest::Publish { .. }
            | StoreRequest::Deposit { .. }
            | StoreRequest::Probe { .. }
            | StoreRequest::Fetch { .. }
    )
}

fn stopped(error: DiskError) -> StoreError {
    StoreError::Stopped(match error {
        DiskError::Full => "no space left on the disk".into(),
        DiskError::Broken(why) => why,
    })
}

/// The rules, in one batch at one time. A refusal writes nothing.
struct Rules<'a, D> {
    batch: Batch<'a, D>,
    now: Timestamp,
    epoch: Epoch,
}

impl<D: Disk> Rules<'_, D> {
    fn answer(&mut self, request: StoreRequest) -> Rule<StoreAnswer> {
        match request {
            StoreRequest::Create { mailbox, new } => {
                if self.mailbox(&mailbox)?.is_some() {
                    return Ok(StoreAnswer::Done);
                }
                if !new {
                    return Err(LATER);
                }
                self.put_mailbox(&mailbox, &Mailbox::default());
                Ok(StoreAnswer::Made)
            }
            StoreRequest::Grant { mailbox, grant } => self.grant(mailbox, &grant),
            StoreRequest::Revoke { mailbox, capability } => self.revoke(&mailbox, &capability),
            StoreRequest::Publish { mailbox, publish } => self.publish(&mailbox, publish),
            StoreRequest::Subscribe { mailbox } => {
                let head = self.owned(&mailbox)?.head;
                Ok(StoreAnswer::Subscribed { epoch: self.epoch, head })
            }
            StoreRequest::Read { mailbox, after, messages, bytes } => {
                self.read(&mailbox, after, messages, bytes)
            }
            StoreRequest::Ack { mailbox, seqs } => self.ack(&mailbox, &seqs),
            StoreRequest::Delete { mailbox } => self.delete(&mailbox),
            StoreRequest::Deposit { capability, ttl, id, envelope } => {
                self.deposit(&capability, ttl, &id, envelope)
            }
            StoreRequest::Probe { capability } => {
                match self.good(&capability)?.deposits.has_one(self.now) {
                    true => Ok(StoreAnswer::Done),
                    false => Err(LATER),
                }
            }
            StoreRequest::Fetch { capability, id } => self.fetch(&capability, &id),
            _ => Err(Not::Refused(Refusal::Unsupported)),
        }
    }

    fn mailbox(&self, id: &MailboxId) -> Rule<Option<Mailbox>> {
        let bytes = self.batch.load(&record::mailbox(id))?;
        Ok(bytes.map(|bytes| Mailbox::decode(&bytes)).transpose()?)
    }

    fn owned(&self, id: &MailboxId) -> Rule<Mailbox> {
        self.mailbox(id)?.ok_or(NOT_ACCEPTED)
    }

    fn put_mailbox(&mut self, id: &MailboxId, mailbox: &Mailbox) {
        self.batch.put(record::mailbox(id), mailbox.encode());
    }

    fn granted(&self, capability: &CapabilityHash) -> Rule<Option<Grant>> {
        let bytes = self.batch.load(&record::grant(capability))?;
        Ok(bytes.map(|bytes| Grant::decode(&bytes)).transpose()?)
    }

    /// A grant that is there and not expired.
    fn good(&self, capability: &CapabilityHash) -> Rule<Grant> {
        let grant = self.granted(capability)?.ok_or(NOT_ACCEPTED)?;
        match grant.expires {
            Some(expires) if expires <= Hour::of(self.now) => Err(NOT_ACCEPTED),
            _ => Ok(grant),
        }
    }

    fn grant(&mut self, mailbox: MailboxId, grant: &wire::Grant) -> Rule<StoreAnswer> {
        let mut record = self.owned(&mailbox)?;
        let deposits = match self.granted(&grant.capability)? {
            Some(held) if held.mailbox != mailbox => {
                return Err(Not::Refused(Refusal::Conflict));
            }
            Some(held) => held.deposits.with_rate(self.now, grant.rate),
            None if record.grants >= limits::CAPABILITIES_MAX => {
                return Err(Not::Refused(Refusal::Limit));
            }
            None => {
                record.grants = record.grants.saturating_add(1);
                self.put_mailbox(&mailbox, &record);
                self.batch.put(record::grant_of(&mailbox, &grant.capability), Bytes::new());
                TokenBucket::full(self.now, grant.rate)
            }
        };
        let (handle, kind, expires) = (grant.handle, grant.kind, grant.expires);
        let held = Grant { mailbox, handle, kind, expires, deposits };
        self.batch.put(record::grant(&grant.capability), held.encode());
        Ok(StoreAnswer::Done)
    }

    fn revoke(&mut self, mailbox: &MailboxId, capability: &CapabilityHash) -> Rule<StoreAnswer> {
        let mut record = self.owned(mailbox)?;
        if self.granted(capability)?.is_some_and(|held| held.mailbox == *mailbox) {
            self.drop_grant(mailbox, capability)?;
            record.grants = record.grants.saturating_sub(1);
            self.put_mailbox(mailbox, &record);
        }
        Ok(StoreAnswer::Done)
    }

    /// A capability and everything that hangs on it. Answered fetches go as they expire.
    fn drop_grant(&mut self, mailbox: &MailboxId, capability: &CapabilityHash) -> Rule<()> {
        if let Some(link) = self.link(capability)? {
            for number in link.first..link.end {
                self.batch.delete(record::one_time(capability, number));
            }
            self.batch.delete(record::link(capability));
            let prefix = record::key(b'f', &[capability.as_bytes()]);
            for (key, value) in self.batch.scan(&prefix, &prefix, usize::MAX / 2, usize::MAX / 2)? {
                let until = Fetched::decode(&value)?.until;
                self.batch.delete(record::expiry(until, &key));
                self.batch.delete(key);
            }
        }
        self.batch.delete(record::grant(capability));
        self.batch.delete(record::grant_of(mailbox, capability));
        Ok(())
    }

    fn link(&self, capability: &CapabilityHash) -> Rule<Option<Link>> {
        let bytes = self.batch.load(&record::link(capability))?;
        Ok(bytes.map(|bytes| Link::decode(&bytes)).transpose()?)
    }

    fn publish(&mut self, mailbox: &MailboxId, publish: Publish) -> Rule<StoreAnswer> {
        self.owned(mailbox)?;
        let knock = publish.knock;
        let held = self.good(&knock)?;
        if held.mailbox != *mailbox || held.kind != CapabilityKind::Knock {
            return Err(NOT_ACCEPTED);
        }
        let mut link = self.link(&knock)?.unwrap_or_else(|| Link {
            link: publish.link,
            fetches: TokenBucket::fetches(self.now),
            budget: TokenBucket::one_time(self.now, publish.link),
            first: 0,
            end: 0,
            bundle: Bytes::new(),
        });
        if link.link != publish.link {
            return Err(Not::Refused(Refusal::Conflict));
        }
        let added = u64::try_from(publish.one_time.len()).unwrap_or(u64::MAX);
        let kept = if publish.replace_one_time { 0 } else { link.end.saturating_sub(link.first) };
        if kept.saturating_add(added) > limits::ONE_TIME_STOCK_MAX as u64 {
            return Err(Not::Refused(Refusal::Limit));
        }
        if publish.replace_one_time {
            for number in link.first..link.end {
                self.batch.delete(record::one_time(&knock, number));
            }
            link.first = link.end;
        }
        for blob in publish.one_time {
            self.batch.put(record::one_time(&knock, link.end), blob);
            link.end = link.end.saturating_add(1);
        }
        link.bundle = publish.bundle;
        self.batch.put(record::link(&knock), link.encode());
        Ok(StoreAnswer::Done)
    }

    fn read(
        &self,
        mailbox: &MailboxId,
        after: u64,
        messages: usize,
        bytes: usize,
    ) -> Rule<StoreAnswer> {
        self.owned(mailbox)?;
        let prefix = record::key(b'q', &[mailbox.as_bytes()]);
        let from = record::message(mailbox, after.saturating_add(1));
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
        for seq in seqs {
            let key = record::message(mailbox, *seq);
            if let Some(value) = self.batch.load(&key)? {
                let message = Message::decode(&value)?;
                record.lose(message.kind, message.envelope.len() as u64);
                self.batch.delete(key);
            }
        }
        self.put_mailbox(mailbox, &record);
        Ok(StoreAnswer::Done)
    }

    fn delete(&mut self, mailbox: &MailboxId) -> Rule<StoreAnswer> {
        let all = usize::MAX / 2;
        let grants = record::key(b'G', &[mailbox.as_bytes()]);
        for (key, _) in self.batch.scan(&grants, &grants, all, all)? {
            if let Some(hash) = key.last_chunk() {
                self.drop_grant(mailbox, &CapabilityHash(*hash))?;
            }
        }
        let seen = record::key(b's', &[mailbox.as_bytes()]);
        for (key, value) in self.batch.scan(&seen, &seen, all, all)? {
            let Seen { until, seq } = Seen::decode(&value)?;
            self.batch.delete(record::message(mailbox, seq));
            self.batch.delete(record::expiry(until, &key));
            self.batch.delete(key);
        }
        self.batch.delete(record::mailbox(mailbox));
        Ok(StoreAnswer::Done)
    }

    fn deposit(
        &mut self,
        capability: &CapabilityHash,
        ttl: TtlClass,
        id: &MessageId,
        envelope: Bytes,
    ) -> Rule<StoreAnswer> {
        // SPEC §6.6 [capability-same-answer]: a capability that opens nothing reads what a good one reads.
        let good = self.good(capability);
        let nobody = MailboxId([0; 32]);
        let of = good.as_ref().map_or(nobody, |held| held.mailbox);
        let mailbox = self.mailbox(&of)?;
        let seen = self.batch.load(&record::seen(&of, id))?;
        let mut held = good?;
        let mut record = mailbox.ok_or(NOT_ACCEPTED)?;
        let hour = Hour::of(self.now);
        if let Some(seen) = seen {
            let Seen { until, .. } = Seen::decode(&seen)?;
            if until > hour {
                // SPEC §6.7 [dedupe-same-answer].
                return Ok(StoreAnswer::Stored { arrived: None });
            }
            self.forget(&of, id, &mut record)?;
        }
        let length = envelope.len() as u64;
        let knock = held.kind == CapabilityKind::Knock;
        if !held.deposits.take(self.now)
            || record.messages >= limits::MAILBOX_MESSAGES_MAX
            || record.bytes.saturating_add(length) > limits::MAILBOX_BYTES_MAX
            || knock && record.knocks >= limits::KNOCK_MESSAGES_MAX
        {
            return Err(LATER);
        }
        record.head = record.head.saturating_add(1);
        record.messages = record.messages.saturating_add(1);
        record.bytes = record.bytes.saturating_add(length);
        record.knocks = record.knocks.saturating_add(u32::from(knock));
        let (seq, until, key) = (record.head, hour.plus(ttl.hours()), record::seen(&of, id));
        let message = Message { handle: held.handle, kind: held.kind, envelope };
        self.batch.put(record::message(&of, seq), message.encode());
        self.batch.put(record::expiry(until, &key), Bytes::new());
        self.batch.put(key, Seen { until, seq }.encode());
        self.batch.put(record::grant(capability), held.encode());
        self.put_mailbox(&of, &record);
        Ok(StoreAnswer::Stored { arrived: Some(of) })
    }

    /// A message whose time is over, and its tombstone.
    fn forget(&mut self, mailbox: &MailboxId, id: &MessageId, record: &mut Mailbox) -> Rule<()> {
        let key = record::seen(mailbox, id);
        let Some(value) = self.batch.load(&key)? else { return Ok(()) };
        let Seen { until, seq } = Seen::decode(&value)?;
        if let Some(value) = self.batch.load(&record::message(mailbox, seq))? {
            let message = Message::decode(&value)?;
            record.lose(message.kind, message.envelope.len() as u64);
            self.batch.delete(record::message(mailbox, seq));
            self.put_mailbox(mailbox, record);
        }
        self.batch.delete(record::expiry(until, &key));
        self.batch.delete(key);
        Ok(())
    }

    fn fetch(&mut self, capability: &CapabilityHash, id: &FetchId) -> Rule<StoreAnswer> {
        // SPEC §6.6 [capability-same-answer]: as for a deposit, the same reads whatever they find.
        let good = self.good(capability);
        let link = self.link(capability)?;
        let key = record::fetch(capability, id);
        let answered = self.batch.load(&key)?;
        good?;
        let mut link = link.ok_or(NOT_ACCEPTED)?;
        let bundle = link.bundle.clone();
        let mut stale = None;
        if let Some(value) = answered {
            let Fetched { until, one_time } = Fetched::decode(&value)?;
            if until > Hour::of(self.now) {
                return Ok(StoreAnswer::Fetched { bundle, one_time });
            }
            stale = Some(record::expiry(until, &key));
        }
        if !link.fetches.take(self.now) {
            return Err(LATER);
        }
        stale.into_iter().for_each(|key| self.batch.delete(key));
        let mut one_time = None;
        if link.first < link.end && link.budget.take(self.now) {
            let blob = record::one_time(capability, link.first);
            one_time = self.batch.load(&blob)?;
            self.batch.delete(blob);
            link.first = link.first.saturating_add(1);
        }
        let until = Hour::of(self.now).plus(limits::FETCH_REPEAT_HOURS);
        let fetched = Fetched { until, one_time: one_time.clone() };
        self.batch.put(record::link(capability), link.encode());
        self.batch.put(record::expiry(until, &key), Bytes::new());
        self.batch.put(key, fetched.encode());
        Ok(StoreAnswer::Fetched { bundle, one_time })
    }

    /// Up to a thousand things whose hour has come; answers whether there may be more.
    fn sweep(&mut self) -> Rule<bool> {
        let found = self.batch.scan(b"x", b"x", SWEEP_COUNT, usize::MAX / 2)?;
        let full = found.len() == SWEEP_COUNT;
        for (key, _) in found {
            let hour = key.get(1..).and_then(|rest| rest.split_first_chunk());
            let Some((hour, of)) = hour else { continue };
            if u64::from_be_bytes(*hour) > Hour::of(self.now).0 {
                return Ok(false);
            }
            let (mailbox, id) = (of.get(1..33), of.get(33..));
            match (of.first(), mailbox.and_then(MailboxId::from_slice)) {
                (Some(b's'), Some(mailbox)) => {
                    let id = id.and_then(MessageId::from_slice);
                    let record = self.mailbox(&mailbox)?;
                    if let (Some(id), Some(mut record)) = (id, record) {
                        self.forget(&mailbox, &id, &mut record)?;
                    }
                }
                _ => self.batch.delete(of.to_vec()),
            }
            self.batch.delete(key);
        }
        Ok(full)
    }
}

const SWEEP_COUNT: usize = 1000;
