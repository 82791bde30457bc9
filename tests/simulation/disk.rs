//! A disk as mean as the real ones: what is not synced may be lost by the sector, a write may be torn, there may be no
//! room for it, and a sync that fails leaves pages that can be read and are nowhere.
//!
//! [`LogDisk`] is the plainest [`Disk`] on it: a log of batches, each with its length and checksum, and the map that they
//! make. It is the real [`Shelf`](chopmark_relay::store::Shelf) that is tested on it, not the log.

use std::collections::BTreeMap;

use bytes::Bytes;
use chopmark_relay::store::{Disk, DiskError, disk::Writes};
use rand::{RngExt as _, rngs::StdRng};

/// What goes wrong with the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The process dies before it writes.
    DeathBefore,
    /// It dies with a part of the batch written.
    DeathWithin,
    /// It dies with all of it written and nothing synced.
    DeathUnsynced,
    /// It dies with all of it synced, and nobody has heard.
    DeathAfter,
    /// The sync fails.
    Sync,
    /// Reading fails.
    Read,
}

/// The file under the log: what a reader sees, and what of it is on the platters.
#[derive(Clone, Debug, Default)]
struct File {
    seen: Vec<u8>,
    /// Everything below is durable, but for `ghosts`.
    synced: usize,
    /// What a failed sync left: it can be read, it counts as clean, it is not on the disk.
    ghosts: Option<(usize, usize)>,
}

/// A map that commits durably, over a file that can lose what is not synced.
#[derive(Debug, Default)]
pub(super) struct LogDisk {
    file: File,
    map: BTreeMap<Vec<u8>, Bytes>,
    /// Bytes that fit, if there is an end to them.
    pub(super) capacity: Option<usize>,
    /// Kept for the day when nothing else fits.
    ballast: bool,
    /// Below the floor: nothing is taken that grows the store.
    pub(super) low: bool,
    pub(super) trouble: Option<Trouble>,
}

const SECTOR: usize = 512;
const BALLAST: usize = 16 * 1024;
const DIED: &str = "the process died";

impl LogDisk {
    pub(super) fn new() -> Self {
        Self { ballast: true, ..Self::default() }
    }

    /// The process is gone and the machine is not: what was written can still be read.
    pub(super) fn after_a_kill(&self) -> Self {
        Self::recover(self.file.seen.clone(), self.capacity, self.low)
    }

    /// The power is gone: each sector that was not synced is there, or is zeros, or the file ends before it.
    pub(super) fn after_a_power_cut(&self, rng: &mut StdRng) -> Self {
        let mut left = self.file.seen.clone();
        if let Some((from, to)) = self.file.ghosts {
            left[from..to].fill(0);
        }
        let end = rng.random_range(self.file.synced..=left.len());
        left.truncate(end);
        let mut at = self.file.synced;
        while at < left.len() {
            let next = (at / SECTOR + 1) * SECTOR;
            let next = next.min(left.len());
            if rng.random_bool(0.5) {
                left[at..next].fill(0);
            }
            at = next;
        }
        Self::recover(left, self.capacity, self.low)
    }

    /// What a backup that is made now holds.
    pub(super) fn backup(&self) -> Self {
        Self::recover(self.file.seen[..self.file.synced].to_vec(), None, false)
    }

    /// How many bytes of a batch are on the way to the disk: what a power cut may tear.
    pub(super) fn unsynced(&self) -> usize {
        self.file.seen.len() - self.file.synced
    }

    /// Reads the log up to the first batch that is not whole, and writes what it says anew: what was found may be in the
    /// page cache only, and a sync of clean pages does nothing.
    fn recover(log: Vec<u8>, capacity: Option<usize>, low: bool) -> Self {
        let mut map = BTreeMap::new();
        let mut rest = log.as_slice();
        while let Some((batch, after)) = whole_batch(rest) {
            for (key, value) in decode(batch) {
                put(&mut map, key, value);
            }
            rest = after;
        }
        let all = map.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        let seen = if map.is_empty() { Vec::new() } else { encode(&all.collect()) };
        let file = File { synced: seen.len(), seen, ghosts: None };
        Self { file, map, capacity, ballast: true, low, trouble: None }
    }

    /// So many bytes more, and it is full.
    pub(super) fn fill(&mut self, more: usize) {
        self.capacity = Some(self.file.seen.len() + BALLAST + more);
    }

    /// A good disk again, with space on it.
    pub(super) fn heal(&mut self) {
        (self.capacity, self.low, self.trouble, self.ballast) = (None, false, None, true);
    }

    /// Bytes of keys and values.
    pub(super) fn live_bytes(&self) -> usize {
        self.map.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// How many records of each kind there are, by the first byte of their key.
    pub(super) fn census(&self) -> BTreeMap<u8, usize> {
        let mut census = BTreeMap::new();
        self.map.keys().for_each(|key| *census.entry(key[0]).or_default() += 1);
        census
    }

    fn room(&self) -> usize {
        let ballast = if self.ballast { BALLAST } else { 0 };
        self.capacity.map_or(usize::MAX, |all| all.saturating_sub(self.file.seen.len() + ballast))
    }
}

impl Disk for LogDisk {
    fn load(&self, key: &[u8]) -> Result<Option<Bytes>, DiskError> {
        if self.trouble == Some(Trouble::Read) {
            return Err(DiskError::Broken("input/output error".into()));
        }
        Ok(self.map.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        count: usize,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, DiskError> {
        let mut found = Vec::new();
        let mut seen = 0;
        for (key, value) in self.map.range(from.to_vec()..) {
            if found.len() >= count || seen >= bytes || !key.starts_with(prefix) {
                break;
            }
            seen += value.len();
            found.push((key.clone(), value.clone()));
        }
        Ok(found)
    }

    fn commit(&mut self, writes: Writes) -> Result<(), DiskError> {
        let batch = encode(&writes);
        let died = || Err(DiskError::Broken(DIED.into()));
        if self.trouble == Some(Trouble::DeathBefore) {
            return died();
        }
        let room = self.room();
        if batch.len() > room {
            // As much as fits is written.
            self.file.seen.extend_from_slice(&batch[..room]);
            return Err(DiskError::Full);
        }
        if self.trouble == Some(Trouble::DeathWithin) {
            self.file.seen.extend_from_slice(&batch[..batch.len() / 2]);
            return died();
        }
        self.file.seen.extend_from_slice(&batch);
        match self.trouble {
            Some(Trouble::DeathUnsynced) => return died(),
            Some(Trouble::Sync) => {
                self.file.ghosts = Some((self.file.synced, self.file.seen.len()));
                self.file.synced = self.file.seen.len();
                return Err(DiskError::Broken("the sync failed".into()));
            }
            _ => {}
        }
        self.file.synced = self.file.seen.len();
        if self.trouble == Some(Trouble::DeathAfter) {
            return died();
        }
        writes.into_iter().for_each(|(key, value)| put(&mut self.map, key, value));
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        !self.low
    }

    fn reopen(&mut self) -> Result<(), DiskError> {
        let log = std::mem::take(&mut self.file.seen);
        *self = Self { ballast: false, ..Self::recover(log, self.capacity, self.low) };
        Ok(())
    }
}

fn put(map: &mut BTreeMap<Vec<u8>, Bytes>, key: Vec<u8>, value: Option<Bytes>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

/// `u32 length | u32 checksum | records`; a record is `u16 key | u32 value, all ones for none | key | value`.
fn encode(writes: &Writes) -> Vec<u8> {
    let mut out = vec![0; 8];
    for (key, value) in writes {
        out.extend_from_slice(&(key.len() as u16).to_be_bytes());
        let length = value.as_ref().map_or(u32::MAX, |value| value.len() as u32);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let (length, sum) = ((out.len() - 8) as u32, crc32fast::hash(&out[8..]));
    out[..4].copy_from_slice(&length.to_be_bytes());
    out[4..8].copy_from_slice(&sum.to_be_bytes());
    out
}

fn whole_batch(log: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = log.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (batch, after) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let empty = batch.is_empty() && *sum == [0; 4];
    (!empty && crc32fast::hash(batch) == u32::from_be_bytes(*sum)).then_some((batch, after))
}

fn decode(mut batch: &[u8]) -> Writes {
    let mut writes = Vec::new();
    while let Some((key, rest)) = batch.split_first_chunk() {
        let (value, rest) = rest.split_first_chunk().unwrap();
        let (key, rest) = rest.split_at(u16::from_be_bytes(*key) as usize);
        let (value, rest) = match u32::from_be_bytes(*value) {
            u32::MAX => (None, rest),
            length => {
                let (value, rest) = rest.split_at(length as usize);
                (Some(Bytes::copy_from_slice(value)), rest)
            }
        };
        writes.push((key.to_vec(), value));
        batch = rest;
    }
    writes
}
