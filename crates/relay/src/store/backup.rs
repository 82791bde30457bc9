//! A store as one stream, and back: made while the relay serves, checked before it is used (SPEC §6.7).
//!
//! ```text
//! "chopmark relay backup 1\n" | u64 hour | n times { u32 key | u32 value | key | value } | u32 0 | u64 n | SHA-256
//! ```
//! Lengths are little-endian, records in order of their keys, the hash is of everything before it. A stream that was
//! cut off has no end and is refused.
//!
//! [`backup`] reads one snapshot of a running store: everything that was answered before it began, and no half of a
//! batch. [`restore`] makes a new store of it under a new epoch, so that clients notice (SPEC §6.7
//! [restore-is-a-new-epoch]).

use std::{
    fs::{self, DirBuilder},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use bytes::Bytes;
use chopmark_core::time::Timestamp;
use chopmark_mailbox::store::{
    Disk as _, DiskError, Shelf, Writes,
    record::{self, Counted},
};
use chopmark_wire::relay::{Epoch, Hour};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::fjall_disk::{FjallDisk, Source, Space, sync_folder};

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The whole hour in which it was taken, counted from 1970.
    pub taken: Hour,
    /// How many records of every kind.
    pub records: u64,
    /// Messages that wait in its mailboxes.
    pub messages: u64,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Length of the stream.
    pub bytes: u64,
}

/// Why there is no backup, or none that can be used. Nothing was changed but what the variant says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The data folder has a store already.
    #[error("the data folder has a store already; move its folder `queue` away first")]
    NotEmpty,
    /// The store was closed, or opened again because its disk was full. What was written of the backup is no backup.
    #[error("the store was closed while it was read; try again")]
    Reopened,
    /// The store could not be read, or the new one not written.
    #[error("the store: {0}")]
    Store(#[from] DiskError),
    /// This is no backup, or one of another version.
    #[error("this is not a backup that this version reads")]
    Unknown,
    /// Cut off, or changed since it was made.
    #[error("the backup is damaged or was cut off; use another one")]
    Damaged,
    /// Reading or writing failed.
    #[error("the backup: {0}")]
    Io(#[from] io::Error),
}

/// Writes a backup of a store that may be running. Takes as long as reading the store; the relay goes on meanwhile.
/// Call it on a thread of its own. The caller syncs what it writes to, and gives it its name only after that.
///
/// The stream holds what the store holds: keep it as safe, and no longer than needed, since what is acked and gone
/// from the store stays in it.
///
/// # Errors
/// [`BackupError`]; what was written then is refused by [`restore`].
pub fn backup(source: &Source, now: Timestamp, out: impl Write) -> Result<Manifest, BackupError> {
    let mut out = Hashing { inner: BufWriter::with_capacity(PART_BYTES, out), hash: Sha256::new() };
    let mut manifest = Manifest::new(Hour::of(now));
    out.put(&mut manifest, MAGIC)?;
    out.put(&mut manifest, &Hour::of(now).0.to_le_bytes())?;
    let mut snapshot = source.snapshot()?;
    loop {
        let part = snapshot.next(PART_BYTES)?.ok_or(BackupError::Reopened)?;
        if part.is_empty() {
            break;
        }
        for (key, value) in part {
            manifest.count(record::read(&key, &value).map_err(|_| unreadable())?);
            for part in [&length_of(&key)[..], &length_of(&value), &key, &value] {
                out.put(&mut manifest, part)?;
            }
        }
    }
    out.put(&mut manifest, &length_of(b""))?;
    let records = manifest.records.to_le_bytes();
    out.put(&mut manifest, &records)?;
    let hash = out.hash.clone().finalize();
    out.put(&mut manifest, &hash)?;
    out.inner.flush()?;
    Ok(manifest)
}

/// Reads a backup whole and compares it with its checksum.
///
/// # Errors
/// [`BackupError::Unknown`], [`BackupError::Damaged`], [`BackupError::Io`].
pub fn verify(from: impl Read) -> Result<Manifest, BackupError> {
    let mut input = Input::begin(from)?;
    while input.record()?.is_some() {}
    Ok(input.manifest)
}

/// Makes the store of a data folder that has none from a backup, under the new epoch. The store has its name only
/// once the backup was read and compared whole, and all of it is on disk. The caller holds the folder's lock.
///
/// One-time prekeys that came with it are handed out no more: which of them were handed out since the backup, nobody knows, and none is handed
/// out twice (SPEC §6.6 [fetch-once]). Their owners publish new ones as they see the epoch.
///
/// # Errors
/// [`BackupError`].
pub fn restore(from: impl Read, home: &Path, epoch: Epoch) -> Result<Manifest, BackupError> {
    if home.join(QUEUE).exists() {
        return Err(BackupError::NotEmpty);
    }
    let unfinished = home.join("restoring");
    let _ = fs::remove_dir_all(&unfinished);
    DirBuilder::new().recursive(true).mode(0o700).create(&unfinished)?;
    let filled = fill(from, &unfinished, epoch);
    if filled.is_ok() {
        fs::rename(unfinished.join(QUEUE), home.join(QUEUE))?;
    }
    let _ = fs::remove_dir_all(&unfinished);
    let manifest = filled?;
    sync_folder(home)?;
    Ok(manifest)
}

const MAGIC: &[u8; 24] = b"chopmark relay backup 1\n";
/// The folder of the store in a data folder.
pub(super) const QUEUE: &str = "queue";
/// Records are read and committed in parts of about so many bytes.
const PART_BYTES: usize = 1024 * 1024;
/// No record is longer: what claims to be is damaged, and no memory is taken for it.
const KEY_BYTES_MAX: u32 = 1024;
const VALUE_BYTES_MAX: u32 = 256 * 1024;

fn fill(from: impl Read, folder: &Path, epoch: Epoch) -> Result<Manifest, BackupError> {
    let mut input = Input::begin(from)?;
    // The floor is the relay's to keep, the ballast its to make.
    let mut disk = FjallDisk::open(folder, Space { floor: 0, ballast: 0 })?;
    let (mut part, mut bytes) = (Writes::new(), 0_usize);
    while let Some((key, value)) = input.record()? {
        bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
        part.push((key, Some(value)));
        if bytes >= PART_BYTES {
            disk.commit(std::mem::take(&mut part))?;
            bytes = 0;
        }
    }
    disk.commit(part)?;
    let renewed = Shelf::open(disk, || epoch).and_then(|mut shelf| shelf.renew_epoch(epoch));
    renewed.map_err(|error| BackupError::Store(DiskError::Broken(error.to_string())))?;
    Ok(input.manifest)
}

impl Manifest {
    const fn new(taken: Hour) -> Self {
        Self { taken, records: 0, messages: 0, mailboxes: 0, bytes: 0 }
    }

    const fn count(&mut self, record: Counted) {
        self.records = self.records.saturating_add(1);
        match record {
            Counted::Message { .. } => self.messages = self.messages.saturating_add(1),
            Counted::Mailbox { .. } => self.mailboxes = self.mailboxes.saturating_add(1),
            _ => {}
        }
    }
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    fn put(&mut self, manifest: &mut Manifest, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        manifest.bytes = manifest.bytes.saturating_add(bytes.len() as u64);
        self.inner.write_all(bytes)
    }
}

/// A backup that is read. Its end is seen by [`record`](Self::record) and nobody else.
struct Input<R> {
    inner: BufReader<R>,
    hash: Sha256,
    manifest: Manifest,
}

impl<R: Read> Input<R> {
    fn begin(from: R) -> Result<Self, BackupError> {
        let inner = BufReader::with_capacity(PART_BYTES, from);
        let mut input = Self { inner, hash: Sha256::new(), manifest: Manifest::new(Hour(0)) };
        if input.array::<24>().map_err(|_| BackupError::Unknown)? != *MAGIC {
            return Err(BackupError::Unknown);
        }
        input.manifest.taken = Hour(u64::from_le_bytes(input.array()?));
        Ok(input)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.inner.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Damaged,
            _ => BackupError::Io(error),
        })?;
        self.hash.update(&*bytes);
        self.manifest.bytes = self.manifest.bytes.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).map(|()| bytes)
    }

    /// The next record; none once all of it was read and its checksum is right.
    fn record(&mut self) -> Result<Option<(Vec<u8>, Bytes)>, BackupError> {
        let key = u32::from_le_bytes(self.array()?);
        if key == 0 {
            let records = u64::from_le_bytes(self.array()?);
            let expected = self.hash.clone().finalize();
            let whole = self.array::<32>()? == expected[..] && records == self.manifest.records;
            return if whole { Ok(None) } else { Err(BackupError::Damaged) };
        }
        let value = u32::from_le_bytes(self.array()?);
        if key > KEY_BYTES_MAX || value > VALUE_BYTES_MAX {
            return Err(BackupError::Damaged);
        }
        let (mut key, mut value) = (vec![0; key as usize], vec![0; value as usize]);
        self.fill(&mut key)?;
        self.fill(&mut value)?;
        let value = Bytes::from(value);
        self.manifest.count(record::read(&key, &value).map_err(|_| BackupError::Damaged)?);
        Ok(Some((key, value)))
    }
}

fn unreadable() -> DiskError {
    DiskError::Broken("a record cannot be read; `check` says more".into())
}

fn length_of(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}
