//! The relay's records: keys and values of the sorted map, fixed layout.
//!
//! ```text
//! e                              epoch 16
//! m mailbox                      head u64 | messages u32 | bytes u64 | knocks u32 | grants u32
//! g capability hash              mailbox 32 | handle 8 | kind u8 | expires u64 | bucket
//! G mailbox, capability hash     (empty)
//! l capability hash              use u8 | fetches bucket | budget bucket | first u64 | end u64 | bundle
//! o capability hash, number      sealed one-time prekey
//! f capability hash, fetch id    until u64 | flag, sealed one-time prekey
//! s mailbox, message id          until u64 | seq u64
//! q mailbox, seq                 handle 8 | kind u8 | envelope
//! x hour, key of an s or f       (empty)
//! ```
//! A bucket is burst u32, per hour u32, tokens u32, hour u64. No time here is finer than an hour.

use bytes::Bytes;
use chopmark_core::codec::{DecodeError, Reader, Writer};
use chopmark_mailbox::relay::TokenBucket;
use chopmark_wire::relay::{
    CapabilityHash, CapabilityKind, FetchId, Handle, Hour, LinkUse, MailboxId, MessageId,
};

pub(super) const EPOCH: &[u8] = b"e";
/// The kinds that are counted.
pub(super) const MAILBOX: u8 = b'm';
pub(super) const MESSAGE: u8 = b'q';

pub(super) fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(super) fn mailbox(id: &MailboxId) -> Vec<u8> {
    key(b'm', &[id.as_bytes()])
}

pub(super) fn grant(hash: &CapabilityHash) -> Vec<u8> {
    key(b'g', &[hash.as_bytes()])
}

pub(super) fn grant_of(id: &MailboxId, hash: &CapabilityHash) -> Vec<u8> {
    key(b'G', &[id.as_bytes(), hash.as_bytes()])
}

pub(super) fn link(hash: &CapabilityHash) -> Vec<u8> {
    key(b'l', &[hash.as_bytes()])
}

pub(super) fn one_time(hash: &CapabilityHash, number: u64) -> Vec<u8> {
    key(b'o', &[hash.as_bytes(), &number.to_be_bytes()])
}

pub(super) fn fetch(hash: &CapabilityHash, id: &FetchId) -> Vec<u8> {
    key(b'f', &[hash.as_bytes(), id.as_bytes()])
}

pub(super) fn seen(mailbox: &MailboxId, id: &MessageId) -> Vec<u8> {
    key(b's', &[mailbox.as_bytes(), id.as_bytes()])
}

pub(super) fn message(mailbox: &MailboxId, seq: u64) -> Vec<u8> {
    key(b'q', &[mailbox.as_bytes(), &seq.to_be_bytes()])
}

pub(super) fn expiry(hour: Hour, of: &[u8]) -> Vec<u8> {
    key(b'x', &[&hour.0.to_be_bytes(), of])
}

/// What is known of a mailbox without reading its messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mailbox {
    pub(super) head: u64,
    pub(super) messages: u32,
    pub(super) bytes: u64,
    pub(super) knocks: u32,
    pub(super) grants: u32,
}

impl Mailbox {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let mailbox = Self {
            head: input.u64()?,
            messages: input.u32()?,
            bytes: input.u64()?,
            knocks: input.u32()?,
            grants: input.u32()?,
        };
        input.finish().map(|()| mailbox)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.head).u32(self.messages).u64(self.bytes).u32(self.knocks).u32(self.grants);
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
            handle: Handle(*input.array()?),
            kind: read_kind(&mut input)?,
            expires: Some(input.u64()?).filter(|hour| *hour != 0).map(Hour),
            deposits: read_bucket(&mut input)?,
        };
        input.finish().map(|()| grant)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.bytes(self.mailbox.as_bytes()).bytes(self.handle.as_bytes()).u8(kind(self.kind));
        out.u64(self.expires.map_or(0, |hour| hour.0));
        write_bucket(&mut out, &self.deposits);
        out.finish()
    }
}

/// A published link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) link: LinkUse,
    pub(super) fetches: TokenBucket,
    pub(super) budget: TokenBucket,
    /// The one-time prekeys at hand have the numbers `first..end`.
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) bundle: Bytes,
}

impl Link {
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let link = match input.u8()? {
            1 => LinkUse::OneTime,
            2 => LinkUse::Reusable,
            other => return Err(DecodeError::Unknown(other)),
        };
        Ok(Self {
            link,
            fetches: read_bucket(&mut input)?,
            budget: read_bucket(&mut input)?,
            first: input.u64()?,
            end: input.u64()?,
            bundle: bytes.slice_ref(input.rest()),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(if self.link == LinkUse::OneTime { 1 } else { 2 });
        write_bucket(&mut out, &self.fetches);
        write_bucket(&mut out, &self.budget);
        out.u64(self.first).u64(self.end).bytes(&self.bundle);
        out.finish()
    }
}

/// A fetch that was answered.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) until: Hour,
    pub(super) one_time: Option<Bytes>,
}

impl Fetched {
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let until = Hour(input.u64()?);
        let one_time = input.flag()?.then(|| bytes.slice_ref(input.rest()));
        Ok(Self { until, one_time })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.until.0).flag(self.one_time.is_some());
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
        let mut out = Writer::new();
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

/// What a restored store keeps of a record: not the epoch, and no one-time prekey, since it may have been handed out
/// after the backup. Refuses what is no record.
pub(super) fn restored(key: &[u8], value: Bytes) -> Result<Option<Bytes>, DecodeError> {
    Ok(match key.first() {
        Some(b'e' | b'o') => None,
        Some(b'l') => {
            let mut link = Link::decode(&value)?;
            link.first = link.end;
            Some(link.encode().into())
        }
        _ => verify(key, &value).map(|()| Some(value))?,
    })
}

/// Bytes of the envelope in a message's record.
pub(super) const fn envelope_length(value: &Bytes) -> u64 {
    (value.len() as u64).saturating_sub(MESSAGE_HEAD as u64)
}

/// Is this a record?
pub(super) fn verify(key: &[u8], value: &Bytes) -> Result<(), DecodeError> {
    let kind = key.first().copied().unwrap_or(0);
    match kind {
        b'e' => Reader::new(value).array::<16>().map(|_| ()),
        b'm' => Mailbox::decode(value).map(|_| ()),
        b'g' => Grant::decode(value).map(|_| ()),
        b'l' => Link::decode(value).map(|_| ()),
        b'f' => Fetched::decode(value).map(|_| ()),
        b's' => Seen::decode(value).map(|_| ()),
        b'q' => Message::decode(value).map(|_| ()),
        b'G' | b'o' | b'x' => Ok(()),
        other => Err(DecodeError::Unknown(other)),
    }
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
