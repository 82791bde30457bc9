//! Answers on their way from the writer to the connections that asked.
//!
//! The answers of one batch reach a connection together: it is woken once, and says what it has to say in one write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chopmark_mailbox::{relay::Ticket, store::StoreAnswer};
use tokio::sync::Notify;

/// What became of a request: its ticket, and what the store says if it can say.
pub type Answered = (Ticket, Option<StoreAnswer>);

/// A connection's answers, until it takes them. It holds no memory while nothing is under way; the connection bounds
/// how many there can be.
#[derive(Debug, Default)]
pub struct Inbox {
    answers: Mutex<Vec<Answered>>,
    wake: Notify,
}

impl Inbox {
    /// Waits until there may be something to [`take`](Self::take). Cancelled, it forgets nothing.
    pub async fn ready(&self) {
        self.wake.notified().await;
    }

    /// Everything that has come, in the order in which it was answered.
    pub fn take(&self) -> Vec<Answered> {
        std::mem::take(&mut *self.lock())
    }

    /// Whether it was empty before: then its connection is to be woken.
    fn put(&self, answered: Answered) -> bool {
        let mut answers = self.lock();
        answers.push(answered);
        answers.len() == 1
    }

    /// Wakes the connection.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Answered>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an answer goes. Dropped without one, it says that none is known.
#[derive(Debug)]
pub struct Reply {
    to: Option<(Arc<Inbox>, Ticket)>,
}

impl Reply {
    /// An answer to this ticket, into the inbox of its connection.
    pub fn new(to: &Arc<Inbox>, ticket: Ticket) -> Self {
        Self { to: Some((Arc::clone(to), ticket)) }
    }

    /// Puts the answer into its inbox, and returns it if nobody is about to wake it: the caller must, once the batch is
    /// answered.
    pub(super) fn send(mut self, answer: StoreAnswer) -> Option<Arc<Inbox>> {
        let (to, ticket) = self.to.take()?;
        to.put((ticket, Some(answer))).then_some(to)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some((to, ticket)) = self.to.take() {
            to.put((ticket, None));
            to.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_of_a_batch_come_together_and_a_lost_one_says_so() {
        let inbox = Arc::new(Inbox::default());
        let reply = || Reply::new(&inbox, Ticket::default());
        let first = reply().send(StoreAnswer::Done);
        assert!(first.is_some() && reply().send(StoreAnswer::Made).is_none());
        first.unwrap().wake();
        inbox.ready().await;
        let said =
            |answers: Vec<Answered>| answers.into_iter().map(|(_, it)| it).collect::<Vec<_>>();
        assert_eq!(said(inbox.take()), [Some(StoreAnswer::Done), Some(StoreAnswer::Made)]);
        assert!(inbox.take().is_empty());
        drop(reply());
        inbox.ready().await;
        assert_eq!(said(inbox.take()), [None]);
    }
}
