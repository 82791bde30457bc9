//! The folder that a relay lives in: its identity key, its store, and a lock so that it lives there alone.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use chopmark_core::{secret::Secret, signature::SigningKey};
use rand::rngs::SysRng;
use thiserror::Error;

use crate::store::fjall_disk::sync_folder;

/// A relay's folder, held until dropped.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    identity: SigningKey,
    _lock: File,
}

/// Why a folder cannot be used. Nothing was changed in it that a next start would not do again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Another relay runs in it.
    #[error("another relay uses this data folder; stop it, or choose another with --data")]
    InUse,
    /// The identity key is not 32 bytes.
    #[error("the file identity.key in the data folder is damaged; restore it from a backup")]
    Identity,
    /// No randomness for a new identity.
    #[error("the system gives no random numbers")]
    Randomness,
    /// It cannot be made, read or written.
    #[error("the data folder cannot be used: {0}")]
    Io(#[from] io::Error),
}

impl Home {
    /// Opens the folder, making it and an identity if there are none.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn open(folder: &Path) -> Result<Self, HomeError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HomeError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let identity = identity(folder)?;
        Ok(Self { folder: folder.to_owned(), identity, _lock: lock })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The relay's identity key.
    pub const fn identity(&self) -> &SigningKey {
        &self.identity
    }
}

/// The identity in the folder. A new one is on disk under its name before anybody hears of it.
fn identity(folder: &Path) -> Result<SigningKey, HomeError> {
    let path = folder.join("identity.key");
    match fs::read(&path) {
        Ok(bytes) => {
            let secret = Secret::from_slice(&bytes).ok_or(HomeError::Identity)?;
            return Ok(SigningKey::from_secret(&secret));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let key = SigningKey::generate(&mut SysRng).map_err(|_| HomeError::Randomness)?;
    let unfinished = folder.join("identity.key.new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(key.to_secret().expose())?;
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    sync_folder(folder)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_identity_stays_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Home::open(folder.path()).unwrap().identity().verifying_key();
        let second = Home::open(folder.path()).unwrap().identity().verifying_key();
        assert_eq!(first, second);
        let mode = fs::metadata(folder.path().join("identity.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // Seen to fail with the lock not taken.
    #[test]
    fn two_relays_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Home::open(folder.path()).unwrap();
        assert!(matches!(Home::open(folder.path()), Err(HomeError::InUse)));
    }

    #[test]
    fn a_damaged_identity_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("identity.key"), [1; 31]).unwrap();
        assert!(matches!(Home::open(folder.path()), Err(HomeError::Identity)));
        assert_eq!(fs::read(folder.path().join("identity.key")).unwrap(), [1; 31]);
    }
}
