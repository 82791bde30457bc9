//! The ledger: one thread that decides every step in order, one log, one `fdatasync` a batch.
//!
//! A step is decided against books that already include what is not yet durable, so two that race for a coin have one
//! winner. Its answer, whatever it says, is held until the batch it was decided in is durable: an "already spent" that
//! a crash takes back would be as wrong as a signature that it takes back. SPEC §8.12.

pub(crate) mod books;
pub(crate) mod entry;
pub(crate) mod log;

use crate::keyset::Terms;
use books::Books;
use entry::KeysetId;
use log::{AppendError, Head, Log, OpenError};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot, watch};

/// The way to the sequencer. Dropping it lets the sequencer finish what it was given and end.
pub(crate) struct Ledger {
    jobs: mpsc::Sender<Job>,
    head: watch::Receiver<Head>,
    stopped: watch::Receiver<Option<Stop>>,
    thread: JoinHandle<()>,
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsettled {
    /// The disk is full. Nothing happened; the same again may succeed once there is room.
    #[error("the issuer's disk is full: nothing happened, try again later")]
    Full,
    /// The ledger has stopped. What was asked may or may not have happened: ask the same again.
    #[error("the issuer has stopped: ask the same again later")]
    Stopped,
}

/// Why the sequencer stopped by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// A write or sync failed in a way that leaves the disk's content unknown.
    #[error("the ledger could not be synced: check the disk, then start again")]
    Disk,
    /// More would be spent of this keyset than was issued.
    #[error("more would be spent of keyset {0} than was issued: its key may be known to others")]
    Alarm(u16),
}

struct Job {
    decide: Box<dyn FnOnce(&mut Books) + Send>,
    durable: oneshot::Sender<Result<Head, Unsettled>>,
}

impl Ledger {
    /// Opens the log, replays it, and starts the sequencer. `prepare` may add the first entries.
    pub(crate) fn open(
        path: &Path,
        prepare: impl FnOnce(&mut Books),
    ) -> Result<(Self, Vec<(KeysetId, Terms)>), OpenError> {
        let mut books = Books::default();
        let mut log = Log::open(path, |entry| books.replay(entry).map_err(|_| ()))?;
        prepare(&mut books);
        if !books.fresh().is_empty() {
            log.append(books.fresh()).map_err(|error| match error {
                AppendError::Full(error) | AppendError::Broken(error) => OpenError::Io(error),
            })?;
            books.written();
        }
        let terms = books.keysets().map(|(id, terms)| (id, terms.clone())).collect();
        let (sender, jobs) = mpsc::channel(QUEUE);
        let (head, heads) = watch::channel(log.head());
        let (stop, stopped) = watch::channel(None);
        let alarm = path.with_file_name(ALARM_FILE);
        let sequencer = Sequencer { books, log, head, stop, alarm };
        let thread = thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || sequencer.run(jobs))?;
        Ok((Self { jobs: sender, head: heads, stopped, thread }, terms))
    }

    /// Decides a step and waits until the decision is durable. Meanwhile, `beside` works on what will be the answer.
    ///
    /// There is no other way to an answer, so none can be given early: SPEC §8.12 `[answers-wait]`.
    pub(crate) async fn settle<R, T>(
        &self,
        decide: impl FnOnce(&mut Books) -> R + Send + 'static,
        beside: impl FnOnce(R) -> T + Send + 'static,
    ) -> Result<T, Unsettled>
    where
        R: Send + 'static,
        T: Send + 'static,
    {
        let (decision, decided) = oneshot::channel();
        let (durable, synced) = oneshot::channel();
        let decide = Box::new(move |books: &mut Books| {
            // Nobody may be waiting any more; the step happens all the same.
            let _gone = decision.send(decide(books));
        });
        self.jobs.send(Job { decide, durable }).await.map_err(|_| Unsettled::Stopped)?;
        let decision = decided.await.map_err(|_| Unsettled::Stopped)?;
        let answer = tokio::task::spawn_blocking(move || beside(decision))
            .await
            .map_err(|_| Unsettled::Stopped)?;
        synced.await.map_err(|_| Unsettled::Stopped)??;
        Ok(answer)
    }

    /// The last durable head.
    pub(crate) fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Waits until the sequencer stops by itself.
    pub(crate) async fn stopped(&self) -> Stop {
        let mut stopped = self.stopped.clone();
        loop {
            if let Some(stop) = *stopped.borrow_and_update() {
                return stop;
            }
            if stopped.changed().await.is_err() {
                return Stop::Disk;
            }
        }
    }

    /// Lets the sequencer finish what it was given.
    pub(crate) fn close(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the sequencer ended badly");
        }
    }
}

struct Sequencer {
    books: Books,
    log: Log,
    head: watch::Sender<Head>,
    stop: watch::Sender<Option<Stop>>,
    alarm: PathBuf,
}

impl Sequencer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while let Some(first) = jobs.blocking_recv() {
            let mut next = Some(first);
            while let Some(job) = next.take() {
                (job.decide)(&mut self.books);
                waiting.push(job.durable);
                if waiting.len() < BATCH && self.books.alarm().is_none() {
                    next = jobs.try_recv().ok();
                }
            }
            let outcome = self.commit();
            for durable in waiting.drain(..) {
                let _gone = durable.send(outcome);
            }
            if let Some(keyset) = self.books.alarm() {
                self.raise_alarm(keyset);
            }
            if self.stop.borrow().is_some() {
                // What is still queued is dropped with the receiver: "stopped", and nothing happened.
                return;
            }
        }
    }

    /// Makes the batch durable, or as if it had never been.
    fn commit(&mut self) -> Result<Head, Unsettled> {
        if self.books.fresh().is_empty() {
            // Whatever the answers depend on became durable with an earlier batch.
            return Ok(self.log.head());
        }
        match self.log.append(self.books.fresh()) {
            Ok(head) => {
                self.books.written();
                self.head.send_replace(head);
                Ok(head)
            }
            Err(AppendError::Full(error)) => {
                tracing::error!(%error, "the ledger cannot grow: requests are refused until it can");
                self.books.undo();
                Err(Unsettled::Full)
            }
            Err(AppendError::Broken(error)) => {
                tracing::error!(%error, "the ledger could not be synced: stopping");
                self.stop.send_replace(Some(Stop::Disk));
                Err(Unsettled::Stopped)
            }
        }
    }

    fn raise_alarm(&self, keyset: u16) {
        let stop = Stop::Alarm(keyset);
        tracing::error!("{stop}");
        if let Err(error) = std::fs::write(&self.alarm, format!("{stop}\n")) {
            tracing::error!(%error, "the alarm could not be written down");
        }
        self.stop.send_replace(Some(stop));
    }
}

/// While this file lies beside the ledger, the issuer does not start.
pub(crate) const ALARM_FILE: &str = "alarm";
/// Steps that may wait for the sequencer.
const QUEUE: usize = 4096;
/// Steps in one batch.
const BATCH: usize = 1024;

#[cfg(test)]
mod tests;
