//! The lock that one receiving process of a home holds.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreError;

/// How a file of a home is opened for writing: one that is new belongs to its user alone, or another user of the machine
/// could hold the lock.
pub(super) fn owner_only() -> OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Held while a process receives for a home; the operating system frees it when the process ends, however it ends.
pub(crate) struct ReceiveLock {
    _file: File,
}

impl ReceiveLock {
    pub(super) fn take(directory: &Path) -> Result<Option<Self>, StoreError> {
        let file = owner_only()
            .create(true)
            .truncate(false)
            .open(directory.join("receive.lock"))
            .map_err(StoreError::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::Io(error)),
        }
    }
}
