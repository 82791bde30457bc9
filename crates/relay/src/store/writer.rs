//! The writer: one thread, one batch at a time, one sync a batch (SPEC §6.7).
//!
//! While a batch is being synced, the requests of the next one collect. An answer leaves only after the sync of the
//! batch that it is of.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use chopmark_core::time::Timestamp;
use chopmark_mailbox::{
    relay::Ticket,
    store::{MailboxStore, StoreAnswer, StoreRequest},
};
use chopmark_wire::relay::MailboxId;
use tokio::sync::mpsc::UnboundedSender;

use super::shelf::StoreError;

/// Where an answer goes. Dropped without one, it says that none is known.
#[derive(Debug)]
pub struct Reply {
    to: Option<(UnboundedSender<Answered>, Ticket)>,
}

/// What became of a request: its ticket, and what the store says if it can say.
pub type Answered = (Ticket, Option<StoreAnswer>);

impl Reply {
    /// An answer to this ticket, on the channel of its connection, which bounds how many it has under way.
    pub const fn new(to: UnboundedSender<Answered>, ticket: Ticket) -> Self {
        Self { to: Some((to, ticket)) }
    }

    fn send(mut self, answer: StoreAnswer) {
        if let Some((to, ticket)) = self.to.take() {
            // Whoever asked may be gone; what it asked for is done.
            let _ = to.send((ticket, Some(answer)));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some((to, ticket)) = self.to.take() {
            let _ = to.send((ticket, None));
        }
    }
}

type Job = (StoreRequest, Reply);

/// A handle to the writer's thread. Cheap to clone; the thread ends when the last one goes.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: SyncSender<Job>,
}

/// Requests of all connections that may wait; more make their connections wait.
const QUEUE: usize = 4096;
/// Requests of one batch.
const BATCH: usize = 1024;
/// How often expired things are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Writer {
    /// Starts the thread on this store. `arrived` hears of each mailbox with a new message, once it is on disk;
    /// `failed` is called once, when the store can go on no longer.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start<S>(
        store: S,
        clock: fn() -> Timestamp,
        arrived: impl Fn(&MailboxId) + Send + 'static,
        failed: impl FnOnce(StoreError) + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)>
    where
        S: MailboxStore<Error = StoreError> + Send + 'static,
    {
        let (jobs, queue) = sync_channel(QUEUE);
        let thread = thread::Builder::new().name("writer".into()).spawn(move || {
            if let Err(error) = run(store, clock, &queue, arrived) {
                failed(error);
            }
        })?;
        Ok((Self { jobs }, thread))
    }

    /// Puts a request into the next batch. With the queue full or the writer ended, the reply says that no answer is
    /// known.
    pub fn ask(&self, request: StoreRequest, reply: Reply) {
        let _ = self.jobs.try_send((request, reply));
    }
}

fn run<S: MailboxStore<Error = StoreError>>(
    mut store: S,
    clock: fn() -> Timestamp,
    queue: &Receiver<Job>,
    arrived: impl Fn(&MailboxId),
) -> Result<(), StoreError> {
    let mut swept = Timestamp::ZERO;
    loop {
        let first = match queue.recv_timeout(SWEEP_EVERY) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let jobs = first.into_iter().chain(queue.try_iter()).take(BATCH);
        let (requests, replies): (Vec<_>, Vec<_>) = jobs.unzip();
        match store.apply(clock(), requests) {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    if let StoreAnswer::Stored { arrived: Some(mailbox) } = &answer {
                        arrived(mailbox);
                    }
                    reply.send(answer);
                }
            }
            // SPEC §6.7 [no-answer-of-a-failed-batch]: dropping the replies says "unknown" to every one of them.
            Err(StoreError::Full) => tracing::error!("the disk is full: a batch was not taken"),
            Err(error) => return Err(error),
        }
        let now = clock();
        if now.saturating_since(swept) >= SWEEP_EVERY || now < swept {
            swept = now;
            while store.sweep(now).or_else(|error| match error {
                StoreError::Full => Ok(false),
                error => Err(error),
            })? {}
        }
    }
}
