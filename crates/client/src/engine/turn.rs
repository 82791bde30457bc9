//! One turn of the engine: a transaction, the time, randomness, and what is left to do once it is committed.

use chopmark_core::time::Timestamp;
use chopmark_pay::Call;
use rand::rngs::StdRng;

use super::account::Account;
use crate::error::Error;
use crate::event::What;
use crate::store::{Kind, Log, Tx};

/// Everything the engine does happens in a turn. What a turn changes is on disk, all of it, before any of it leaves.
pub(crate) struct Turn<'t, 's> {
    pub(crate) tx: &'t mut Tx<'s>,
    pub(crate) now: Timestamp,
    pub(crate) rng: &'t mut StdRng,
    /// Calls to issuers, to be made after the commit.
    pub(crate) calls: Vec<Call>,
    /// When the wallet wants to be driven on.
    pub(crate) wakes: Vec<Timestamp>,
}

impl<'t, 's> Turn<'t, 's> {
    pub(crate) fn new(tx: &'t mut Tx<'s>, now: Timestamp, rng: &'t mut StdRng) -> Self {
        Self { tx, now, rng, calls: Vec::new(), wakes: Vec::new() }
    }

    /// The account of this home.
    pub(crate) fn account(&self) -> Result<Account, Error> {
        self.tx.find(Kind::Account, b"")?.ok_or(Error::NoAccount)
    }

    /// Tells the application, once, in order.
    pub(crate) fn emit(&mut self, what: What) -> Result<(), Error> {
        self.tx.push(Log::Events, b"", &(self.now.as_millis(), what))?;
        Ok(())
    }

    /// Random bytes.
    pub(crate) fn draw<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(chopmark_core::random::array(self.rng)?)
    }
}
