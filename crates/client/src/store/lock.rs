//! The lock that one receiving process of a home holds.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::StoreError;

/// Held while a process receives for a home; the operating system frees it when the process ends, however it ends.
pub(crate) struct ReceiveLock {
    _file: File,
}

impl ReceiveLock {
    pub(super) fn take(directory: &Path) -> Result<Option<Self>, StoreError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("receive.lock"))
            .map_err(StoreError::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::Io(error)),
        }
    }
}
