//! The writer: one thread, one batch at a time, one sync a batch (SPEC §6.7).
//!
//! While a batch is being synced, the requests of the next one collect. An answer leaves only after the sync of the
//! batch that it is of.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use chopmark_core::time::Timestamp;
use chopmark_mailbox::{
    relay::Ticket,
    store::{MailboxStore, StoreAnswer, StoreRequest},
};
use chopmark_wire::relay::MailboxId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc::UnboundedSender};

use super::StoreError;

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

/// A request, where its answer goes, and its place in the queue.
type Job = (StoreRequest, Reply, OwnedSemaphorePermit);

/// A handle to the writer's thread. Cheap to clone; the thread ends when the last one goes.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: SyncSender<Job>,
    room: Arc<Semaphore>,
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
        Ok((Self { jobs, room: Arc::new(Semaphore::new(QUEUE)) }, thread))
    }

    /// Puts a request into the next batch. With the queue full it waits for its turn, first come, first served: a few
    /// connections that ask for much slow the others down and turn nobody away. With the writer ended, the reply says
    /// that no answer is known.
    pub async fn ask(&self, request: StoreRequest, reply: Reply) {
        if let Ok(place) = Arc::clone(&self.room).acquire_owned().await {
            let _ = self.jobs.try_send((request, reply, place));
        }
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
        let (requests, replies): (Vec<_>, Vec<_>) =
            jobs.map(|(request, reply, _place)| (request, reply)).unzip();
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// A store that begins when the other end is dropped.
    struct Late(Receiver<()>);

    impl MailboxStore for Late {
        type Error = StoreError;

        fn apply(
            &mut self,
            _: Timestamp,
            batch: Vec<StoreRequest>,
        ) -> Result<Vec<StoreAnswer>, StoreError> {
            let _begun = self.0.recv();
            Ok(batch.iter().map(|_| StoreAnswer::Done).collect())
        }

        fn sweep(&mut self, _: Timestamp) -> Result<bool, StoreError> {
            Ok(false)
        }
    }

    // Tests [full-queue-waits]. Seen to fail with a request that finds the queue full dropped.
    #[tokio::test]
    async fn a_full_queue_makes_connections_wait_and_turns_none_away() {
        let (closed, gate) = channel();
        let (writer, _thread) = Writer::start(Late(gate), || Timestamp(1), |_| {}, |_| {}).unwrap();
        let (to, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let requests = QUEUE + 3 * BATCH;
        for _ in 0..requests {
            let (writer, reply) = (writer.clone(), Reply::new(to.clone(), Ticket::default()));
            let mailbox = MailboxId([1; 32]);
            tokio::spawn(async move {
                writer.ask(StoreRequest::Subscribe { mailbox }, reply).await;
            });
        }
        // Every one of them has come to the queue.
        for _ in 0..requests {
            tokio::task::yield_now().await;
        }
        drop(closed);
        for _ in 0..requests {
            let (_, answer) = answers.recv().await.unwrap();
            assert_eq!(answer, Some(StoreAnswer::Done));
        }
    }
}
