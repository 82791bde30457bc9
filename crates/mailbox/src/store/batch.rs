//! Requests of one batch see each other's writes before the disk does.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::disk::{Disk, DiskError, Writes};

/// A disk and what this batch will write to it.
pub(super) struct Batch<'a, D> {
    disk: &'a D,
    writes: BTreeMap<Vec<u8>, Option<Bytes>>,
}

impl<'a, D: Disk> Batch<'a, D> {
    pub(super) const fn new(disk: &'a D) -> Self {
        Self { disk, writes: BTreeMap::new() }
    }

    pub(super) fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.disk.load(key),
        }
    }

    pub(super) fn write(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        self.writes.insert(key, value);
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        self.writes.insert(key, Some(value.into()));
    }

    pub(super) fn delete(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    pub(super) fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError> {
        let ours: Vec<_> = self
            .writes
            .range(from.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .collect();
        // Some of what the disk has may be deleted or replaced here: ask for as many more.
        let more = count.saturating_add(ours.len());
        let longer = bytes.saturating_add(ours.len().saturating_mul(LARGEST_VALUE));
        let found = self.disk.scan(prefix, from, more, longer)?;
        let last = found.last().map(|(key, _)| key.clone());
        let complete = found.len() < more
            && found.iter().map(|(_, value)| value.len()).sum::<usize>() < longer;
        let mut merged: BTreeMap<_, _> = found.into_iter().collect();
        for (key, value) in ours {
            match value {
                None => {
                    merged.remove(key);
                }
                // Beyond what the disk showed, something of the disk's may come first.
                Some(value) if complete || last.as_ref().is_some_and(|last| key <= last) => {
                    merged.insert(key.clone(), value.clone());
                }
                Some(_) => {}
            }
        }
        Ok(merged.into_iter().take(count).collect())
    }

    pub(super) fn into_writes(self) -> Writes {
        self.writes.into_iter().collect()
    }
}

/// A little more than the largest envelope.
const LARGEST_VALUE: usize = 66_000;
