//! A mailbox's deliveries on one connection: where they stand, and how many more may go (SPEC §6.5).

use std::collections::BTreeMap;

use chopmark_wire::relay::Deliver;

use super::bounds::Bounds;

/// Longest envelope there is: with less room than this nothing is read, so that what is read always fits.
const LARGEST_ENVELOPE: usize = 65_536;

/// Window and position.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Everything up to here has been delivered on this connection, or was safe before it.
    cursor: u64,
    /// Delivered and not yet acked: number and length.
    outstanding: BTreeMap<u64, usize>,
    bytes: usize,
    /// A read is with the store.
    reading: bool,
    /// Something may wait behind the cursor.
    behind: bool,
    /// The window was found full since there was room.
    full: bool,
}

/// What a subscription wants read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing now.
    Nothing,
    /// Nothing: the window is full. Said once each time.
    Full,
    /// From the store: messages behind this number, so many and so many bytes.
    Read { after: u64, messages: usize, bytes: usize },
}

impl Subscription {
    pub(super) const fn new(after: u64) -> Self {
        Self {
            cursor: after,
            outstanding: BTreeMap::new(),
            bytes: 0,
            reading: false,
            behind: true,
            full: false,
        }
    }

    /// Something new is in the mailbox.
    pub(super) const fn arrived(&mut self) {
        self.behind = true;
    }

    /// What to read now.
    pub(super) fn next(&mut self, bounds: &Bounds) -> Next {
        if self.reading || !self.behind {
            return Next::Nothing;
        }
        let messages = bounds.window_messages.saturating_sub(self.outstanding.len());
        let bytes = bounds.window_bytes.saturating_sub(self.bytes);
        if messages == 0 || bytes < LARGEST_ENVELOPE {
            return if core::mem::replace(&mut self.full, true) {
                Next::Nothing
            } else {
                Next::Full
            };
        }
        self.full = false;
        self.reading = true;
        // What arrives while the store reads sets it again.
        self.behind = false;
        Next::Read { after: self.cursor, messages, bytes }
    }

    /// What the store read, to be delivered in this order.
    pub(super) fn delivered(&mut self, messages: &[Deliver]) {
        self.reading = false;
        for message in messages {
            self.behind = true;
            self.cursor = self.cursor.max(message.seq);
            self.bytes = self.bytes.saturating_add(message.envelope.len());
            self.outstanding.insert(message.seq, message.envelope.len());
        }
    }

    /// Gives the room of a message back, if it was delivered here.
    pub(super) fn acked(&mut self, seq: u64) {
        if let Some(length) = self.outstanding.remove(&seq) {
            self.bytes = self.bytes.saturating_sub(length);
        }
    }
}
