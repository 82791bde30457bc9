//! A disk in memory that fails when it is told to: full, broken, cut off in the middle of a batch's commit or behind it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use chopmark_mailbox::store::{Disk, DiskError, Writes};

/// What a commit does instead of succeeding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space: nothing of it is there.
    Full,
    /// No space, and all of it is there.
    FullButThere,
    /// The sync fails: it can be read, and a power cut takes it.
    Broken,
    /// The process dies before it.
    CutBefore,
    /// The process dies behind it, before anybody hears of it.
    CutBehind,
}

/// A sorted map whose content outlives who uses it. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct CrashingDisk {
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    /// What can be read, and what a power cut leaves.
    live: BTreeMap<Vec<u8>, Bytes>,
    durable: BTreeMap<Vec<u8>, Bytes>,
    faults: Vec<Option<Fault>>,
    no_room: bool,
    /// After a fault nothing works until the disk is opened again.
    stopped: bool,
    applied: bool,
    commits: u64,
}

impl CrashingDisk {
    /// What the next commits do, the first one first; those behind them succeed.
    pub fn plan(&self, faults: &[Option<Fault>]) {
        let mut content = self.content();
        content.faults = faults.iter().rev().copied().collect();
    }

    /// Is there room?
    pub fn set_room(&self, room: bool) {
        self.content().no_room = !room;
    }

    /// The machine loses power and starts again: what was not synced is gone.
    pub fn cut_power(&self) {
        let mut content = self.content();
        content.live = content.durable.clone();
        content.stopped = false;
        content.faults.clear();
    }

    /// Only the process starts again. On opening, a store makes durable what it can read.
    pub fn start_again(&self) {
        let mut content = self.content();
        content.durable = content.live.clone();
        content.stopped = false;
        content.faults.clear();
    }

    /// Is what the last commit brought there? Asked after a fault.
    pub fn applied(&self) -> bool {
        self.content().applied
    }

    /// Commits so far.
    pub fn commits(&self) -> u64 {
        self.content().commits
    }

    /// Everything, in order.
    pub fn all(&self) -> Vec<(Vec<u8>, Bytes)> {
        self.content().live.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for CrashingDisk {
    fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError> {
        Ok(self.content().live.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError> {
        let content = self.content();
        let mut seen = 0_usize;
        let some = content.live.range(from.to_vec()..);
        let some = some.take_while(|(key, _)| key.starts_with(prefix)).take(count);
        let some = some.take_while(|(_, value)| {
            let before = seen;
            seen = seen.saturating_add(value.len());
            before < bytes
        });
        Ok(some.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, writes: Writes) -> Result<(), DiskError> {
        let mut content = self.content();
        assert!(!content.stopped, "used after it failed");
        content.commits += 1;
        let fault = content.faults.pop().flatten();
        content.applied = !matches!(fault, Some(Fault::Full | Fault::CutBefore));
        if content.applied {
            for (key, value) in writes {
                match value {
                    Some(value) => content.live.insert(key, value),
                    None => content.live.remove(&key),
                };
            }
        }
        let broken = || Err(DiskError::Broken("as planned".into()));
        match fault {
            None => {
                content.durable = content.live.clone();
                Ok(())
            }
            Some(Fault::Full | Fault::FullButThere) => {
                content.stopped = true;
                Err(DiskError::Full)
            }
            Some(Fault::CutBehind) => {
                content.durable = content.live.clone();
                content.stopped = true;
                broken()
            }
            Some(Fault::Broken | Fault::CutBefore) => {
                content.stopped = true;
                broken()
            }
        }
    }

    fn has_room(&mut self) -> bool {
        !self.content().no_room
    }

    fn reopen(&mut self) -> Result<(), DiskError> {
        let mut content = self.content();
        content.stopped = false;
        content.durable = content.live.clone();
        Ok(())
    }
}
