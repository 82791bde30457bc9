//! When the outbox and the fetches have something to do next, so that looking for it costs one record.

use serde::{Deserialize, Serialize};

use super::turn::Turn;
use crate::error::Error;
use crate::store::Kind;

/// The earliest times at which something may be due; `None`: nothing is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agenda {
    deposit_ms: Option<u64>,
    fetch_ms: Option<u64>,
}

impl Agenda {
    pub(crate) fn deposit_is_due(&self, now: u64) -> bool {
        is_due(self.deposit_ms, now)
    }

    pub(crate) fn fetch_is_due(&self, now: u64) -> bool {
        is_due(self.fetch_ms, now)
    }
}

/// A time that is more than a day ahead is of a clock that ran wild.
fn is_due(at: Option<u64>, now: u64) -> bool {
    at.is_some_and(|at| at <= now || at > now.saturating_add(DAY_MS))
}

impl Turn<'_, '_> {
    pub(crate) fn agenda(&self) -> Result<Agenda, Error> {
        // Before anyone has looked everything may be due.
        let first = Agenda { deposit_ms: Some(0), fetch_ms: Some(0) };
        Ok(self.tx.find(Kind::Agenda, b"")?.unwrap_or(first))
    }

    /// Whether anything has to leave now.
    pub(crate) fn anything_due(&self) -> Result<bool, Error> {
        let (agenda, now) = (self.agenda()?, self.now.as_millis());
        Ok(agenda.deposit_is_due(now) || agenda.fetch_is_due(now))
    }

    /// An envelope may be due at this time.
    pub(crate) fn expect_deposit(&mut self, at: u64) -> Result<(), Error> {
        self.change_agenda(|agenda| agenda.deposit_ms = Some(earlier(agenda.deposit_ms, at)))
    }

    /// A bundle may be wanted at this time.
    pub(crate) fn expect_fetch(&mut self, at: u64) -> Result<(), Error> {
        self.change_agenda(|agenda| agenda.fetch_ms = Some(earlier(agenda.fetch_ms, at)))
    }

    /// Everything was looked at: no envelope is due before this time.
    pub(crate) fn next_deposit(&mut self, at: Option<u64>) -> Result<(), Error> {
        self.change_agenda(|agenda| agenda.deposit_ms = at)
    }

    /// Everyone was looked at: no bundle is wanted before this time.
    pub(crate) fn next_fetch(&mut self, at: Option<u64>) -> Result<(), Error> {
        self.change_agenda(|agenda| agenda.fetch_ms = at)
    }

    fn change_agenda(&mut self, change: impl FnOnce(&mut Agenda)) -> Result<(), Error> {
        let before = self.agenda()?;
        let mut agenda = before;
        change(&mut agenda);
        if agenda != before {
            self.tx.put(Kind::Agenda, b"", &agenda)?;
        }
        Ok(())
    }
}

fn earlier(known: Option<u64>, at: u64) -> u64 {
    known.map_or(at, |known| known.min(at))
}

const DAY_MS: u64 = 24 * 3_600_000;
