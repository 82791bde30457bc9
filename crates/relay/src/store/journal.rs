//! fjall's journals, read and mended before fjall opens them (SPEC §6.7 [lost-is-a-new-epoch]).
//!
//! fjall cuts a journal at the first thing that it cannot read, and refuses one whose last batch has a hole. Neither is
//! right here: a power cut leaves one torn batch at the end, in any shape, and that is no damage; anything torn before a
//! batch that was written later is, and what was confirmed is gone. Every commit therefore carries its number beside a
//! mark that only this store knows, so that later commits are found behind what cannot be read.
//!
//! ```text
//! journal   n times { 1 | u32 items | u64 | items of { 2 | type u8 | 0 | u64 | u16 key | u32 value | u32 value | key
//!           | value } | 3 | u64 XXH3 of the items | "FJL" 3 }, then zeros; little-endian
//! mark      16 random bytes | u64 commits that are there at least | CRC-32
//! ```
//! What is left of a journal is written over itself and synced. After a sync that failed, the page cache has what the disk
//! may not, says that it is clean, and would be believed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::fjall_disk::sync_folder;

/// The key of the record that every commit writes.
pub(super) const COMMIT: &[u8] = b"\0";

/// What a store knows itself by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    secret: [u8; 16],
    /// So many commits were made, at least.
    pub(super) floor: u64,
}

impl Mark {
    pub(super) const fn new(secret: [u8; 16]) -> Self {
        Self { secret, floor: 0 }
    }

    /// The record of a commit.
    pub(super) fn commit(&self, number: u64) -> Vec<u8> {
        [&self.secret[..], &number.to_le_bytes()].concat()
    }

    /// The number in such a record.
    pub(super) fn number(&self, record: &[u8]) -> Option<u64> {
        record.strip_prefix(&self.secret)?.first_chunk().map(|number| u64::from_le_bytes(*number))
    }

    /// The mark in a store's folder. None when there is none, an error when it is damaged.
    pub(super) fn read(queue: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(queue.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let parts = bytes.split_first_chunk().and_then(|(secret, rest)| {
            let (floor, sum) = rest.split_first_chunk()?;
            let sum: &[u8; 4] = sum.try_into().ok()?;
            let body = bytes.get(..24)?;
            (crc32fast::hash(body).to_le_bytes() == *sum)
                .then(|| Self { secret: *secret, floor: u64::from_le_bytes(*floor) })
        });
        parts.map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Keeps the mark; it is on disk when this returns.
    pub(super) fn write(&self, queue: &Path) -> io::Result<()> {
        let mut bytes = self.commit(self.floor);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        replace(&queue.join(NAME), &bytes)?;
        sync_folder(queue)
    }
}

/// Reads every journal in a store's folder and leaves the whole batches of each, synced. With batches missing that were
/// confirmed the mark says so from then on, since what tells it is cut off.
pub(super) fn mend(queue: &Path, mark: &mut Mark) -> io::Result<()> {
    let journals = journals(queue)?;
    let (mut lost, mut last, mut ends) = (false, None, Vec::new());
    for (at, (_, path)) in journals.iter().enumerate() {
        let found = read(&fs::read(path)?, mark, last);
        last = found.last;
        ends.push(found.end);
        // All but the newest were synced before the next began.
        lost |= found.lost || (found.torn && at.saturating_add(1) < journals.len());
    }
    if lost {
        mark.floor = LOST;
        mark.write(queue)?;
    }
    for ((_, path), end) in journals.iter().zip(ends) {
        let mut whole = Vec::with_capacity(end);
        File::open(path)?.take(end as u64).read_to_end(&mut whole)?;
        rewrite(path, &whole)?;
    }
    Ok(())
}

/// No store ever has so many commits.
const LOST: u64 = u64::MAX;

/// The journals in a folder, oldest first.
fn journals(queue: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(queue)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let (Some(number), Some("jnl")) = (number, path.extension().and_then(|it| it.to_str())) {
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals)
}

/// What a journal has.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// Where its whole batches end.
    end: usize,
    /// The number of the last one.
    last: Option<u64>,
    /// Is there something behind them?
    torn: bool,
    /// Are batches missing before others?
    lost: bool,
}

fn read(journal: &[u8], mark: &Mark, before: Option<u64>) -> Found {
    let mut found = Found { end: 0, last: before, torn: false, lost: false };
    let mut order = None;
    while let Some(batch) = Batch::read(journal.get(found.end..).unwrap_or_default(), mark) {
        // fjall's checksum does not cover the place of a batch in the order, and a hole may be there too.
        if !order.is_none_or(|last| last < batch.order && batch.order - last < ORDER_GAP) {
            break;
        }
        order = Some(batch.order);
        found.end = found.end.saturating_add(batch.end);
        if let Some(number) = batch.number {
            found.lost |= found.last.is_some_and(|last| number > last.saturating_add(1));
            found.last = Some(number.max(found.last.unwrap_or(0)));
        }
    }
    let rest = journal.get(found.end..).unwrap_or_default();
    let rest = written(rest);
    found.torn = !rest.is_empty();
    if found.torn {
        // One batch may be torn. With more than one behind the last whole one, the first of them was confirmed.
        let behind = rest.windows(24).filter_map(|it| mark.number(it));
        let (least, most) = behind.fold((u64::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
        let next = found.last.map_or(least, |last| last.saturating_add(1));
        found.lost |= most > next;
    }
    found
}

/// What was written of preallocated bytes: all but the zeros at their end, to a block.
fn written(bytes: &[u8]) -> &[u8] {
    const ZEROS: [u8; 4096] = [0; 4096];
    let zeros = |block: &&[u8]| ZEROS.starts_with(block);
    let blank: usize = bytes.rchunks(ZEROS.len()).take_while(zeros).map(<[u8]>::len).sum();
    bytes.get(..bytes.len().saturating_sub(blank)).unwrap_or_default()
}

/// A whole batch.
struct Batch {
    /// Its length.
    end: usize,
    /// Its place in fjall's order of all writes.
    order: u64,
    /// Its number in ours.
    number: Option<u64>,
}

impl Batch {
    /// The batch at the beginning.
    fn read(bytes: &[u8], mark: &Mark) -> Option<Self> {
        let mut input = Input(bytes);
        let [1] = input.take()? else { return None };
        let items = u32::from_le_bytes(input.take()?);
        let order = u64::from_le_bytes(input.take()?);
        let (mut hash, mut number) = (Xxh3::new(), None);
        for _ in 0..items {
            let begin = input.0;
            match input.take()? {
                [2] => {
                    let [_kind, 0] = input.take()? else { return None };
                    let _keyspace: [u8; 8] = input.take()?;
                    let key = u16::from_le_bytes(input.take()?);
                    let _length: [u8; 4] = input.take()?;
                    let value = u32::from_le_bytes(input.take()?);
                    let key = input.bytes(usize::from(key))?;
                    let value = input.bytes(usize::try_from(value).ok()?)?;
                    if key == COMMIT {
                        number = mark.number(value);
                    }
                }
                [4] => {
                    let _keyspace: [u8; 8] = input.take()?;
                }
                _ => return None,
            }
            hash.update(begin.get(..begin.len().checked_sub(input.0.len())?)?);
        }
        let [3] = input.take()? else { return None };
        let sum = u64::from_le_bytes(input.take()?);
        let trailer = input.take()?;
        let end = bytes.len().checked_sub(input.0.len())?;
        (trailer == *TRAILER && sum == hash.digest()).then_some(Self { end, order, number })
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }
}

/// Between two batches fjall counts its own flushes and merges, and never so many.
const ORDER_GAP: u64 = 1 << 40;
const NAME: &str = "mark";
const TRAILER: &[u8; 4] = b"FJL\x03";

/// Writes a file's beginning over itself, cuts the rest off and syncs. It takes no space, and a crash in between leaves
/// what was there.
fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

/// Empties every journal of a store that is closed and whose tables have everything.
pub(super) fn empty(queue: &Path) -> io::Result<()> {
    journals(queue)?.iter().try_for_each(|(_, path)| rewrite(path, b""))
}

/// Puts a file with this content, synced, in the place of what is there. The folder is the caller's to sync.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = PathBuf::from(path).into_os_string();
    new.push(".new");
    let mut file: File =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark::new([0xa7; 16]);

    fn batch_of(number: u64) -> Vec<u8> {
        let item = |key: &[u8], value: &[u8]| {
            let length = u32::try_from(value.len()).unwrap().to_le_bytes();
            let key_length = u16::try_from(key.len()).unwrap().to_le_bytes();
            let head = [&[2, 0, 0][..], &1_u64.to_le_bytes(), &key_length, &length, &length];
            [&head.concat(), key, value].concat()
        };
        let items = [item(b"key", &[7; 900]), item(COMMIT, &MARK.commit(number))].concat();
        let mut hash = Xxh3::new();
        hash.update(&items);
        let head = [&[1][..], &2_u32.to_le_bytes(), &number.to_le_bytes()].concat();
        [&head[..], &items, &[3], &hash.digest().to_le_bytes(), TRAILER].concat()
    }

    fn journal_of(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| batch_of(*number)).collect()
    }

    // A hole is what a power cut leaves when the later of two pages was written and the earlier was not: fjall refuses
    // to open that, and nothing that was confirmed is missing.
    #[test]
    fn a_last_batch_with_a_hole_anywhere_is_a_torn_one_and_no_damage() {
        let whole = journal_of(&[1, 2, 3]);
        let two = journal_of(&[1, 2]).len();
        for begin in two..whole.len() {
            for length in [1, 16, 300] {
                let mut torn = whole.clone();
                let end = (begin + length).min(torn.len());
                torn[begin..end].fill(0);
                torn.resize(9_000, 0);
                let found = read(&torn, &MARK, None);
                let kept = if torn.starts_with(&whole) { (whole.len(), 3) } else { (two, 2) };
                assert_eq!((found.end, found.last), (kept.0, Some(kept.1)), "{begin} {length}");
                assert!(!found.lost, "{begin} {length}");
            }
        }
    }

    // Tests [lost-is-a-new-epoch]. Seen to fail with nothing looked for behind the first thing that is torn.
    #[test]
    fn a_batch_that_cannot_be_read_before_another_one_is_a_loss() {
        let whole = journal_of(&[1, 2, 3, 4]);
        let three = journal_of(&[1, 2, 3]).len();
        // A bit of a batch's place in fjall's order can be wrong, and nobody notices.
        let one = journal_of(&[1]).len();
        for at in (0..three).step_by(7).filter(|at| !(5..13).contains(&(at % one))) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            let found = read(&damaged, &MARK, None);
            assert!(found.lost && found.torn, "{at}");
        }
        assert_eq!(
            read(&whole, &MARK, Some(0)),
            Found { end: whole.len(), last: Some(4), torn: false, lost: false }
        );
        // A journal that is not there, and one from which a batch is missing.
        assert!(read(&journal_of(&[5, 6]), &MARK, Some(3)).lost);
        assert!(read(&journal_of(&[5, 7]), &MARK, Some(4)).lost);
    }

    // Otherwise a depositor says that a store is damaged.
    #[test]
    fn another_mark_says_nothing() {
        let mut journal = journal_of(&[1]);
        journal.extend_from_slice(&[9; 40]);
        for number in [5_u64, 9] {
            journal.extend_from_slice(&Mark::new([1; 16]).commit(number));
        }
        let found = read(&journal, &MARK, None);
        assert!(found.torn && !found.lost);
    }

    #[test]
    fn a_mark_comes_back_and_a_damaged_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), None);
        let mark = Mark { floor: 77, ..MARK };
        mark.write(folder.path()).unwrap();
        assert_eq!(Mark::read(folder.path()).unwrap(), Some(mark));
        let mut bytes = fs::read(folder.path().join(NAME)).unwrap();
        bytes[3] ^= 1;
        fs::write(folder.path().join(NAME), &bytes).unwrap();
        assert!(Mark::read(folder.path()).is_err());
    }
}
