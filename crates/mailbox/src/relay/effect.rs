//! What goes into a connection's machine and what comes out.

use bytes::Bytes;
use chopmark_core::signature::SigningKey;
use chopmark_wire::relay::{Descriptor, EndReason, GoAwayReason, MailboxId};

use super::bounds::Limited;
use crate::store::{StoreAnswer, StoreRequest};

/// A relay's identity key and what it says of itself: shared by all its connections.
#[derive(Debug)]
pub struct Identity {
    /// Signs the proof of each connection.
    pub key: SigningKey,
    /// What the proof says.
    pub descriptor: Descriptor,
}

/// Names a store request of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// What happens to a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Bytes of the control stream, in order. Only while [`RelayConnection::wants_bytes`].
    ///
    /// [`RelayConnection::wants_bytes`]: super::RelayConnection::wants_bytes
    Bytes(&'a [u8]),
    /// What the store says to [`Output::Store`]. It is durable.
    Answered {
        /// The request's.
        ticket: Ticket,
        /// What it says.
        answer: StoreAnswer,
    },
    /// The store cannot say what became of a request.
    Failed,
    /// Something is new in the mailbox to which this connection subscribed.
    Arrived,
    /// Another connection subscribed to its mailbox, or the mailbox was deleted.
    Ended(EndReason),
    /// The relay is stopping: the client is told, and what is under way is finished.
    Drain,
    /// Time passed: due no later than `wake_at()`.
    Tick,
}

/// What a connection wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Bytes for the control stream.
    Send(Bytes),
    /// A request to the store; what it says comes back as [`Input::Answered`] or [`Input::Failed`].
    Store {
        /// Names it.
        ticket: Ticket,
        /// The request.
        request: StoreRequest,
    },
    /// From now on this connection, and no other, hears of arrivals in this mailbox.
    Subscribed(MailboxId),
    /// This mailbox is gone; its subscriber is to hear of it.
    Deleted(MailboxId),
    /// A bound held this connection back. To be counted.
    Limited(Limited),
    /// Close with this reason's code. Nothing follows.
    Close(GoAwayReason),
}
