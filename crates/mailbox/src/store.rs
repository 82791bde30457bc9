//! What a relay keeps, behind one door (SPEC §6.6, §6.7).
//!
//! A [`RelayConnection`](crate::RelayConnection) hands out [`StoreRequest`]s; whoever runs it applies them in batches
//! to a [`MailboxStore`] and brings the [`StoreAnswer`]s back. An answer exists only once everything that it says is
//! durable: that is the store's promise, and nobody else's.
//!
//! [`Shelf`] is the real one: the rules of mailboxes over a [`Disk`], a sorted map that commits durably, which is all
//! that it knows of disks. [`model::Model`] is the plainest store there is, without a disk: the oracle of every other one.

pub mod disk;
pub mod expiry;
pub mod model;
pub mod record;
pub mod shelf;

mod batch;
mod forget;
mod rules;

pub use disk::{Disk, DiskError, Writes};
pub use shelf::{Shelf, StoreError};

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_wire::relay::{
    CapabilityHash, Deliver, Epoch, FetchId, Grant, MailboxId, MessageId, Publish, Refusal,
    TtlClass,
};

/// What is asked of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreRequest {
    /// Make a mailbox, or leave the one there is as it is.
    Create {
        /// Whose.
        mailbox: MailboxId,
        /// Whether one may be made. The connection says so; who runs it takes it back from whoever made many. Without
        /// it, and with none there, the answer is to come later.
        new: bool,
    },
    /// Accept a capability.
    Grant {
        /// Whose.
        mailbox: MailboxId,
        /// What for.
        grant: Grant,
    },
    /// Accept a capability no longer; drop what is published under it.
    Revoke {
        /// Whose.
        mailbox: MailboxId,
        /// Which.
        capability: CapabilityHash,
    },
    /// Put a bundle and one-time prekeys under a knock capability.
    Publish {
        /// Whose.
        mailbox: MailboxId,
        /// What.
        publish: Publish,
    },
    /// What is the epoch, what the head?
    Subscribe {
        /// Whose.
        mailbox: MailboxId,
    },
    /// Messages above a number, in order: as many as fit both bounds.
    Read {
        /// Whose.
        mailbox: MailboxId,
        /// The number that all of them exceed.
        after: u64,
        /// How many at most.
        messages: usize,
        /// How many bytes of envelopes at most.
        bytes: usize,
    },
    /// Forget these messages; remember their ids until they would have expired.
    Ack {
        /// Whose.
        mailbox: MailboxId,
        /// Which.
        seqs: Vec<u64>,
    },
    /// Forget a mailbox and everything in it.
    Delete {
        /// Whose.
        mailbox: MailboxId,
    },
    /// Keep a message.
    Deposit {
        /// The hash of what the sender showed.
        capability: CapabilityHash,
        /// How long.
        ttl: TtlClass,
        /// The envelope's id.
        id: MessageId,
        /// The message.
        envelope: Bytes,
    },
    /// Would a deposit be taken?
    Probe {
        /// The hash of what the sender showed.
        capability: CapabilityHash,
    },
    /// The bundle under a knock capability, and a one-time prekey if the link's budget allows one.
    Fetch {
        /// The hash of what the sender showed.
        capability: CapabilityHash,
        /// Names the fetch, so that it can be repeated.
        id: FetchId,
    },
}

impl StoreRequest {
    /// Bytes that it brings: what a bound on the bytes of a batch counts.
    pub fn size(&self) -> usize {
        match self {
            Self::Deposit { envelope, .. } => envelope.len(),
            Self::Publish { publish, .. } => {
                publish.one_time.iter().map(Bytes::len).sum::<usize>() + publish.bundle.len()
            }
            Self::Ack { seqs, .. } => seqs.len() * size_of::<u64>(),
            _ => 0,
        }
    }
}

/// What the store did. Durable, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreAnswer {
    /// A mailbox was made that was not there. To the client it is [`Done`](Self::Done).
    Made,
    /// It is so.
    Done,
    /// It is not so, and nothing was changed.
    Refused(Refusal),
    /// The message is kept.
    Stored {
        /// The mailbox whose subscriber is to hear of it, if the message is new.
        arrived: Option<MailboxId>,
    },
    /// The mailbox is there.
    Subscribed {
        /// The life of this store.
        epoch: Epoch,
        /// The highest number that a message of this mailbox ever had.
        head: u64,
    },
    /// Messages in order; none when there are none.
    Messages(Vec<Deliver>),
    /// The link's bundle.
    Fetched {
        /// The sealed bundle.
        bundle: Bytes,
        /// A one-time prekey, handed out for the first time or to the same fetch again.
        one_time: Option<Bytes>,
    },
}

/// A store of mailboxes.
pub trait MailboxStore {
    /// Why a batch was not taken.
    type Error;

    /// Applies a batch in order and answers each request, once all of it is durable.
    ///
    /// # Errors
    /// The store's own. Nothing of the batch may be answered then: whether it is durable is not known.
    fn apply(
        &mut self,
        now: Timestamp,
        batch: Vec<StoreRequest>,
    ) -> Result<Vec<StoreAnswer>, Self::Error>;

    /// Forgets some of what has expired, and of what was deleted; answers whether there may be more. Calls up to the
    /// one that answers `false` are a round; rounds are to come about once a minute, since each lets time pass by at
    /// most an hour ([`Expiry`](expiry::Expiry)).
    ///
    /// # Errors
    /// The store's own; what expired is still there then.
    fn sweep(&mut self, now: Timestamp) -> Result<bool, Self::Error>;
}
