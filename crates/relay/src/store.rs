//! What the relay keeps, on a disk (SPEC §6.7).
//!
//! [`Shelf`] has the rules of mailboxes and is of `chopmark-mailbox`; [`FjallDisk`] is the disk under it. [`Writer`] is
//! the thread on which all of it happens, a batch at a time.

pub mod backup;
pub mod check;
pub mod fjall_disk;
pub mod inbox;
pub mod writer;

mod eraser;
mod journal;

pub use backup::{BackupError, Manifest, backup, restore, verify};
pub use check::{CheckError, Contents, check};
pub use chopmark_mailbox::store::disk::{self, Disk, DiskError};
pub use chopmark_mailbox::store::shelf::{self, Shelf, StoreError};
pub use fjall_disk::{FjallDisk, Source, Space};
pub use writer::{Grouping, Writer};

#[cfg(test)]
mod tests;
