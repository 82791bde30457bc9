//! What was acked leaves the disk (SPEC §6.7 [acked-is-erased]).
//!
//! A delete in a sorted map of this kind is a record more: the bytes stay in the journal and in tables until both are
//! written anew, which nothing asks for on a quiet relay. So once a day, if something was deleted, the tables are merged
//! whole on a thread of their own, and then the journals are replaced by new ones. Each costs the bytes that live, and
//! as much free space for as long as it takes.

use std::thread::{self, JoinHandle};

use chopmark_wire::relay::Hour;
use fjall::Keyspace;

/// How far erasing has come.
#[derive(Default)]
pub(super) struct Eraser {
    /// The hour in which it last began.
    began: Option<Hour>,
    /// Commits that deleted something since.
    pub(super) deleted: bool,
    merging: Option<JoinHandle<fjall::Result<()>>>,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Flush, then [`Eraser::merge`].
    Begin,
    /// Merged: flush, and begin new journals.
    Finish,
    /// Merging failed.
    Failed,
}

impl Eraser {
    /// Looks what there is to do in this hour.
    pub(super) fn look(&mut self, hour: Hour, every_hours: u64) -> Step {
        match self.merging.take_if(|merging| merging.is_finished()) {
            Some(merging) => match merging.join() {
                Ok(Ok(())) => Step::Finish,
                _ => Step::Failed,
            },
            None if self.merging.is_some() || !self.deleted => Step::Nothing,
            None => {
                let began = *self.began.get_or_insert(hour);
                if hour.0 < began.0.saturating_add(every_hours) && hour >= began {
                    return Step::Nothing;
                }
                self.began = Some(hour);
                Step::Begin
            }
        }
    }

    /// Merges all tables, without what was deleted before.
    pub(super) fn merge(&mut self, keys: Keyspace) -> std::io::Result<()> {
        self.deleted = false;
        let merge = move || keys.major_compact();
        self.merging = Some(thread::Builder::new().name("eraser".into()).spawn(merge)?);
        Ok(())
    }

    /// Waits for a merge that is under way: nothing may hold the store open as it is closed.
    pub(super) fn wait(&mut self) {
        if let Some(merging) = self.merging.take() {
            // What was not merged is merged the next time.
            self.deleted = true;
            let _ = merging.join();
        }
    }
}
