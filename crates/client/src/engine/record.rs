//! How the engine's own records are written: a version byte, then CBOR. SPEC §9.2.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::store::{Kind, Log, StoreError, Tx};

const VERSION: u8 = 1;

/// A record's bytes.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    // Room for the usual record, so that growing does not leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    bytes.push(VERSION);
    ciborium::into_writer(value, &mut *bytes).map_err(|_| StoreError::Damaged)?;
    Ok(bytes)
}

/// A record from its bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => ciborium::from_reader(body).map_err(|_| StoreError::Damaged),
        Some((&other, _)) => Err(StoreError::Format(u32::from(other))),
        None => Err(StoreError::Damaged),
    }
}

/// Typed access to the sealed rows of a transaction.
impl Tx<'_> {
    pub(crate) fn find<T: DeserializeOwned>(
        &self,
        kind: Kind,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        self.load(kind as u8, key)?.map(|bytes| decode(&bytes)).transpose()
    }

    pub(crate) fn put<T: Serialize>(
        &mut self,
        kind: Kind,
        key: &[u8],
        value: &T,
    ) -> Result<(), StoreError> {
        self.store(kind as u8, key, &encode(value)?)
    }

    pub(crate) fn drop_record(&mut self, kind: Kind, key: &[u8]) -> Result<(), StoreError> {
        self.delete(kind as u8, key)
    }

    pub(crate) fn every<T: DeserializeOwned>(
        &self,
        kind: Kind,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        self.scan(kind as u8, &[])?
            .into_iter()
            .map(|(key, value)| Ok((key, decode(&value)?)))
            .collect()
    }

    pub(crate) fn push<T: Serialize>(
        &mut self,
        log: Log,
        thread: &[u8],
        value: &T,
    ) -> Result<u64, StoreError> {
        self.append(log, thread, &encode(value)?)
    }

    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        log: Log,
        thread: Option<&[u8]>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, T)>, StoreError> {
        self.rows_after(log, thread, after, limit)?
            .into_iter()
            .map(|row| Ok((row.seq, decode(&row.value)?)))
            .collect()
    }
}
