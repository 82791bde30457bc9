//! One SQLite file per user: everything the client knows, each row sealed.
//!
//! This module owns the file, its key and its transactions. It knows nothing of sessions, contacts or coins: to it they
//! are sealed records under a kind and a key. A message, the ratchet state that sealed it, its outbox row and the wallet
//! change that goes with it are one [`Store::transaction`], or nothing.
//!
//! Start at [`Store::open`]; `SPEC §9`.

mod keys;
mod lock;
mod seal;
mod tx;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::SysRng;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

pub use keys::Unlock;
pub(crate) use lock::ReceiveLock;
pub(crate) use tx::{Kind, Log, Tx};

use keys::StoreKeys;

/// An open store. Every call runs in one `BEGIN IMMEDIATE` transaction and keeps nothing in memory after it, so that two
/// processes may work on one file.
pub(crate) struct Store {
    connection: Connection,
    keys: StoreKeys,
    directory: PathBuf,
}

impl Store {
    /// Creates the store of a new home. The directory is made if need be, for its user alone; it must hold no store yet.
    pub(crate) fn create(directory: &Path, unlock: &Unlock) -> Result<Self, StoreError> {
        let mut home = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut home, 0o700);
        home.recursive(true).create(directory).map_err(StoreError::Io)?;
        let path = directory.join(FILE);
        // One process creates: the second one would put its store in the place of the first one's.
        let _lock = ReceiveLock::take(directory)?.ok_or(StoreError::Busy)?;
        if path.exists() {
            return Err(StoreError::AlreadyThere);
        }
        // The finished file takes its name in one step: a crash while it is made leaves no half store behind.
        let draft = directory.join(format!("{FILE}.new"));
        for end in ["", "-wal", "-shm", "-journal"] {
            remove_if_there(&directory.join(format!("{FILE}.new{end}")))?;
        }
        // Made before SQLite opens it: its side files get the same rights, from the first byte on.
        lock::owner_only().create_new(true).open(&draft).map_err(StoreError::Io)?;
        {
            let connection = connect(&draft)?;
            connection.execute_batch(SCHEMA)?;
            connection.pragma_update(None, "user_version", FORMAT)?;
            StoreKeys::create(&connection, unlock, &mut SysRng)?;
            connection.pragma_update(None, "journal_mode", "DELETE")?;
        }
        std::fs::rename(&draft, &path).map_err(StoreError::Io)?;
        sync_directory(directory)?;
        Self::open(directory, unlock)
    }

    /// Opens the store of an existing home.
    pub(crate) fn open(directory: &Path, unlock: &Unlock) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Err(StoreError::NotThere);
        }
        let connection = connect(&path)?;
        let format: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if format != FORMAT {
            return Err(StoreError::Format(format));
        }
        let keys = StoreKeys::open(&connection, unlock)?;
        Ok(Self { connection, keys, directory: directory.to_owned() })
    }

    /// Whether a home holds a store.
    pub(crate) fn exists(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    /// Runs `work` in one transaction: all of it is on disk when this returns `Ok`, none of it otherwise.
    pub(crate) fn transaction<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let sql = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)?;
        let mut tx = Tx::new(sql, &self.keys);
        let value = work(&mut tx)?;
        tx.commit()?;
        Ok(value)
    }

    /// Everything that was committed stands in the one file, as a copy of it needs.
    #[cfg(test)]
    pub(crate) fn checkpoint(&self) {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }

    /// As if the disk were full: the file does not grow by more than so many pages.
    #[cfg(test)]
    pub(crate) fn limit_growth(&self, pages: i64) {
        let used: i64 =
            self.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let most = used.saturating_add(pages);
        self.connection
            .query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))
            .unwrap();
    }

    /// Runs `work` on what is there, beside whoever writes: it waits for nobody, and what it writes is rolled back.
    pub(crate) fn view<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let sql = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(StoreError::from)?;
        // Dropped without a commit.
        work(&mut Tx::new(sql, &self.keys))
    }

    /// A number that differs whenever another process has committed since it was last read.
    pub(crate) fn foreign_changes(&self) -> Result<i64, StoreError> {
        Ok(self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// Takes the lock that only one receiving process of a home can hold; `None` while another holds it.
    pub(crate) fn receive_lock(&self) -> Result<Option<ReceiveLock>, StoreError> {
        ReceiveLock::take(&self.directory)
    }
}

/// The store could not be used. Nothing was changed by the call that says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store in this home.
    #[error("there is no store in this home: create it first")]
    NotThere,
    /// There is a store in this home already.
    #[error("this home has a store already: open it, or choose another home")]
    AlreadyThere,
    /// The passphrase or the key file is not this store's, or its key record was altered.
    #[error("wrong passphrase or key file for this store")]
    WrongKey,
    /// The key file is missing, unreadable or not 32 bytes.
    #[error("the key file cannot be read as 32 bytes")]
    KeyFile,
    /// A row does not open under this store's key: the file was altered or damaged.
    #[error("a record of the store was altered or damaged: restore the home from a backup")]
    Damaged,
    /// The file was written by another version of this program.
    #[error("the store has format {0}, which this version cannot read")]
    Format(u32),
    /// The disk is full; what was to be stored is not stored.
    #[error("the disk is full: free some space and try again")]
    DiskFull,
    /// Another process kept the store busy for too long.
    #[error("another process keeps this home busy: try again")]
    Busy,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// SQLite refused, with this code of its own; -1 if it was not SQLite but a value that does not fit.
    #[error("the store failed with code {0}")]
    Sql(i32),
    /// The file system refused.
    #[error("the store's files failed: {}", .0.kind())]
    Io(std::io::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        // The text of the error may hold the path of the home: only its code is kept.
        let Some(error) = error.sqlite_error() else { return Self::Sql(-1) };
        match error.code {
            ErrorCode::DiskFull => Self::DiskFull,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Damaged,
            _ => Self::Sql(error.extended_code),
        }
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // SPEC §9.1 [persist-before-send]: a commit is on disk, not in a cache, before anything it holds is sent.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row("PRAGMA journal_size_limit = 0", [], |_| Ok(()))?;
    Ok(connection)
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::Io(error)),
        _ => Ok(()),
    }
}

fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    std::fs::File::open(directory).and_then(|file| file.sync_all()).map_err(StoreError::Io)
}

const FILE: &str = "chopmark.db";
const FORMAT: u32 = 1;
/// How long a transaction waits for another process to finish its own.
const BUSY: Duration = Duration::from_secs(60);

/// `name` of a record and `thread` of a log row are keyed hashes: the file shows how many rows there are, not whose.
const SCHEMA: &str = "
CREATE TABLE store_key (slot INTEGER PRIMARY KEY, salt BLOB NOT NULL, cost BLOB NOT NULL, wrapped BLOB NOT NULL) STRICT;
CREATE TABLE records (kind INTEGER NOT NULL, name BLOB NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;
CREATE TABLE logs (seq INTEGER PRIMARY KEY AUTOINCREMENT, log INTEGER NOT NULL, thread BLOB NOT NULL,
    version INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE INDEX logs_by_thread ON logs (log, thread, seq);
CREATE INDEX logs_by_log ON logs (log, seq);
";

#[cfg(test)]
mod tests;
