//! The writer: one thread, one batch at a time, one sync a batch (SPEC §6.7).
//!
//! While a batch is being synced, the requests of the next one collect. An answer leaves only after the sync of the
//! batch that it is of.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use chopmark_core::time::Timestamp;
use chopmark_mailbox::store::{MailboxStore, StoreAnswer, StoreRequest};
use chopmark_wire::relay::MailboxId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{StoreError, inbox::Reply};
use crate::metrics::Metrics;

/// What one writer takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Grouping {
    /// Requests of all connections that may wait; more make their connections wait.
    pub queue_requests: usize,
    /// Bytes that those may bring, up to 4 GiB; more make their connections wait.
    pub queue_bytes: usize,
    /// Requests of one batch.
    pub batch_requests: usize,
    /// Bytes that those bring, but for the last of them.
    pub batch_bytes: usize,
    /// How often a round of forgetting begins.
    pub sweep_every: Duration,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            queue_requests: 4096,
            queue_bytes: 32 * 1024 * 1024,
            batch_requests: 1024,
            batch_bytes: 4 * 1024 * 1024,
            sweep_every: Duration::from_secs(60),
        }
    }
}

/// A request, where its answer goes, and its places in the queue: one, and one a byte.
type Job = (StoreRequest, Reply, [OwnedSemaphorePermit; 2]);

/// A handle to the writer's thread. Cheap to clone; the thread ends when the last one goes.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: SyncSender<Job>,
    room: Arc<Semaphore>,
    room_bytes: Arc<Semaphore>,
    bytes: u32,
}

impl Writer {
    /// Starts the thread on this store. `arrived` hears of each mailbox with a new message, once it is on disk;
    /// `failed` is called once, when the store can go on no longer.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start<S>(
        store: S,
        grouping: Grouping,
        metrics: Arc<Metrics>,
        clock: fn() -> Timestamp,
        arrived: impl Fn(&MailboxId) + Send + 'static,
        failed: impl FnOnce(StoreError) + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)>
    where
        S: MailboxStore<Error = StoreError> + Send + 'static,
    {
        let requests = grouping.queue_requests.clamp(1, Semaphore::MAX_PERMITS);
        let bytes = u32::try_from(grouping.queue_bytes).unwrap_or(u32::MAX).max(1);
        let (jobs, queue) = sync_channel(requests);
        let thread = thread::Builder::new().name("writer".into()).spawn(move || {
            if let Err(error) = run(store, grouping, &metrics, clock, &queue, arrived) {
                failed(error);
            }
        })?;
        let room = Arc::new(Semaphore::new(requests));
        let room_bytes = Arc::new(Semaphore::new(usize::try_from(bytes).unwrap_or(usize::MAX)));
        Ok((Self { jobs, room, room_bytes, bytes }, thread))
    }

    /// Puts a request into the next batch. With the queue full it waits for its turn, first come, first served: a few
    /// connections that ask for much slow the others down and turn nobody away. With the writer ended, the reply says
    /// that no answer is known.
    pub async fn ask(&self, request: StoreRequest, reply: Reply) {
        let bytes = u32::try_from(request.size()).unwrap_or(u32::MAX).clamp(1, self.bytes);
        let Ok(place) = Arc::clone(&self.room).acquire_owned().await else { return };
        let Ok(space) = Arc::clone(&self.room_bytes).acquire_many_owned(bytes).await else {
            return;
        };
        let _ = self.jobs.try_send((request, reply, [place, space]));
    }
}

fn run<S: MailboxStore<Error = StoreError>>(
    mut store: S,
    grouping: Grouping,
    metrics: &Metrics,
    clock: fn() -> Timestamp,
    queue: &Receiver<Job>,
    arrived: impl Fn(&MailboxId),
) -> Result<(), StoreError> {
    let (mut swept, mut sweeping) = (Timestamp::ZERO, false);
    loop {
        // A round goes on between batches, a step at a time.
        let wait = if sweeping { Duration::ZERO } else { grouping.sweep_every };
        let first = match queue.recv_timeout(wait) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let (mut requests, mut replies, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        for (request, reply, _places) in first.into_iter().chain(queue.try_iter()) {
            bytes = bytes.saturating_add(request.size());
            requests.push(request);
            replies.push(reply);
            if requests.len() >= grouping.batch_requests || bytes >= grouping.batch_bytes {
                break;
            }
        }
        let count = u64::try_from(requests.len()).unwrap_or(u64::MAX);
        let begun = instant();
        match store.apply(clock(), requests) {
            Ok(answers) => {
                if count > 0 {
                    metrics.batches.inc();
                    metrics.requests.inc_by(count);
                    metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
                }
                let (mut mailboxes, mut inboxes) = (BTreeSet::new(), Vec::new());
                for (reply, answer) in replies.into_iter().zip(answers) {
                    if let StoreAnswer::Stored { arrived: Some(mailbox) } = &answer {
                        mailboxes.insert(*mailbox);
                    }
                    inboxes.extend(reply.send(answer));
                }
                mailboxes.iter().for_each(&arrived);
                // Each connection once, when all of its answers are there.
                inboxes.iter().for_each(|inbox| inbox.wake());
            }
            // SPEC §6.7 [no-answer-of-a-failed-batch]: dropping the replies says "unknown" to every one of them.
            Err(StoreError::Full) => {
                metrics.full.inc();
                tracing::error!("the disk is full: a batch was not taken");
            }
            Err(error) => return Err(error),
        }
        let now = clock();
        if now.saturating_since(swept) >= grouping.sweep_every || now < swept {
            (swept, sweeping) = (now, true);
        }
        if sweeping {
            sweeping = match store.sweep(now) {
                Ok(more) => more,
                Err(StoreError::Full) => false,
                Err(error) => return Err(error),
            };
        }
    }
}

/// How long a batch takes is for the operator, and decides nothing.
#[allow(clippy::disallowed_methods, reason = "the edge where durations are measured")]
fn instant() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use chopmark_mailbox::relay::Ticket;

    use super::*;
    use crate::store::inbox::Inbox;

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
        let (grouping, metrics) = (Grouping::default(), Arc::new(Metrics::new()));
        let (writer, _thread) =
            Writer::start(Late(gate), grouping, metrics, || Timestamp(1), |_| {}, |_| {}).unwrap();
        let inbox = Arc::new(Inbox::default());
        let requests = grouping.queue_requests + 3 * grouping.batch_requests;
        for _ in 0..requests {
            let (writer, reply) = (writer.clone(), Reply::new(&inbox, Ticket::default()));
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
        let mut answered = 0;
        while answered < requests {
            inbox.ready().await;
            let answers = inbox.take();
            assert!(answers.iter().all(|(_, answer)| *answer == Some(StoreAnswer::Done)));
            answered += answers.len();
        }
    }

    /// A store that says how large its batches are.
    struct Measured(std::sync::mpsc::Sender<(usize, usize)>, Receiver<()>);

    impl MailboxStore for Measured {
        type Error = StoreError;

        fn apply(
            &mut self,
            _: Timestamp,
            batch: Vec<StoreRequest>,
        ) -> Result<Vec<StoreAnswer>, StoreError> {
            let _begun = self.1.recv();
            if !batch.is_empty() {
                let bytes = batch.iter().map(StoreRequest::size).sum();
                self.0.send((batch.len(), bytes)).unwrap();
            }
            Ok(batch.iter().map(|_| StoreAnswer::Done).collect())
        }

        fn sweep(&mut self, _: Timestamp) -> Result<bool, StoreError> {
            Ok(false)
        }
    }

    // Tests [full-queue-waits]. Seen to fail with a queue that counts requests only, and with a batch that does.
    #[tokio::test]
    async fn large_requests_fill_the_queue_and_a_batch_before_many_do() {
        let ((closed, gate), (sizes, batches)) = (channel(), channel());
        let (large, queue_bytes, batch_bytes) = (60_000, 1_000_000, 200_000);
        let grouping = Grouping { queue_bytes, batch_bytes, ..Grouping::default() };
        let metrics = Arc::new(Metrics::new());
        let store = Measured(sizes, gate);
        let (writer, _thread) =
            Writer::start(store, grouping, Arc::clone(&metrics), || Timestamp(1), |_| {}, |_| {})
                .unwrap();
        let inbox = Arc::new(Inbox::default());
        for _ in 0..100 {
            let (writer, reply) = (writer.clone(), Reply::new(&inbox, Ticket::default()));
            let request = StoreRequest::Deposit {
                capability: chopmark_wire::relay::CapabilityHash([1; 32]),
                ttl: chopmark_wire::relay::TtlClass::Day,
                id: chopmark_wire::relay::MessageId([1; 16]),
                envelope: vec![0; large].into(),
            };
            tokio::spawn(async move { writer.ask(request, reply).await });
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        // The queue has room for many more, and not for their bytes.
        assert!(writer.room.available_permits() > 3000);
        assert!(writer.room_bytes.available_permits() < large);
        drop(closed);
        let mut answered = 0;
        while answered < 100 {
            inbox.ready().await;
            let answers = inbox.take();
            assert!(answers.iter().all(|(_, answer)| *answer == Some(StoreAnswer::Done)));
            answered += answers.len();
        }
        let sizes: Vec<_> = batches.try_iter().collect();
        assert_eq!(sizes.iter().map(|(count, _)| count).sum::<usize>(), 100);
        assert!(sizes.iter().all(|(_, bytes)| *bytes < batch_bytes + large), "{sizes:?}");
        assert_eq!(metrics.requests.get(), 100);
        assert_eq!(metrics.batches.get(), sizes.len() as u64);
    }
}
