//! What the relay and the issuer could see: everything that is on their disks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chopmark_relay::store::{Disk as _, FjallDisk, Space};

use crate::command::listen::hex;
use crate::outcome::{Done, Failure};
use crate::show::short;

/// What a relay's disk holds.
pub(super) struct RelaySight {
    pub(super) mailboxes: Vec<String>,
    pub(super) capabilities: usize,
    /// The length of each envelope that waits, sorted.
    pub(super) envelopes: Vec<usize>,
    /// Every key and every value, one after the other.
    bytes: Vec<u8>,
}

impl RelaySight {
    /// Looks at a copy of the disk: the relay may be running. `aside` is where the copy is made and left.
    pub(super) fn look(data: &Path, aside: PathBuf) -> Done<Self> {
        copy(&data.join("queue"), &aside.join("queue"))?;
        let disk = FjallDisk::open(&aside, Space { floor: 0, ballast: 0 }).map_err(unreadable)?;
        let rows = disk.scan(b"", b"", usize::MAX, usize::MAX).map_err(unreadable)?;
        let mut sight = Self {
            mailboxes: Vec::new(),
            capabilities: 0,
            envelopes: Vec::new(),
            bytes: Vec::new(),
        };
        for (key, value) in rows {
            sight.bytes.extend_from_slice(&key);
            sight.bytes.extend_from_slice(&value);
            match key.split_first() {
                Some((b'm', mailbox)) => sight.mailboxes.push(short(&hex(mailbox))),
                Some((b'g', _)) => sight.capabilities = sight.capabilities.saturating_add(1),
                // A message that waits: the contact's handle, the capability's kind, and the envelope.
                Some((b'q', _)) => {
                    sight.envelopes.push(value.len().saturating_sub(BEFORE_ENVELOPE));
                }
                _ => {}
            }
        }
        sight.envelopes.sort_unstable();
        Ok(sight)
    }

    /// Whether none of these stands anywhere on the disk.
    pub(super) fn knows_none_of(&self, needles: &[Vec<u8>]) -> bool {
        needles.iter().all(|needle| !holds(&self.bytes, needle))
    }
}

/// Every file of the issuer's folder, one after the other.
pub(super) fn issuer_bytes(data: &Path) -> Done<Vec<u8>> {
    let mut bytes = Vec::new();
    for file in files(data)? {
        bytes.extend_from_slice(&std::fs::read(file)?);
    }
    Ok(bytes)
}

/// Whether none of these stands there, nor in hexadecimal digits.
pub(super) fn knows_none_of(bytes: &[u8], needles: &[Vec<u8>]) -> bool {
    needles.iter().all(|needle| !holds(bytes, needle) && !holds(bytes, hex(needle).as_bytes()))
}

/// The distinct sizes, for a line.
pub(super) fn sizes(envelopes: &[usize]) -> String {
    let distinct: BTreeSet<_> = envelopes.iter().collect();
    distinct.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        let Some(tail) = rest.get(at..) else { return false };
        if tail.starts_with(needle) {
            return true;
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    false
}

fn files(folder: &Path) -> Done<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> Done {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => std::fs::copy(entry.path(), to).map(|_| ())?,
        }
    }
    Ok(())
}

fn unreadable(error: chopmark_relay::store::DiskError) -> Failure {
    Failure::failed(format!("the relay's disk cannot be read: {error}"))
}

/// Handle and kind, before the envelope in the relay's record.
const BEFORE_ENVELOPE: usize = 9;
