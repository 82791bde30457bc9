//! Mailboxes on any disk: batches in, answers out (SPEC §6.7). What a request does, `rules` says.

use chopmark_core::time::Timestamp;

use chopmark_wire::relay::{Epoch, Hour, Refusal, limits};
use thiserror::Error;

use super::{
    MailboxStore, StoreAnswer, StoreRequest,
    batch::Batch,
    disk::{Disk, DiskError, Writes},
    expiry::Expiry,
    forget,
    record::{self, Life},
    rules::{Not, Rules},
};

/// Why a batch was not taken. Nothing of it may be answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk was full; room has been made, and the next batch may be tried.
    #[error("the disk was full; the requests are to be made again")]
    Full,
    /// What is on disk is not known. The node must stop; started again, it reads what is there.
    #[error("the relay stops, because its store failed: {0}")]
    Stopped(String),
}

/// Mailboxes on a disk. It keeps nothing in memory but what stands here, however much is on the disk.
pub struct Shelf<D> {
    disk: D,
    life: Life,
    /// The number of the next mailbox or link.
    next: u64,
    expiry: Expiry,
    /// The hour of expiry that is on the disk.
    noted: Option<Hour>,
    /// How far the round of forgetting under way has come.
    round: Option<(Hour, Vec<u8>)>,
    /// Before this key nothing expired is left.
    swept: Vec<u8>,
    /// After so many hours without a request of its owner a mailbox is deleted.
    idle_hours: u64,
}

impl<D: Disk> Shelf<D> {
    /// The shelf on this disk. A new one gets the epoch that `draw` draws, and so does one whose disk has lost what it
    /// had confirmed ([`Disk::lost`]).
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails.
    pub fn open(disk: D, draw: impl FnOnce() -> Epoch) -> Result<Self, StoreError> {
        let kept = disk.load(record::EPOCH).map_err(stopped)?;
        let kept = kept.map(|life| Life::decode(&life)).transpose().map_err(unreadable)?;
        let mut shelf = Self {
            life: Life { epoch: Epoch([0; 16]), count: 0 },
            next: 1,
            expiry: Expiry::default(),
            noted: None,
            round: None,
            swept: forget::BEGIN.to_vec(),
            idle_hours: limits::MAILBOX_IDLE_HOURS,
            disk,
        };
        match kept {
            Some(life) if !shelf.disk.lost() => shelf.life = life,
            Some(life) => {
                shelf.life = life;
                shelf.renew_epoch(draw())?;
            }
            None => shelf.renew_epoch(draw())?,
        }
        let hour = shelf.disk.load(record::TIME).map_err(stopped)?;
        let hour = hour.map(|hour| record::read_u64(&hour)).transpose().map_err(unreadable)?;
        shelf.noted = hour.map(Hour);
        shelf.expiry = Expiry::from_hour(shelf.noted);
        shelf.count()?;
        Ok(shelf)
    }

    /// Lets mailboxes be idle for another time than [`limits::MAILBOX_IDLE_HOURS`].
    #[must_use]
    pub const fn with_idle_hours(mut self, hours: u64) -> Self {
        self.idle_hours = hours;
        self
    }

    /// Begins another life of this store, as after a restore: clients notice, and no one-time prekey that is there is
    /// handed out any more (SPEC §6.7 [restore-is-a-new-epoch]).
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails.
    pub fn renew_epoch(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        let life = Life { epoch, count: self.life.count.saturating_add(1) };
        self.commit(vec![(record::EPOCH.to_vec(), Some(life.encode().into()))])?;
        self.life = life;
        Ok(())
    }

    /// The hour of expiry; none before the first round.
    pub const fn hour(&self) -> Option<Hour> {
        self.expiry.hour()
    }

    /// The epoch of this life.
    pub const fn epoch(&self) -> Epoch {
        self.life.epoch
    }

    /// The disk under it.
    pub const fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk under it, to be made to fail.
    pub const fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Reads which number comes next.
    fn count(&mut self) -> Result<(), StoreError> {
        let next = self.disk.load(record::COUNTER).map_err(stopped)?;
        let next = next.map(|next| record::read_u64(&next)).transpose().map_err(unreadable)?;
        self.next = next.unwrap_or(1);
        Ok(())
    }

    fn rules(&self, now: Timestamp) -> Rules<'_, D> {
        Rules::new(Batch::new(&self.disk), now, self.life, self.next, self.expiry, self.idle_hours)
    }

    fn commit(&mut self, writes: Writes) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let committed = self.disk.commit(writes);
        self.settle(committed)
    }

    /// After a full disk it is opened again.
    fn settle(&mut self, outcome: Result<(), DiskError>) -> Result<(), StoreError> {
        match outcome {
            Ok(()) => Ok(()),
            Err(DiskError::Full) => {
                self.disk.reopen().map_err(stopped)?;
                // The batch may be on disk or not.
                self.count()?;
                Err(StoreError::Full)
            }
            Err(error) => Err(stopped(error)),
        }
    }
}

impl<D: Disk> MailboxStore for Shelf<D> {
    type Error = StoreError;

    fn apply(
        &mut self,
        now: Timestamp,
        requests: Vec<StoreRequest>,
    ) -> Result<Vec<StoreAnswer>, StoreError> {
        let room = self.disk.has_room();
        let mut rules = self.rules(now);
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            // SPEC §6.7 [full-disk-takes-acks].
            if !room && grows(&request) {
                answers.push(StoreAnswer::Refused(Refusal::Unavailable { hours: 1 }));
                continue;
            }
            answers.push(match rules.answer(request) {
                Ok(answer) => answer,
                Err(Not::Refused(refusal)) => StoreAnswer::Refused(refusal),
                Err(Not::Failed(error)) => return Err(stopped(error)),
            });
        }
        let (writes, next) = rules.into_writes();
        self.commit(writes)?;
        self.next = next;
        Ok(answers)
    }

    fn sweep(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let (hour, from) = match self.round.take() {
            Some(round) => round,
            None => (self.expiry.round(now), self.swept.clone()),
        };
        let mut rules = self.rules(now);
        if self.noted != Some(hour) {
            rules.batch.put(record::TIME.to_vec(), record::write_u64(hour.0));
        }
        let step = match rules.forget(hour, &from) {
            Ok(step) => step,
            Err(Not::Refused(_)) => None,
            Err(Not::Failed(error)) => return Err(stopped(error)),
        };
        let (writes, _) = rules.into_writes();
        self.commit(writes)?;
        self.noted = Some(hour);
        match step {
            Some(from) => {
                self.round = Some((hour, from));
                Ok(true)
            }
            None => {
                // A clock that comes back by an hour a round leaves nothing behind this.
                self.swept = record::expiry(Hour(hour.0.saturating_sub(1)), &[]);
                let tidied = self.disk.tidy(hour);
                self.settle(tidied).map(|()| false)
            }
        }
    }
}

const fn grows(request: &StoreRequest) -> bool {
    matches!(
        request,
        StoreRequest::Create { .. }
            | StoreRequest::Grant { .. }
            | StoreRequest::Publish { .. }
            | StoreRequest::Deposit { .. }
            | StoreRequest::Probe { .. }
            | StoreRequest::Fetch { .. }
    )
}

fn stopped(error: DiskError) -> StoreError {
    StoreError::Stopped(match error {
        DiskError::Full => "no space left on the disk".into(),
        DiskError::Broken(why) => why,
    })
}

fn unreadable(_: chopmark_core::codec::DecodeError) -> StoreError {
    StoreError::Stopped("a record cannot be read; restore the data folder from a backup".into())
}
