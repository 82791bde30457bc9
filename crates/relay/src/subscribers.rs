//! Who listens for which mailbox.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chopmark_wire::relay::{EndReason, MailboxId};
use tokio::sync::Notify;

/// Who hears of arrivals in which mailbox: one connection each.
#[derive(Default)]
pub(crate) struct Subscribers {
    by_mailbox: Mutex<HashMap<MailboxId, Arc<Subscriber>>>,
}

/// A connection's ear. Arrivals run together; an end stays.
#[derive(Default)]
pub(crate) struct Subscriber {
    pub(crate) wake: Notify,
    pub(crate) ended: Mutex<Option<EndReason>>,
}

impl Subscriber {
    fn end(&self, reason: EndReason) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.wake.notify_one();
    }

    pub(crate) fn take_end(&self) -> Option<EndReason> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Subscribers {
    /// From now on `subscriber` hears, and who heard before is told so.
    pub(crate) fn subscribe(&self, mailbox: MailboxId, subscriber: &Arc<Subscriber>) {
        let before = self.lock().insert(mailbox, Arc::clone(subscriber));
        if let Some(before) = before.filter(|before| !Arc::ptr_eq(before, subscriber)) {
            before.end(EndReason::Superseded);
        }
    }

    pub(crate) fn deleted(&self, mailbox: &MailboxId) {
        if let Some(subscriber) = self.lock().remove(mailbox) {
            subscriber.end(EndReason::Deleted);
        }
    }

    /// The connection is gone; whoever took over stays.
    pub(crate) fn leave(&self, mailbox: &MailboxId, subscriber: &Arc<Subscriber>) {
        let mut by_mailbox = self.lock();
        if by_mailbox.get(mailbox).is_some_and(|held| Arc::ptr_eq(held, subscriber)) {
            by_mailbox.remove(mailbox);
        }
    }

    pub(crate) fn arrived(&self, mailbox: &MailboxId) {
        if let Some(subscriber) = self.lock().get(mailbox) {
            subscriber.wake.notify_one();
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MailboxId, Arc<Subscriber>>> {
        self.by_mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
