//! The real disk: fjall, a reserve of space, and the one place where anything is synced (SPEC §6.7).

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use chopmark_mailbox::store::{Disk, DiskError, Writes};
use chopmark_wire::relay::Hour;
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _, Snapshot as Instant,
};
use rand::rngs::SysRng;

use super::{
    backup::QUEUE,
    eraser::{Eraser, Step},
    journal::{self, COMMIT, Mark},
};

/// Space that is kept free, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Below so much free space nothing is taken that grows the store.
    pub floor: u64,
    /// A file of this size is given up when the disk is full, so that acks can still be written.
    pub ballast: u64,
}

impl Space {
    /// What a node keeps unless told otherwise.
    pub const DEFAULT: Self = Self { floor: 64 * MIB, ballast: 16 * MIB };
}

const MIB: u64 = 1024 * 1024;
/// SPEC §6.7: the journal is bounded.
const JOURNAL_BYTES: u64 = 64 * MIB;
/// What is acked before this much has come after it is never written to a table.
const MEMTABLE_BYTES: u64 = 32 * MIB;
/// So often the mark learns how many commits there are.
const NOTE_COMMITS: u64 = 4096;
/// SPEC §6.7 [acked-is-erased].
const ERASE_HOURS: u64 = 24;
const CACHE_BYTES: u64 = 32 * MIB;
/// With so much free, a flush or a compaction did not fail for want of space.
const FLUSH_BYTES_MAX: u64 = 256 * MIB;

/// A fjall database in one folder.
pub struct FjallDisk {
    folder: PathBuf,
    space: Space,
    open: Option<Open>,
    /// The same, for who reads it meanwhile; empty while it is closed.
    shared: Source,
    mark: Mark,
    /// Commits that were made.
    commits: u64,
    /// Are commits missing that were confirmed?
    lost: bool,
    eraser: Eraser,
    erase_hours: u64,
    syncs: u64,
    /// Whether there was room last time: the operator hears of a change, once.
    room: bool,
    /// Whether the reserve is there.
    ballast: bool,
    /// For tests of the tests: commits that skip their sync.
    lying: bool,
}

#[derive(Clone)]
struct Open {
    database: Database,
    keys: Keyspace,
}

/// Keys and their values, in order.
type Records = Vec<(Vec<u8>, Bytes)>;

/// A store that may be running, to be read from another thread. Cheap to clone, and holds nothing open.
#[derive(Clone, Default)]
pub struct Source(Arc<RwLock<(u64, Option<Open>)>>);

/// All records of a store at one instant: what was committed before it, and no half of a batch.
pub struct Snapshot {
    source: Source,
    /// How often the store had been opened. Opened again, it is another one.
    opened: u64,
    instant: Instant,
    from: Option<Vec<u8>>,
}

impl Source {
    /// The store as it is now.
    ///
    /// # Errors
    /// [`DiskError::Broken`] when it is not open.
    pub fn snapshot(&self) -> Result<Snapshot, DiskError> {
        let shared = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (opened, open) = &*shared;
        let open = open.as_ref().ok_or_else(not_open)?;
        let (source, instant) = (self.clone(), open.database.snapshot());
        Ok(Snapshot { source, opened: *opened, instant, from: Some(Vec::new()) })
    }

    /// Waits until nobody reads, and lets go of the store.
    fn close(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).1 = None;
    }

    fn open(&self, open: Open) {
        let mut shared = self.0.write().unwrap_or_else(PoisonError::into_inner);
        shared.0 = shared.0.saturating_add(1);
        shared.1 = Some(open);
    }
}

impl Snapshot {
    /// The next records in order of their keys, about `bytes` of them; an empty part is the end. `None` when the store
    /// was closed since.
    ///
    /// # Errors
    /// [`DiskError::Broken`].
    pub fn next(&mut self, bytes: usize) -> Result<Option<Records>, DiskError> {
        let shared = self.source.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = shared.1.as_ref().filter(|_| shared.0 == self.opened) else {
            return Ok(None);
        };
        let Some(from) = self.from.take() else { return Ok(Some(Vec::new())) };
        let (mut part, mut seen) = (Vec::new(), 0_usize);
        for guard in self.instant.range(&open.keys, from..) {
            let (key, value) = guard.into_inner().map_err(broken)?;
            // What another store would not know itself by.
            if *key == *COMMIT {
                continue;
            }
            if seen >= bytes {
                self.from = Some(key.to_vec());
                break;
            }
            seen = seen.saturating_add(key.len()).saturating_add(value.len());
            part.push((key.to_vec(), Bytes::copy_from_slice(&value)));
        }
        Ok(Some(part))
    }
}

impl FjallDisk {
    /// Opens the database in `folder/queue`, or makes it.
    ///
    /// # Errors
    /// [`DiskError`] when it cannot be opened.
    pub fn open(folder: &Path, space: Space) -> Result<Self, DiskError> {
        let queue = folder.join(QUEUE);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&queue).map_err(failed)?;
        let mark = match Mark::read(&queue).map_err(failed)? {
            Some(mark) => mark,
            None => {
                let secret = chopmark_core::random::array(&mut SysRng);
                let secret = secret
                    .map_err(|_| DiskError::Broken("the system gives no random numbers".into()))?;
                let mark = Mark::new(secret);
                mark.write(&queue).map_err(failed)?;
                mark
            }
        };
        let mut disk = Self {
            folder: folder.to_owned(),
            space,
            open: None,
            shared: Source::default(),
            mark,
            commits: 0,
            lost: false,
            eraser: Eraser::default(),
            erase_hours: ERASE_HOURS,
            syncs: 0,
            room: true,
            ballast: false,
            lying: false,
        };
        disk.open_database()?;
        let free = disk.free().unwrap_or(0);
        disk.keep_ballast(free);
        // What a killed process left in the page cache counts as kept from here on, so it must be on disk first: a
        // repeated deposit that is found here is answered without a write. The journals were written anew for it.
        disk.sync()?;
        Ok(disk)
    }

    /// Erases what was deleted after so many hours instead of a day's.
    #[must_use]
    pub const fn with_erase_hours(mut self, hours: u64) -> Self {
        self.erase_hours = hours;
        self
    }

    /// How often [`commit`](Disk::commit) and opening have synced.
    pub const fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Makes this a disk that loses what it confirmed. For the test that sees the proof of durability fail.
    #[doc(hidden)]
    pub const fn lie(&mut self) {
        self.lying = true;
    }

    /// A handle to read all of it from another thread, for as long as it is open.
    pub fn source(&self) -> Source {
        self.shared.clone()
    }

    fn open_database(&mut self) -> Result<(), DiskError> {
        let queue = self.folder.join(QUEUE);
        journal::mend(&queue, &mut self.mark).map_err(failed)?;
        let database = Database::builder(queue)
            .max_journaling_size(JOURNAL_BYTES)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .map_err(broken)?;
        let keys = database
            .keyspace("mailboxes", || {
                KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
            })
            .map_err(broken)?;
        sync_folder(&self.folder).map_err(|error| broken(fjall::Error::Io(error)))?;
        let last = keys.get(COMMIT).map_err(broken)?;
        self.commits = last.and_then(|last| self.mark.number(&last)).unwrap_or(0);
        self.lost |= self.commits < self.mark.floor;
        if self.lost {
            tracing::error!(
                "the store has lost messages that it had confirmed; look for disk errors in the system's log. It goes on \
                 under a new epoch, and clients send again"
            );
        }
        let open = Open { database, keys };
        self.shared.open(open.clone());
        self.open = Some(open);
        Ok(())
    }

    fn close(&mut self) {
        self.eraser.wait();
        self.shared.close();
        self.open = None;
    }

    /// The floor of the mark follows the commits that are on disk.
    fn note_commits(&mut self) -> io::Result<()> {
        self.mark.floor = self.commits;
        self.mark.write(&self.folder.join(QUEUE))
    }

    /// Everything goes from memory into tables.
    pub(super) fn flush(&self) -> Result<(), DiskError> {
        let Open { database, keys } = self.opened()?;
        let flushed = |error| full_or_broken(error, self.free());
        loop {
            let rotated = keys.rotate_memtable().map_err(flushed)?;
            while keys.sealed_memtable_count() > 0 {
                // Poisoned, and nothing is flushed any more.
                database.persist(PersistMode::Buffer).map_err(flushed)?;
                pause();
            }
            if !rotated {
                return Ok(());
            }
        }
    }

    /// A step of erasing what was deleted, if one is due.
    fn erase(&mut self, hour: Hour) -> Result<(), DiskError> {
        match self.eraser.look(hour, self.erase_hours) {
            Step::Nothing => {}
            Step::Failed => {
                tracing::warn!("what was deleted could not be erased; it is tried again")
            }
            Step::Begin => {
                let live = self.opened()?.keys.disk_space();
                if self.free().unwrap_or(0) < self.space.floor.saturating_add(live) {
                    tracing::warn!("too little space to erase what was deleted; it is tried again");
                    return Ok(());
                }
                self.flush()?;
                let keys = self.opened()?.keys.clone();
                self.eraser.merge(keys).map_err(failed)?;
            }
            Step::Finish => {
                self.flush()?;
                self.close();
                journal::empty(&self.folder.join(QUEUE)).map_err(failed)?;
                self.open_database()?;
                if self.lost {
                    return Err(DiskError::Broken(DAMAGED.into()));
                }
                self.sync()?;
            }
        }
        Ok(())
    }

    fn opened(&self) -> Result<&Open, DiskError> {
        self.open.as_ref().ok_or_else(not_open)
    }

    /// SPEC §6.7 [stored-after-fsync]: everything committed before is on disk when this returns. The one place.
    fn sync(&mut self) -> Result<(), DiskError> {
        if !self.lying {
            // An error here means that what was written may be gone although it can still be read: stop.
            let synced = self.opened()?.database.persist(PersistMode::SyncData);
            // Some file systems look for space only now; opened again, the journal is written anew. And a flush in the
            // background may have failed between the batch and this.
            synced.map_err(|error| full_or_broken(error, self.free()))?;
        }
        self.syncs = self.syncs.saturating_add(1);
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        fs4::available_space(&self.folder)
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Makes the reserve if it is not there and there is ample space for it.
    fn keep_ballast(&mut self, free: u64) {
        let Space { floor, ballast } = self.space;
        if self.ballast || ballast == 0 || free < floor.saturating_add(ballast.saturating_mul(2)) {
            return;
        }
        let path = self.ballast();
        self.ballast = path.exists() || write_zeros(&path, ballast).is_ok();
        // Without a reserve the floor still holds; the next batch tries again.
        if !self.ballast {
            let _ = fs::remove_file(&path);
        }
    }
}

impl Disk for FjallDisk {
    fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError> {
        let value = self.opened()?.keys.get(key).map_err(broken)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError> {
        let mut found = Vec::new();
        let mut seen = 0_usize;
        for guard in self.opened()?.keys.range(from..) {
            if found.len() >= count || seen >= bytes {
                break;
            }
            let (key, value) = guard.into_inner().map_err(broken)?;
            if !key.starts_with(prefix) {
                break;
            }
            seen = seen.saturating_add(value.len());
            found.push((key.to_vec(), Bytes::copy_from_slice(&value)));
        }
        Ok(found)
    }

    fn commit(&mut self, writes: Writes) -> Result<(), DiskError> {
        let Open { database, keys } = self.opened()?;
        let mut batch = database.batch().durability(Some(PersistMode::Buffer));
        let commits = self.commits.saturating_add(1);
        batch.insert(keys, COMMIT, self.mark.commit(commits));
        let mut deletes = false;
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(keys, key, value.as_ref()),
                None => {
                    deletes = true;
                    batch.remove(keys, key);
                }
            }
        }
        batch.commit().map_err(|error| full_or_broken(error, self.free()))?;
        self.sync()?;
        self.commits = commits;
        self.eraser.deleted |= deletes;
        // The first commit after a loss is the new epoch's.
        if std::mem::take(&mut self.lost) {
            self.note_commits().map_err(failed)?;
        } else if commits >= self.mark.floor.saturating_add(NOTE_COMMITS) {
            // A lower floor is as true.
            let _ = self.note_commits();
        }
        Ok(())
    }

    fn lost(&self) -> bool {
        self.lost
    }

    fn tidy(&mut self, hour: Hour) -> Result<(), DiskError> {
        self.erase(hour)
    }

    fn has_room(&mut self) -> bool {
        // Failing closed: a disk that does not say how full it is, is full.
        let free = self.free().unwrap_or(0);
        self.keep_ballast(free);
        let room = free >= self.space.floor;
        match (self.room, room) {
            (true, false) => tracing::warn!(
                "less space is free than is to be kept free: no message is taken until there is more"
            ),
            (false, true) => tracing::info!("there is space again: messages are taken"),
            _ => {}
        }
        self.room = room;
        room
    }

    fn reopen(&mut self) -> Result<(), DiskError> {
        self.close();
        self.ballast = false;
        let _ = fs::remove_file(self.ballast());
        self.open_database()?;
        if self.lost {
            return Err(DiskError::Broken(
                "the store has lost what it had confirmed; start again".into(),
            ));
        }
        self.sync()
    }
}

impl Drop for FjallDisk {
    fn drop(&mut self) {
        if self.open.is_some() && self.commits > self.mark.floor && self.sync().is_ok() {
            let _ = self.note_commits();
        }
        self.close();
    }
}

fn failed(error: io::Error) -> DiskError {
    match error.kind() {
        _ if is_full(&error) => DiskError::Full,
        io::ErrorKind::InvalidData => DiskError::Broken(DAMAGED.into()),
        kind => DiskError::Broken(kind.to_string()),
    }
}

/// While another thread writes.
#[allow(clippy::disallowed_methods, reason = "fjall has no other way to wait for its flush")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(2));
}

fn not_open() -> DiskError {
    DiskError::Broken("the store is not open".into())
}

/// Makes what was done to the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn write_zeros(path: &Path, length: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = [0; 65_536];
    let mut left = usize::try_from(length).unwrap_or(0);
    while left > 0 {
        let part = zeros.get(..left.min(zeros.len())).unwrap_or(&zeros);
        file.write_all(part)?;
        left = left.saturating_sub(part.len());
    }
    file.sync_all()
}

/// What a failed commit means on a disk with so much free.
fn full_or_broken(error: fjall::Error, free: io::Result<u64>) -> DiskError {
    match &error {
        fjall::Error::Io(io) if is_full(io) => DiskError::Full,
        fjall::Error::Storage(lsm) if format!("{lsm:?}").contains("StorageFull") => DiskError::Full,
        // A write in the background failed before ours, and fjall does not say why. On a disk with space for it, it
        // was not the space: going on would be going on after a failed sync (SPEC §6.7).
        fjall::Error::Poisoned if free.is_ok_and(|free| free < FLUSH_BYTES_MAX) => DiskError::Full,
        _ => broken(error),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

const DAMAGED: &str = "the store is damaged; restore the data folder from a backup, or move its folder `queue` away \
    to begin with an empty store: clients notice and send again what was not acknowledged";

/// The kind of error only: fjall's texts hold paths.
fn broken(error: fjall::Error) -> DiskError {
    DiskError::Broken(match error {
        fjall::Error::Io(io) => io.kind().to_string(),
        fjall::Error::Locked => "another process has the store open".into(),
        fjall::Error::InvalidVersion(_) => "the store is of another version".into(),
        fjall::Error::Poisoned => {
            "a write in the background failed although there is space; look for disk errors in the \
             system's log, then start again"
                .into()
        }
        _ => DAMAGED.into(),
    })
}
