//! Is a store whole? Read without changing it.
//!
//! fjall cannot open a store without repairing it, so a second folder is opened: its tables are hard links, which
//! nobody writes to, its journals copies.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use chopmark_mailbox::store::{
    Disk as _, DiskError,
    record::{self, Counted},
};
use thiserror::Error;

use super::{
    backup::QUEUE,
    fjall_disk::{FjallDisk, Space},
};

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages that wait in them.
    pub messages: u64,
    /// Bytes of those messages' envelopes.
    pub bytes: u64,
    /// Capabilities.
    pub grants: u64,
    /// Records of every kind.
    pub records: u64,
}

/// What is wrong with a store. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// There is none.
    #[error("the data folder has no store; `run` makes one, `restore` brings one back")]
    None,
    /// It cannot be opened or read.
    #[error("the store: {0}")]
    Disk(#[from] DiskError),
    /// Records that cannot be read, or that contradict each other.
    #[error("{0} records of the store are damaged; restore the data folder from a backup")]
    Records(u64),
    /// Batches are missing that were confirmed.
    #[error(
        "the store has lost messages that it had confirmed; `run` goes on under a new epoch and clients send again, or \
         restore the data folder from a backup"
    )]
    Lost,
    /// The data folder cannot be used.
    #[error("the data folder cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// Opens the store in the data folder `home` beside itself, and reads every record. The caller holds the folder's
/// lock ([`Home`](crate::home::Home)): no relay runs.
///
/// # Errors
/// [`CheckError`].
pub fn check(home: &Path) -> Result<Contents, CheckError> {
    let queue = home.join(QUEUE);
    if !queue.exists() {
        return Err(CheckError::None);
    }
    let beside = home.join("checking");
    let _ = fs::remove_dir_all(&beside);
    DirBuilder::new().mode(0o700).create(&beside)?;
    let contents = link_folder(&queue, &beside.join(QUEUE))
        .map_err(CheckError::from)
        .and_then(|()| read(&beside));
    fs::remove_dir_all(&beside)?;
    contents
}

fn read(folder: &Path) -> Result<Contents, CheckError> {
    let disk = FjallDisk::open(folder, Space { floor: 0, ballast: 0 })?;
    if disk.lost() {
        return Err(CheckError::Lost);
    }
    let mut snapshot = disk.source().snapshot()?;
    let (mut contents, mut damaged) = (Contents::default(), 0_u64);
    // What mailboxes say that they hold, and numbers of which nothing has to add up any more: kinds come in order, and
    // `d` is before `m` and `q`.
    let (mut told, mut dropped) = ((0_u64, 0_u64), HashSet::new());
    while let Some(part) = snapshot.next(PART_BYTES)?.filter(|part| !part.is_empty()) {
        for (key, value) in part {
            contents.records = contents.records.saturating_add(1);
            match record::read(&key, &value) {
                Err(_) => damaged = damaged.saturating_add(1),
                Ok(Counted::Mailbox { messages, bytes }) => {
                    contents.mailboxes = contents.mailboxes.saturating_add(1);
                    told = (told.0.saturating_add(messages), told.1.saturating_add(bytes));
                }
                Ok(Counted::Message { bytes, number }) if !dropped.contains(&number) => {
                    contents.messages = contents.messages.saturating_add(1);
                    contents.bytes = contents.bytes.saturating_add(bytes);
                }
                Ok(Counted::Grant) => contents.grants = contents.grants.saturating_add(1),
                Ok(Counted::Dropped { number }) => {
                    dropped.insert(number);
                }
                Ok(_) => {}
            }
        }
    }
    damaged = damaged.saturating_add(told.0.abs_diff(contents.messages));
    if damaged == 0 && told.1 != contents.bytes {
        damaged = 1;
    }
    if damaged > 0 { Err(CheckError::Records(damaged)) } else { Ok(contents) }
}

const PART_BYTES: usize = 1024 * 1024;

/// Tables are never written to once they are there: a link is as good as a copy. What is, is copied.
fn link_folder(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let in_tables = from.parent().is_some_and(|it| {
            it.file_name().is_some_and(|name| name == "tables" || name == "blobs")
        });
        if entry.file_type()?.is_dir() {
            link_folder(&from, &to)?;
        } else if !in_tables || fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
