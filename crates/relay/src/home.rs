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
    /// It has another identity already.
    #[error(
        "the data folder is another relay's: its identity.key is not the backup's; name an empty folder with --data"
    )]
    OtherIdentity,
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
        let lock = lock(folder)?;
        let identity = match identity(folder)? {
            Some(identity) => identity,
            None => {
                let key = SigningKey::generate(&mut SysRng).map_err(|_| HomeError::Randomness)?;
                keep(folder, &key)?;
                key
            }
        };
        Ok(Self { folder: folder.to_owned(), identity, _lock: lock })
    }

    /// Opens the folder for the relay of this identity, and puts it there if there is none. For a store that is restored:
    /// its identity is there before it is, so that nobody starts it under a new one.
    ///
    /// # Errors
    /// [`HomeError`], [`HomeError::OtherIdentity`] among them.
    pub fn open_as(folder: &Path, secret: &Secret) -> Result<Self, HomeError> {
        let lock = lock(folder)?;
        let key = SigningKey::from_secret(secret);
        match identity(folder)? {
            Some(there) if there.verifying_key() != key.verifying_key() => {
                return Err(HomeError::OtherIdentity);
            }
            Some(_) => {}
            None => keep(folder, &key)?,
        }
        Ok(Self { folder: folder.to_owned(), identity: key, _lock: lock })
    }

    /// Does no relay live in the folder? One that is not there is free.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn is_free(folder: &Path) -> Result<bool, HomeError> {
        let lock = match File::open(folder.join(LOCK)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The identity in the folder, whether a relay lives there or not; `None` if there is none yet.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn identity_in(folder: &Path) -> Result<Option<SigningKey>, HomeError> {
        identity(folder)
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

const LOCK: &str = "lock";
const IDENTITY: &str = "identity.key";

/// Makes the folder if there is none, and takes it.
fn lock(folder: &Path) -> Result<File, HomeError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(HomeError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn identity(folder: &Path) -> Result<Option<SigningKey>, HomeError> {
    match fs::read(folder.join(IDENTITY)) {
        Ok(bytes) => {
            let secret = Secret::from_slice(&bytes).ok_or(HomeError::Identity)?;
            Ok(Some(SigningKey::from_secret(&secret)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A new identity is on disk under its name before anybody hears of it.
fn keep(folder: &Path, key: &SigningKey) -> Result<(), HomeError> {
    let unfinished = folder.join("identity.key.new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(key.to_secret().expose())?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(IDENTITY))?;
    sync_folder(folder)?;
    Ok(())
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

    // Seen to fail with the two keys not compared.
    #[test]
    fn a_folder_is_opened_as_one_relay_and_not_as_another() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("new");
        assert!(Home::is_free(&at).unwrap());
        let home = Home::open_as(&at, &Secret::new([1; 32])).unwrap();
        assert!(!Home::is_free(&at).unwrap());
        let other = Home::open_as(&at, &Secret::new([1; 32]));
        assert!(matches!(other, Err(HomeError::InUse)));
        drop(home);
        assert!(Home::is_free(&at).unwrap());
        let other = Home::open_as(&at, &Secret::new([2; 32]));
        assert!(matches!(other, Err(HomeError::OtherIdentity)));
        assert_eq!(fs::read(at.join(IDENTITY)).unwrap(), [1; 32]);
    }
}
