//! The store's records: keys and values of the sorted map, fixed layout.
//!
//! ```text
//! e                            epoch 16 | life u32
//! t                            hour up to which expired things are forgotten, u64
//! c                            the next number, u64
//! m mailbox                    number u64 | head u64 | messages u32 | bytes u64 | knocks u32 | grants u32 | seen u32
//!                              | published u64 | fetches u32 | touched u64
//! g capability hash            mailbox 32 | number u64 | handle 8 | kind u8 | expires u64 | bucket
//! l capability hash            number u64 | life u32 | use u8 | fetches bucket | budget bucket | first u64 | end u64
//!                              | stock u64 | bundle u32 | answered u32
//! n number                     the mailbox that has this number
//! G number, capability hash    (empty)
//! q number, seq                handle 8 | kind u8 | envelope
//! s number, message id         until u64 | seq u64
//! b number                     the link's bundle
//! o number, count              sealed one-time prekey
//! f number, fetch id           until u64 | capability hash 32 | flag, sealed one-time prekey
//! x hour, key of an s or f     (empty)
//! x hour, i mailbox, number    (empty): look whether its owner was seen
//! d number                     the key from which on what hangs on this number is to be deleted
//! ```
//! Mailboxes and links have numbers, which never come again: what hangs on one that is gone is nobody's, and can be
//! deleted a bit at a time. A life is what one epoch is for the links of a store: one-time prekeys of another life are
//! not handed out. A bucket is burst u32, per hour u32, tokens u32, hour u64. No time here is finer than an hour.

use bytes::Bytes;
use chopmark_core::codec::{DecodeError, Reader, Writer};
use chopmark_wire::relay::{
    CapabilityHash, CapabilityKind, Epoch, FetchId, Handle, Hour, LinkUse, MailboxId, MessageId,
};

use crate::relay::TokenBucket;

pub(super) const EPOCH: &[u8] = b"e";
pub(super) const TIME: &[u8] = b"t";
pub(super) const COUNTER: &[u8] = b"c";
/// The kinds that are counted.
pub(super) const MAILBOX: u8 = b'm';
pub(super) const GRANT: u8 = b'g';
pub(super) const MESSAGE: u8 = b'q';
/// The kinds that hang on a number, in the order in which they are deleted.
pub(super) const HANGING: [u8; 6] = *b"Gqsbof";

pub(super) fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 1);
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(super) fn mailbox(id: &MailboxId) -> Vec<u8> {
    key(MAILBOX, &[id.as_bytes()])
}

pub(super) fn grant(hash: &CapabilityHash) -> Vec<u8> {
    key(GRANT, &[hash.as_bytes()])
}

pub(super) fn link(hash: &CapabilityHash) -> Vec<u8> {
    key(b'l', &[hash.as_bytes()])
}

/// Everything of this kind that hangs on a number.
pub(super) fn hanging(kind: u8, number: u64) -> Vec<u8> {
    key(kind, &[&number.to_be_bytes()])
}

pub(super) fn grant_of(number: u64, hash: &CapabilityHash) -> Vec<u8> {
    key(b'G', &[&number.to_be_bytes(), hash.as_bytes()])
}

pub(super) fn bundle(number: u64) -> Vec<u8> {
    hanging(b'b', number)
}

pub(super) fn one_time(number: u64, count: u64) -> Vec<u8> {
    key(b'o', &[&number.to_be_bytes(), &count.to_be_bytes()])
}

pub(super) fn fetch(number: u64, id: &FetchId) -> Vec<u8> {
    key(b'f', &[&number.to_be_bytes(), id.as_bytes()])
}

pub(super) fn seen(number: u64, id: &MessageId) -> Vec<u8> {
    key(b's', &[&number.to_be_bytes(), id.as_bytes()])
}

pub(super) fn message(number: u64, seq: u64) -> Vec<u8> {
    key(MESSAGE, &[&number.to_be_bytes(), &seq.to_be_bytes()])
}

pub(super) fn expiry(hour: Hour, of: &[u8]) -> Vec<u8> {
    key(b'x', &[&hour.0.to_be_bytes(), of])
}

pub(super) fn idle(mailbox: &MailboxId, number: u64) -> Vec<u8> {
    key(b'i', &[mailbox.as_bytes(), &number.to_be_bytes()])
}

/// Whose mailbox has this number.
pub(super) fn owner_of(number: u64) -> Vec<u8> {
    hanging(b'n', number)
}

pub(super) fn dropped(number: u64) -> Vec<u8> {
    key(b'd', &[&number.to_be_bytes()])
}

/// The number in a key of what hangs on one.
pub(super) fn number_in(key: &[u8]) -> Option<u64> {
    key.get(1..)?.first_chunk().map(|number| u64::from_be_bytes(*number))
}

/// A count or an hour that is a record of its own.
pub(super) fn read_u64(bytes: &[u8]) -> Result<u64, DecodeError> {
    let mut input = Reader::new(bytes);
    let value = input.u64()?;
    input.finish().map(|()| value)
}

/// A number as a record of its own.
pub(super) fn write_u64(value: u64) -> Vec<u8> {
    let mut out = Writer::new();
    out.u64(value);
    out.finish()
}

/// The epoch of a store, and the how manieth of its lives it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) epoch: Epoch,
    pub(super) count: u32,
}

impl Life {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let life = Self { epoch: Epoch(*input.array()?), count: input.u32()? };
        input.finish().map(|()| life)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(self.epoch.as_bytes()).u32(self.count);
        out.finish()
    }
}

/// What is known of a mailbox without reading its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mailbox {
    pub(super) number: u64,
    pub(super) head: u64,
    pub(super) messages: u32,
    pub(super) bytes: u64,
    pub(super) knocks: u32,
    pub(super) grants: u32,
    pub(super) seen: u32,
    /// Bytes of bundles and one-time prekeys of its links.
    pub(super) published: u64,
    pub(super) fetches: u32,
    /// When its owner asked for something, to the day.
    pub(super) touched: Hour,
}

impl Mailbox {
    pub(super) const fn new(number: u64, touched: Hour) -> Self {
        let (head, messages, bytes, knocks, grants) = (0, 0, 0, 0, 0);
        let (seen, published, fetches) = (0, 0, 0);
        Self { number, head, messages, bytes, knocks, grants, seen, published, fetches, touched }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let mailbox = Self {
            number: input.u64()?,
            head: input.u64()?,
            messages: input.u32()?,
            bytes: input.u64()?,
            knocks: input.u32()?,
            grants: input.u32()?,
            seen: input.u32()?,
            published: input.u64()?,
            fetches: input.u32()?,
            touched: Hour(input.u64()?),
        };
        input.finish().map(|()| mailbox)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(60);
        out.u64(self.number).u64(self.head).u32(self.messages).u64(self.bytes).u32(self.knocks);
        out.u32(self.grants).u32(self.seen).u64(self.published).u32(self.fetches);
        out.u64(self.touched.0);
        out.finish()
    }

    /// One message fewer.
    pub(super) const fn lose(&mut self, kind: CapabilityKind, length: u64) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(length);
        if matches!(kind, CapabilityKind::Knock) {
            self.knocks = self.knocks.saturating_sub(1);
        }
    }
}

/// A granted capability.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) mailbox: MailboxId,
    /// The number of that mailbox: if it has another one now, this grant is nobody's.
    pub(super) number: u64,
    pub(super) handle: Handle,
    pub(super) kind: CapabilityKind,
    pub(super) expires: Option<Hour>,
    pub(super) deposits: TokenBucket,
}

impl Grant {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let grant = Self {
            mailbox: MailboxId(*input.array()?),
            number: input.u64()?,
            handle: Handle(*input.array()?),
            kind: read_kind(&mut input)?,
            expires: Some(input.u64()?).filter(|hour| *hour != 0).map(Hour),
            deposits: read_bucket(&mut input)?,
        };
        input.finish().map(|()| grant)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(77);
        out.bytes(self.mailbox.as_bytes()).u64(self.number).bytes(self.handle.as_bytes());
        out.u8(kind(self.kind)).u64(self.expires.map_or(0, |hour| hour.0));
        write_bucket(&mut out, &self.deposits);
        out.finish()
    }
}

/// A published link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    /// The life of the store in which its one-time prekeys came.
    pub(super) life: u32,
    pub(super) link: LinkUse,
    pub(super) fetches: TokenBucket,
    pub(super) budget: TokenBucket,
    /// The one-time prekeys at hand have the numbers `first..end`.
    pub(super) first: u64,
    pub(super) end: u64,
    /// Bytes of those, and of the bundle.
    pub(super) stock: u64,
    pub(super) bundle: u32,
    /// Fetches that are remembered.
    pub(super) answered: u32,
}

impl Link {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let link = Self {
            number: input.u64()?,
            life: input.u32()?,
            link: match input.u8()? {
                1 => LinkUse::OneTime,
                2 => LinkUse::Reusable,
                other => return Err(DecodeError::Unknown(other)),
            },
            fetches: read_bucket(&mut input)?,
            budget: read_bucket(&mut input)?,
            first: input.u64()?,
            end: input.u64()?,
            stock: input.u64()?,
            bundle: input.u32()?,
            answered: input.u32()?,
        };
        input.finish().map(|()| link)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.number).u32(self.life).u8(if self.link == LinkUse::OneTime { 1 } else { 2 });
        write_bucket(&mut out, &self.fetches);
        write_bucket(&mut out, &self.budget);
        out.u64(self.first).u64(self.end).u64(self.stock).u32(self.bundle).u32(self.answered);
        out.finish()
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.stock.saturating_add(self.bundle as u64)
    }
}

/// A fetch that was answered.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) until: Hour,
    pub(super) capability: CapabilityHash,
    pub(super) one_time: Option<Bytes>,
}

impl Fetched {
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let until = Hour(input.u64()?);
        let capability = CapabilityHash(*input.array()?);
        let one_time = input.flag()?.then(|| bytes.slice_ref(input.rest()));
        Ok(Self { until, capability, one_time })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.until.0).bytes(self.capability.as_bytes()).flag(self.one_time.is_some());
        out.bytes(self.one_time.as_deref().unwrap_or_default());
        out.finish()
    }
}

/// A message id that a mailbox has seen: its tombstone outlives the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) until: Hour,
    pub(super) seq: u64,
}

impl Seen {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let seen = Self { until: Hour(input.u64()?), seq: input.u64()? };
        input.finish().map(|()| seen)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(16);
        out.u64(self.until.0).u64(self.seq);
        out.finish()
    }
}

/// A waiting message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) handle: Handle,
    pub(super) kind: CapabilityKind,
    pub(super) envelope: Bytes,
}

impl Message {
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let handle = Handle(*input.array()?);
        let kind = read_kind(&mut input)?;
        Ok(Self { handle, kind, envelope: bytes.slice_ref(input.rest()) })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(MESSAGE_HEAD.saturating_add(self.envelope.len()));
        out.bytes(self.handle.as_bytes()).u8(kind(self.kind)).bytes(&self.envelope);
        out.finish()
    }
}

/// What a record is to someone who counts: a backup, a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// A mailbox, and what it says that it holds.
    Mailbox {
        /// Messages that wait.
        messages: u64,
        /// Bytes of their envelopes.
        bytes: u64,
    },
    /// A message that waits.
    Message {
        /// Bytes of its envelope.
        bytes: u64,
        /// The number of its mailbox.
        number: u64,
    },
    /// A capability.
    Grant,
    /// Something was deleted under this number, and what hangs on it is still to go.
    Dropped {
        /// Of a mailbox or a link.
        number: u64,
    },
    /// Something else.
    Other,
}

/// Reads a record of a store.
///
/// # Errors
/// When it is none, or cannot be read.
pub fn read(key: &[u8], value: &Bytes) -> Result<Counted, DecodeError> {
    Ok(match key.first().copied().unwrap_or(0) {
        b'e' => Life::decode(value).map(|_| Counted::Other)?,
        b't' | b'c' => read_u64(value).map(|_| Counted::Other)?,
        MAILBOX => {
            let Mailbox { messages, bytes, .. } = Mailbox::decode(value)?;
            Counted::Mailbox { messages: u64::from(messages), bytes }
        }
        GRANT => Grant::decode(value).map(|_| Counted::Grant)?,
        b'l' => Link::decode(value).map(|_| Counted::Other)?,
        b'f' => Fetched::decode(value).map(|_| Counted::Other)?,
        b's' => Seen::decode(value).map(|_| Counted::Other)?,
        MESSAGE => {
            let bytes = Message::decode(value)?.envelope.len() as u64;
            Counted::Message { bytes, number: number_in(key).ok_or(DecodeError::Truncated)? }
        }
        b'd' => Counted::Dropped { number: number_in(key).ok_or(DecodeError::Truncated)? },
        b'n' | b'G' | b'b' | b'o' | b'x' => Counted::Other,
        other => return Err(DecodeError::Unknown(other)),
    })
}

/// Bytes in front of a message's envelope.
const MESSAGE_HEAD: usize = 9;

const fn kind(kind: CapabilityKind) -> u8 {
    match kind {
        CapabilityKind::Knock => 2,
        _ => 1,
    }
}

fn read_kind(input: &mut Reader<'_>) -> Result<CapabilityKind, DecodeError> {
    match input.u8()? {
        1 => Ok(CapabilityKind::Private),
        2 => Ok(CapabilityKind::Knock),
        other => Err(DecodeError::Unknown(other)),
    }
}

fn write_bucket(out: &mut Writer, bucket: &TokenBucket) {
    let (burst, per_hour, tokens, hour) = bucket.parts();
    out.u32(burst).u32(per_hour).u32(tokens).u64(hour.0);
}

fn read_bucket(input: &mut Reader<'_>) -> Result<TokenBucket, DecodeError> {
    let parts = (input.u32()?, input.u32()?, input.u32()?, Hour(input.u64()?));
    Ok(TokenBucket::from_parts(parts))
}
