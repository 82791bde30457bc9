//! What the relay keeps, on a disk (SPEC §6.7).
//!
//! [`Shelf`] holds the rules of mailboxes over a [`Disk`], which is a sorted map that commits durably; [`FjallDisk`]
//! is the real one. [`Writer`] is the thread on which all of it happens, a batch at a time.

pub mod backup;
pub mod check;
pub mod disk;
pub mod fjall_disk;
pub mod writer;

mod batch;
mod record;
mod shelf;

pub use backup::{BackupError, Manifest, backup, restore, verify};
pub use check::{CheckError, Contents, check};
pub use disk::{Disk, DiskError};
pub use fjall_disk::{FjallDisk, Source, Space};
pub use shelf::{Shelf, StoreError};
pub use writer::Writer;

#[cfg(test)]
mod tests;
