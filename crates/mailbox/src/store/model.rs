//! The plainest store: maps in memory. What it answers, every store answers; tests compare.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
};

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::relay::{
    CapabilityHash, CapabilityKind, Deliver, Epoch, FetchId, Grant, Handle, Hour, LinkUse,
    MailboxId, MessageId, Publish, Refusal, TtlClass, limits,
};

use super::{MailboxStore, StoreAnswer, StoreRequest, expiry::Expiry};
use crate::relay::TokenBucket;

/// A store in memory.
#[derive(Clone, Debug)]
pub struct Model {
    epoch: Epoch,
    expiry: Expiry,
    mailboxes: HashMap<MailboxId, Mailbox>,
    grants: HashMap<CapabilityHash, Held>,
}

#[derive(Clone, Debug)]
struct Mailbox {
    /// The hour of the owner's last request, to the day.
    touched: Hour,
    head: u64,
    messages: BTreeMap<u64, Message>,
    /// Every message id seen, until the message's own ttl is over: read or not; and the message's number.
    seen: HashMap<MessageId, (Hour, u64)>,
}

#[derive(Clone, Debug)]
struct Message {
    handle: Handle,
    kind: CapabilityKind,
    expires: Hour,
    envelope: Bytes,
}

#[derive(Clone, Debug)]
struct Held {
    mailbox: MailboxId,
    grant: Grant,
    deposits: TokenBucket,
    link: Option<Link>,
}

#[derive(Clone, Debug)]
struct Link {
    kind: LinkUse,
    bundle: Bytes,
    one_time: VecDeque<Bytes>,
    fetches: TokenBucket,
    budget: TokenBucket,
    answered: HashMap<FetchId, (Hour, Option<Bytes>)>,
}

impl Link {
    fn bytes(&self) -> usize {
        self.one_time.iter().map(Bytes::len).sum::<usize>() + self.bundle.len()
    }
}

impl Model {
    /// An empty store with this epoch.
    pub fn new(epoch: Epoch) -> Self {
        let expiry = Expiry::default();
        Self { epoch, expiry, mailboxes: HashMap::new(), grants: HashMap::new() }
    }

    /// The hour of expiry; none before the first round.
    pub const fn hour(&self) -> Option<Hour> {
        self.expiry.hour()
    }

    /// What a restored store is: another epoch, and no one-time prekey.
    pub fn renew_epoch(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        for link in self.grants.values_mut().filter_map(|held| held.link.as_mut()) {
            link.one_time.clear();
        }
    }

    fn one(&mut self, now: Timestamp, request: StoreRequest) -> StoreAnswer {
        self.answer(now, request).unwrap_or_else(StoreAnswer::Refused)
    }

    fn answer(&mut self, now: Timestamp, request: StoreRequest) -> Result<StoreAnswer, Refusal> {
        match request {
            StoreRequest::Create { mailbox, new } => {
                if self.owned(now, &mailbox).is_ok() {
                    return Ok(StoreAnswer::Done);
                }
                if !new {
                    return Err(Refusal::Later { hours: 1 });
                }
                let touched = self.expiry.until(now, 0);
                let (head, messages, seen) = (0, BTreeMap::new(), HashMap::new());
                self.mailboxes.insert(mailbox, Mailbox { touched, head, messages, seen });
                Ok(StoreAnswer::Made)
            }
            StoreRequest::Grant { mailbox, grant } => self.grant(now, mailbox, grant),
            StoreRequest::Revoke { mailbox, capability } => {
                self.owned(now, &mailbox)?;
                if self.grants.get(&capability).is_some_and(|held| held.mailbox == mailbox) {
                    self.grants.remove(&capability);
                }
                Ok(StoreAnswer::Done)
            }
            StoreRequest::Publish { mailbox, publish } => self.publish(now, mailbox, publish),
            StoreRequest::Subscribe { mailbox } => {
                let head = self.owned(now, &mailbox)?.head;
                Ok(StoreAnswer::Subscribed { epoch: self.epoch, head })
            }
            StoreRequest::Read { mailbox, after, messages, bytes } => {
                Ok(StoreAnswer::Messages(self.read(&mailbox, after, messages, bytes)?))
            }
            StoreRequest::Ack { mailbox, seqs } => {
                let mailbox = self.owned(now, &mailbox)?;
                for seq in seqs {
                    mailbox.messages.remove(&seq);
                }
                Ok(StoreAnswer::Done)
            }
            StoreRequest::Delete { mailbox } => {
                self.delete(mailbox);
                Ok(StoreAnswer::Done)
            }
            StoreRequest::Deposit { capability, ttl, id, envelope } => {
                self.deposit(now, capability, ttl, id, envelope)
            }
            StoreRequest::Probe { capability } => {
                match self.good(now, &capability)?.deposits.has_one(now) {
                    true => Ok(StoreAnswer::Done),
                    false => Err(Refusal::Later { hours: 1 }),
                }
            }
            StoreRequest::Fetch { capability, id } => self.fetch(now, capability, id),
        }
    }

    /// A mailbox that its owner asks something of.
    fn owned(&mut self, now: Timestamp, mailbox: &MailboxId) -> Result<&mut Mailbox, Refusal> {
        let hour = self.expiry.until(now, 0);
        let mailbox = self.mailboxes.get_mut(mailbox).ok_or(Refusal::NotAccepted)?;
        if hour >= mailbox.touched.plus(limits::MAILBOX_TOUCH_HOURS) {
            mailbox.touched = hour;
        }
        Ok(mailbox)
    }

    fn links_of(&self, mailbox: MailboxId) -> impl Iterator<Item = &Link> {
        let held = self.grants.values().filter(move |held| held.mailbox == mailbox);
        held.filter_map(|held| held.link.as_ref())
    }

    fn delete(&mut self, mailbox: MailboxId) {
        self.mailboxes.remove(&mailbox);
        self.grants.retain(|_, held| held.mailbox != mailbox);
    }

    /// A grant that is there and not expired.
    fn good(&mut self, now: Timestamp, capability: &CapabilityHash) -> Result<&mut Held, Refusal> {
        let held = self.grants.get_mut(capability).ok_or(Refusal::NotAccepted)?;
        match held.grant.expires {
            Some(expires) if expires <= Hour::of(now) => Err(Refusal::NotAccepted),
            _ => Ok(held),
        }
    }

    fn grant(
        &mut self,
        now: Timestamp,
        mailbox: MailboxId,
        grant: Grant,
    ) -> Result<StoreAnswer, Refusal> {
        self.owned(now, &mailbox)?;
        let count = self.grants.values().filter(|held| held.mailbox == mailbox).count();
        match self.grants.get_mut(&grant.capability) {
            Some(held) if held.mailbox != mailbox => return Err(Refusal::Conflict),
            Some(held) => {
                held.deposits = held.deposits.with_rate(now, grant.rate);
                held.grant = grant;
            }
            None if count >= limits::CAPABILITIES_MAX as usize => return Err(Refusal::Limit),
            None => {
                let deposits = TokenBucket::full(now, grant.rate);
                self.grants.insert(grant.capability, Held { mailbox, grant, deposits, link: None });
            }
        }
        Ok(StoreAnswer::Done)
    }

    fn publish(
        &mut self,
        now: Timestamp,
        mailbox: MailboxId,
        publish: Publish,
    ) -> Result<StoreAnswer, Refusal> {
        self.owned(now, &mailbox)?;
        let published: usize = self.links_of(mailbox).map(Link::bytes).sum();
        let held = self.good(now, &publish.knock)?;
        if held.mailbox != mailbox || held.grant.kind != CapabilityKind::Knock {
            return Err(Refusal::NotAccepted);
        }
        let fresh = held.link.is_none();
        let link = held.link.get_or_insert_with(|| Link {
            kind: publish.link,
            bundle: Bytes::new(),
            one_time: VecDeque::new(),
            fetches: TokenBucket::fetches(now),
            budget: TokenBucket::one_time(now, publish.link),
            answered: HashMap::new(),
        });
        if link.kind != publish.link {
            return Err(Refusal::Conflict);
        }
        let kept = if publish.replace_one_time { 0 } else { link.one_time.len() };
        let gone = match publish.replace_one_time {
            true => link.bytes(),
            false => link.bundle.len(),
        };
        let added = publish.one_time.iter().map(Bytes::len).sum::<usize>() + publish.bundle.len();
        if kept + publish.one_time.len() > limits::ONE_TIME_STOCK_MAX
            || (published - gone + added) as u64 > limits::MAILBOX_PUBLISHED_BYTES_MAX
        {
            if fresh {
                held.link = None;
            }
            return Err(Refusal::Limit);
        }
        if publish.replace_one_time {
            link.one_time.clear();
        }
        link.one_time.extend(publish.one_time);
        link.bundle = publish.bundle;
        Ok(StoreAnswer::Done)
    }

    fn read(
        &mut self,
        mailbox: &MailboxId,
        after: u64,
        messages: usize,
        bytes: usize,
    ) -> Result<Vec<Deliver>, Refusal> {
        let mut room = bytes;
        let mailbox = self.mailboxes.get(mailbox).ok_or(Refusal::NotAccepted)?;
        let waiting = mailbox.messages.range(after.saturating_add(1)..);
        Ok(waiting
            .take(messages)
            .take_while(|(_, message)| match room.checked_sub(message.envelope.len()) {
                Some(left) => {
                    room = left;
                    true
                }
                None => false,
            })
            .map(|(seq, message)| Deliver {
                seq: *seq,
                handle: message.handle,
                envelope: message.envelope.clone(),
            })
            .collect())
    }

    fn deposit(
        &mut self,
        now: Timestamp,
        capability: CapabilityHash,
        ttl: TtlClass,
        id: MessageId,
        envelope: Bytes,
    ) -> Result<StoreAnswer, Refusal> {
        let held = self.good(now, &capability)?;
        let (of, handle, kind) = (held.mailbox, held.grant.handle, held.grant.kind);
        let mut bucket = held.deposits;
        let expiry = self.expiry;
        let mailbox = self.mailboxes.get_mut(&of).ok_or(Refusal::NotAccepted)?;
        let seen = mailbox.seen.get(&id).copied();
        if seen.is_some_and(|(until, _)| until > Hour::of(now)) {
            return Ok(StoreAnswer::Stored { arrived: None });
        }
        let held_since = bucket.parts().3;
        if !bucket.take(now) {
            // A clock that went back counts from there on.
            if bucket.parts().3 < held_since
                && let Some(held) = self.grants.get_mut(&capability)
            {
                held.deposits = bucket;
            }
            return Err(Refusal::Later { hours: 1 });
        }
        let knocks =
            mailbox.messages.values().filter(|message| message.kind == CapabilityKind::Knock);
        let bytes: usize = mailbox.messages.values().map(|message| message.envelope.len()).sum();
        if mailbox.messages.len() >= limits::MAILBOX_MESSAGES_MAX as usize
            || bytes + envelope.len() > usize::try_from(limits::MAILBOX_BYTES_MAX).unwrap_or(0)
            || mailbox.seen.len() >= limits::MAILBOX_SEEN_MAX as usize
            || kind == CapabilityKind::Knock
                && knocks.count() >= limits::KNOCK_MESSAGES_MAX as usize
        {
            // Like an empty bucket, and like one it costs nothing (SPEC §6.6 [full-looks-empty]).
            return Err(Refusal::Later { hours: 1 });
        }
        let expires = expiry.until(now, ttl.hours());
        if let Some((_, stale)) = seen {
            mailbox.messages.remove(&stale);
        }
        mailbox.head += 1;
        mailbox.seen.insert(id, (expires, mailbox.head));
        mailbox.messages.insert(mailbox.head, Message { handle, kind, expires, envelope });
        if let Some(held) = self.grants.get_mut(&capability) {
            held.deposits = bucket;
        }
        Ok(StoreAnswer::Stored { arrived: Some(of) })
    }

    fn fetch(
        &mut self,
        now: Timestamp,
        capability: CapabilityHash,
        id: FetchId,
    ) -> Result<StoreAnswer, Refusal> {
        let expiry = self.expiry;
        let of = self.good(now, &capability)?.mailbox;
        let remembered: usize = self.links_of(of).map(|link| link.answered.len()).sum();
        let held = self.good(now, &capability)?;
        let link = held.link.as_mut().ok_or(Refusal::NotAccepted)?;
        let bundle = link.bundle.clone();
        if let Some((until, one_time)) = link.answered.get(&id)
            && *until > Hour::of(now)
        {
            return Ok(StoreAnswer::Fetched { bundle, one_time: one_time.clone() });
        }
        let full = remembered >= limits::MAILBOX_FETCHES_MAX as usize;
        if full || !link.fetches.take(now) {
            return Err(Refusal::Later { hours: 1 });
        }
        let one_time = if !link.one_time.is_empty() && link.budget.take(now) {
            link.one_time.pop_front()
        } else {
            None
        };
        let until = expiry.until(now, limits::FETCH_REPEAT_HOURS);
        link.answered.insert(id, (until, one_time.clone()));
        Ok(StoreAnswer::Fetched { bundle, one_time })
    }
}

impl MailboxStore for Model {
    type Error = Infallible;

    fn apply(
        &mut self,
        now: Timestamp,
        batch: Vec<StoreRequest>,
    ) -> Result<Vec<StoreAnswer>, Infallible> {
        Ok(batch.into_iter().map(|request| self.one(now, request)).collect())
    }

    fn sweep(&mut self, now: Timestamp) -> Result<bool, Infallible> {
        let hour = self.expiry.round(now);
        let idle: Vec<_> = self
            .mailboxes
            .iter()
            .filter(|(_, it)| it.touched.plus(limits::MAILBOX_IDLE_HOURS) <= hour)
            .map(|(id, _)| *id)
            .collect();
        for mailbox in idle {
            self.delete(mailbox);
        }
        for mailbox in self.mailboxes.values_mut() {
            mailbox.messages.retain(|_, message| message.expires > hour);
            mailbox.seen.retain(|_, (until, _)| *until > hour);
        }
        for link in self.grants.values_mut().filter_map(|held| held.link.as_mut()) {
            link.answered.retain(|_, (until, _)| *until > hour);
        }
        Ok(false)
    }
}
