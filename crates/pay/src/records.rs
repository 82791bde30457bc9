//! Where everything is remembered: the port to the caller's store, and an in-memory one for tests.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use zeroize::Zeroizing;

/// The caller's store, inside one of its transactions.
///
/// All that one call of this crate stores must be durable together, before the first of its effects is carried out.
/// Values are opaque and may hold secrets: seal them.
pub trait Records {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`RecordsError`].
    fn load(&self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError>;

    /// Puts `value` under `key`, in place of what was there.
    ///
    /// # Errors
    /// [`RecordsError`].
    fn store(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), RecordsError>;

    /// Takes away what is under `key`, if anything.
    ///
    /// # Errors
    /// [`RecordsError`].
    fn delete(&mut self, kind: Kind, key: &[u8]) -> Result<(), RecordsError>;

    /// Every key that begins with `prefix`, with its value, in the order of the keys' bytes.
    ///
    /// # Errors
    /// [`RecordsError`].
    fn scan(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Entry>, RecordsError>;
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// What a record is. Keys of different kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The next number of a job; one record.
    Sequence,
    /// A keyset of an issuer.
    Keyset,
    /// The next output counter of a keyset.
    Counter,
    /// A coin of ours.
    Coin,
    /// A swap that is under way, or waits to be.
    Job,
    /// A request that we made.
    Request,
    /// A payment that we make.
    Outgoing,
    /// A payment that we get.
    Incoming,
    /// Which payment a coin came with.
    Seen,
    /// A token that was handed in.
    Redeem,
}

impl Kind {
    /// A number that never changes, for the caller's tables.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Sequence => 1,
            Self::Keyset => 2,
            Self::Counter => 3,
            Self::Coin => 4,
            Self::Job => 5,
            Self::Request => 6,
            Self::Outgoing => 7,
            Self::Incoming => 8,
            Self::Seen => 9,
            Self::Redeem => 10,
        }
    }
}

/// The store did not do what it was asked. Roll the transaction back: nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// It could not be read or written.
    #[error("the store cannot be used")]
    Unavailable,
    /// A record is not what this crate wrote.
    #[error("a payment record is damaged")]
    Damaged,
}

const VERSION: u8 = 1;

pub(crate) fn get<T: DeserializeOwned>(
    records: &(impl Records + ?Sized),
    kind: Kind,
    key: &[u8],
) -> Result<Option<T>, RecordsError> {
    let Some(value) = records.load(kind, key)? else { return Ok(None) };
    decode(value).map(Some)
}

pub(crate) fn all<T: DeserializeOwned>(
    records: &(impl Records + ?Sized),
    kind: Kind,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, T)>, RecordsError> {
    let found = records.scan(kind, prefix)?;
    found.into_iter().map(|(key, value)| Ok((key, decode(value)?))).collect()
}

pub(crate) fn put<T: Serialize>(
    records: &mut (impl Records + ?Sized),
    kind: Kind,
    key: &[u8],
    value: &T,
) -> Result<(), RecordsError> {
    let mut bytes = Zeroizing::new(vec![VERSION]);
    ciborium::into_writer(value, &mut *bytes).map_err(|_| RecordsError::Damaged)?;
    records.store(kind, key, &bytes)
}

fn decode<T: DeserializeOwned>(value: Vec<u8>) -> Result<T, RecordsError> {
    let value = Zeroizing::new(value);
    match value.split_first() {
        Some((&VERSION, mut rest)) => {
            let decoded = ciborium::from_reader(&mut rest).map_err(|_| RecordsError::Damaged)?;
            if rest.is_empty() { Ok(decoded) } else { Err(RecordsError::Damaged) }
        }
        _ => Err(RecordsError::Damaged),
    }
}

/// Records in memory, for tests. A clone is a snapshot: put it back to undo what was not committed.
#[derive(Clone, Default)]
pub struct MemoryRecords {
    entries: BTreeMap<(Kind, Vec<u8>), Vec<u8>>,
}

impl MemoryRecords {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for MemoryRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryRecords({} records)", self.entries.len())
    }
}

impl Records for MemoryRecords {
    fn load(&self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError> {
        Ok(self.entries.get(&(kind, key.to_vec())).cloned())
    }

    fn store(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), RecordsError> {
        self.entries.insert((kind, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, kind: Kind, key: &[u8]) -> Result<(), RecordsError> {
        self.entries.remove(&(kind, key.to_vec()));
        Ok(())
    }

    fn scan(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Entry>, RecordsError> {
        let entries =
            self.entries.iter().filter(|((k, key), _)| *k == kind && key.starts_with(prefix));
        Ok(entries.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
}
