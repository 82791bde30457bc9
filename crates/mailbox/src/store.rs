//! What a relay keeps, behind one door (SPEC §6.6, §6.7).
//!
//! A [`RelayConnection`](crate::RelayConnection) hands out [`StoreRequest`]s; whoever runs it applies them in batches
//! to a [`MailboxStore`] and brings the [`StoreAnswer`]s back. An answer exists only once everything that it says is
//! durable: that is the store's promise, and nobody else's.
//!
//! [`model::Model`] is the plainest store there is, without a disk: the oracle of every other one.

pub mod model;

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

    /// Forgets what has expired; answers whether there may be more to forget.
    ///
    /// # Errors
    /// The store's own; what expired is still there then.
    fn sweep(&mut self, now: Timestamp) -> Result<bool, Self::Error>;
}
