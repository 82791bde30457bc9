//! What a client says, SPEC §6.5.

use bytes::Bytes;
use prost::Message as _;

use super::{
    AccessToken, Auth, Capability, CapabilityHash, FetchId, Grant, LinkUse, TtlClass, Urgency,
    frame, is_bucket, limits,
};
use crate::{
    generated::{relay as pb, shapes},
    strict::{self, DecodeError},
};

/// Names a request on its connection, so that answers may come in any order. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// The first of a connection.
    pub const FIRST: Self = Self(1);

    /// A request's number, or `None` for zero.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number on the wire.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one after; numbers start again at 1 behind the last.
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(next) => Self(next),
            None => Self::FIRST,
        }
    }
}

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "nearly every frame is a request")]
pub enum FromClient {
    /// Something that is answered.
    Request {
        /// Repeated by the answer.
        id: RequestId,
        /// What is asked.
        request: Request,
    },
    /// These messages are safe with the owner: the relay forgets them and may deliver as many more. 1 to 64 numbers.
    Ack(Vec<u64>),
}

/// What a client asks of a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Owner: this connection is mine. The first frame of an owner, and only the first.
    Auth(Auth),
    /// Owner: make my mailbox. Making it again changes nothing.
    Create {
        /// For a relay that makes mailboxes only for who has one.
        token: Option<AccessToken>,
    },
    /// Owner: accept this capability. Granting again replaces rate, expiry and handle.
    Grant(Grant),
    /// Owner: accept this capability no longer. Revoking what is not there changes nothing.
    Revoke(CapabilityHash),
    /// Owner: hand this bundle to who fetches with a knock capability.
    Publish(Publish),
    /// Owner: deliver what has a higher number than `after`, in order, now and as it comes.
    Subscribe {
        /// The highest number already safe with the owner; 0 is none.
        after: u64,
    },
    /// Owner: forget my mailbox and everything in it.
    Delete,
    /// Sender: keep this for the owner.
    Deposit(Deposit),
    /// Sender: would a deposit under this capability be taken?
    Probe(Capability),
    /// Sender: the bundle of a link.
    Fetch(Fetch),
    /// A request of a later version. A relay answers that it does not support it.
    Reserved(Reserved),
}

/// A link's bundle and one-time prekeys, all sealed under a key that the relay does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The granted knock capability under which they are fetched.
    pub knock: CapabilityHash,
    /// Whether the link is for one or for many.
    pub link: LinkUse,
    /// The sealed bundle; it replaces the one before. At most 16 KiB.
    pub bundle: Bytes,
    /// Sealed one-time prekeys, each handed out once. At most 32, each at most 1536 bytes.
    pub one_time: Vec<Bytes>,
    /// Whether what is left of the older one-time prekeys is thrown away.
    pub replace_one_time: bool,
}

/// A message for a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Opens the mailbox.
    pub capability: Capability,
    /// How long it waits.
    pub ttl: TtlClass,
    /// Whether to wake a sleeping owner.
    pub urgency: Urgency,
    /// A sealed message; its length is a bucket.
    pub envelope: Bytes,
}

/// A question for a link's bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The link's knock capability.
    pub knock: Capability,
    /// Drawn anew for each fetch and kept when it is repeated.
    pub id: FetchId,
}

/// Requests whose numbers are kept for later versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reserved {
    /// Compare-and-append to a group's log.
    Log,
    /// Attachments.
    Blob,
    /// A second hop.
    Forward,
    /// Push wake-ups.
    Wake,
    /// Access tokens.
    Token,
}

impl FromClient {
    /// Reads one frame's bytes, without its length.
    ///
    /// # Errors
    /// [`DecodeError`] for anything that is not exactly such a frame; the connection is then of no more use.
    pub fn decode(frame: &Bytes) -> Result<Self, DecodeError> {
        let message: pb::FromClient =
            strict::decode(frame, &shapes::RELAY_FROM_CLIENT, limits::FRAME_BYTES_MAX)?;
        let body = message.body.ok_or(DecodeError::Missing("request"))?;
        if let pb::from_client::Body::Ack(ack) = body {
            if message.request != 0 {
                return Err(DecodeError::Invalid("request id"));
            }
            if ack.seqs.is_empty() || ack.seqs.len() > limits::ACK_SEQS_MAX {
                return Err(DecodeError::Invalid("ack"));
            }
            return Ok(Self::Ack(ack.seqs));
        }
        let id = RequestId::new(message.request).ok_or(DecodeError::Invalid("request id"))?;
        Ok(Self::Request { id, request: Request::try_from(body)? })
    }

    /// The whole frame, its length in front.
    pub fn encode(&self) -> Bytes {
        let message = match self {
            Self::Ack(seqs) => pb::FromClient {
                request: 0,
                body: Some(pb::from_client::Body::Ack(pb::Ack { seqs: seqs.clone() })),
            },
            Self::Request { id, request } => {
                pb::FromClient { request: id.0, body: Some(request.into()) }
            }
        };
        frame::with_length(&message.encode_to_vec())
    }
}

impl TryFrom<pb::from_client::Body> for Request {
    type Error = DecodeError;

    fn try_from(body: pb::from_client::Body) -> Result<Self, DecodeError> {
        use pb::from_client::Body;
        Ok(match body {
            Body::Auth(auth) => Self::Auth(auth.try_into()?),
            Body::Create(create) => {
                Self::Create { token: create.token.as_deref().map(AccessToken::parse).transpose()? }
            }
            Body::Grant(grant) => Self::Grant(grant.try_into()?),
            Body::Revoke(revoke) => Self::Revoke(CapabilityHash::parse(&revoke.capability_hash)?),
            Body::Publish(publish) => Self::Publish(publish.try_into()?),
            Body::Subscribe(subscribe) => Self::Subscribe { after: subscribe.after },
            Body::Delete(_) => Self::Delete,
            Body::Deposit(deposit) => Self::Deposit(deposit.try_into()?),
            Body::Probe(probe) => Self::Probe(Capability::parse(&probe.capability)?),
            Body::Fetch(fetch) => Self::Fetch(Fetch {
                knock: Capability::parse(&fetch.capability)?,
                id: FetchId::from_slice(&fetch.fetch_id).ok_or(DecodeError::Invalid("fetch id"))?,
            }),
            Body::Log(_) => Self::Reserved(Reserved::Log),
            Body::Blob(_) => Self::Reserved(Reserved::Blob),
            Body::Forward(_) => Self::Reserved(Reserved::Forward),
            Body::Wake(_) => Self::Reserved(Reserved::Wake),
            Body::Token(_) => Self::Reserved(Reserved::Token),
            Body::Ack(_) => return Err(DecodeError::Invalid("request")),
        })
    }
}

impl From<&Request> for pb::from_client::Body {
    fn from(request: &Request) -> Self {
        match request {
            Request::Auth(auth) => Self::Auth(auth.into()),
            Request::Create { token } => Self::Create(pb::Create {
                token: token.as_ref().map(|token| Bytes::copy_from_slice(token.secret().expose())),
            }),
            Request::Grant(grant) => Self::Grant(grant.into()),
            Request::Revoke(hash) => {
                Self::Revoke(pb::Revoke { capability_hash: hash.0.to_vec().into() })
            }
            Request::Publish(publish) => Self::Publish(publish.into()),
            Request::Subscribe { after } => Self::Subscribe(pb::Subscribe { after: *after }),
            Request::Delete => Self::Delete(pb::Delete {}),
            Request::Deposit(deposit) => Self::Deposit(deposit.into()),
            Request::Probe(capability) => {
                Self::Probe(pb::Probe { capability: exposed(capability) })
            }
            Request::Fetch(fetch) => Self::Fetch(pb::Fetch {
                capability: exposed(&fetch.knock),
                fetch_id: fetch.id.0.to_vec().into(),
            }),
            Request::Reserved(Reserved::Log) => Self::Log(pb::Reserved {}),
            Request::Reserved(Reserved::Blob) => Self::Blob(pb::Reserved {}),
            Request::Reserved(Reserved::Forward) => Self::Forward(pb::Reserved {}),
            Request::Reserved(Reserved::Wake) => Self::Wake(pb::Reserved {}),
            Request::Reserved(Reserved::Token) => Self::Token(pb::Reserved {}),
        }
    }
}

impl TryFrom<pb::Publish> for Publish {
    type Error = DecodeError;

    fn try_from(publish: pb::Publish) -> Result<Self, DecodeError> {
        if publish.bundle.is_empty() || publish.bundle.len() > limits::BUNDLE_BYTES_MAX {
            return Err(DecodeError::Invalid("bundle"));
        }
        if publish.one_time.len() > limits::ONE_TIME_PER_PUBLISH_MAX
            || publish
                .one_time
                .iter()
                .any(|blob| blob.is_empty() || blob.len() > limits::ONE_TIME_BYTES_MAX)
        {
            return Err(DecodeError::Invalid("one-time prekey"));
        }
        Ok(Self {
            knock: CapabilityHash::parse(&publish.knock_hash)?,
            link: LinkUse::from_pb(publish.r#use())?,
            bundle: publish.bundle,
            one_time: publish.one_time,
            replace_one_time: publish.replace_one_time,
        })
    }
}

impl From<&Publish> for pb::Publish {
    fn from(publish: &Publish) -> Self {
        Self {
            knock_hash: publish.knock.0.to_vec().into(),
            r#use: publish.link.to_pb().into(),
            bundle: publish.bundle.clone(),
            one_time: publish.one_time.clone(),
            replace_one_time: publish.replace_one_time,
        }
    }
}

impl TryFrom<pb::Deposit> for Deposit {
    type Error = DecodeError;

    fn try_from(deposit: pb::Deposit) -> Result<Self, DecodeError> {
        // SPEC §6.5 [deposit-is-a-bucket].
        if !is_bucket(deposit.envelope.len()) {
            return Err(DecodeError::Invalid("envelope length"));
        }
        Ok(Self {
            capability: Capability::parse(&deposit.capability)?,
            ttl: TtlClass::from_pb(deposit.ttl())?,
            urgency: Urgency::from_pb(deposit.urgency())?,
            envelope: deposit.envelope,
        })
    }
}

impl From<&Deposit> for pb::Deposit {
    fn from(deposit: &Deposit) -> Self {
        Self {
            capability: exposed(&deposit.capability),
            ttl: deposit.ttl.to_pb().into(),
            urgency: deposit.urgency.to_pb().into(),
            envelope: deposit.envelope.clone(),
        }
    }
}

fn exposed(capability: &Capability) -> Bytes {
    Bytes::copy_from_slice(capability.secret().expose())
}
