//! What one connection has with the store (SPEC §6.8 `[bounded-in-flight]`).

use std::collections::HashMap;

use chopmark_wire::relay::{MailboxId, RequestId};

use super::{bounds::Bounds, effect::Ticket};

/// What waits for the store.
#[derive(Debug)]
pub(super) enum Pending {
    /// Answer the request with what the store says.
    Answer(RequestId),
    /// Answer a creation. One that access forbids opens what is there.
    Create { id: RequestId, allowed: bool },
    /// Answer a deletion, and tell the subscriber.
    Delete(RequestId, MailboxId),
    /// Open the subscription.
    Subscribe { id: RequestId, after: u64, mailbox: MailboxId },
    /// Deliver.
    Read { subscription: u64 },
    /// Nothing: an ack is not answered.
    Ack,
}

/// Everything that waits, and how long it is.
#[derive(Debug, Default)]
pub(super) struct Work {
    pending: HashMap<Ticket, (Pending, usize)>,
    bytes: usize,
    next: Ticket,
}

impl Work {
    /// One more, of so many bytes of content.
    pub(super) fn add(&mut self, pending: Pending, bytes: usize) -> Ticket {
        let ticket = self.next;
        self.next = Ticket(ticket.0.wrapping_add(1));
        self.bytes = self.bytes.saturating_add(bytes);
        self.pending.insert(ticket, (pending, bytes));
        ticket
    }

    /// What this ticket was for, the first time it is shown.
    pub(super) fn take(&mut self, ticket: Ticket) -> Option<Pending> {
        let (pending, bytes) = self.pending.remove(&ticket)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(pending)
    }

    pub(super) fn has_room(&self, bounds: &Bounds) -> bool {
        self.pending.len() < bounds.requests && self.bytes < bounds.request_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}
