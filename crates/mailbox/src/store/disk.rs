//! A sorted map that commits durably: what the rules of mailboxes need of a disk, and all they know of it.

use bytes::Bytes;
use chopmark_wire::relay::Hour;
use thiserror::Error;

/// Keys and values of one commit; no value deletes the key.
pub type Writes = Vec<(Vec<u8>, Option<Bytes>)>;

/// Why a disk did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiskError {
    /// No space is left. Whether the commit is on disk is not known; [`Disk::reopen`] before the next.
    #[error("no space left on the disk")]
    Full,
    /// Reading, writing or syncing failed: what is on disk is not known. The node must stop.
    #[error("the disk failed: {0}")]
    Broken(String),
}

/// A sorted map on a disk.
pub trait Disk {
    /// The value of a key.
    ///
    /// # Errors
    /// [`DiskError::Broken`].
    fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError>;

    /// Keys from `from` on that begin with `prefix`, with their values: at most `count`, and no more once the values
    /// have `bytes`.
    ///
    /// # Errors
    /// [`DiskError::Broken`].
    fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError>;

    /// All of the writes or none, and durable when this returns.
    ///
    /// # Errors
    /// [`DiskError`]; whether the writes are on disk is not known then.
    fn commit(&mut self, writes: Writes) -> Result<(), DiskError>;

    /// Did it find, as it was opened, that something is gone which it had confirmed?
    fn lost(&self) -> bool {
        false
    }

    /// Does what keeps the disk in order, in this hour: called about once a minute, between batches.
    ///
    /// # Errors
    /// [`DiskError`].
    fn tidy(&mut self, hour: Hour) -> Result<(), DiskError> {
        let _ = hour;
        Ok(())
    }

    /// Is there room for what grows the store? Asked before each batch.
    fn has_room(&mut self) -> bool;

    /// Makes room from the reserve and opens the map again, after [`DiskError::Full`].
    ///
    /// # Errors
    /// [`DiskError`] when that fails: the node must stop.
    fn reopen(&mut self) -> Result<(), DiskError>;
}
