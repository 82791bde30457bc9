//! One transaction: sealed records under a kind and a key, and append-only logs with a sequence number.

use rand::rngs::SysRng;
use rusqlite::{OptionalExtension, Transaction, params};
use zeroize::Zeroizing;

use super::StoreError;
use super::keys::StoreKeys;

/// What a record is. The number is its table in SPEC §9.2 and part of what its seal covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The account, its device keys and settings: one record.
    Account = 1,
    /// The position in the own mailbox, and what the relay owes us: one record.
    Mailbox = 2,
    /// Private prekeys.
    Prekey = 3,
    /// Contact links made.
    Link = 4,
    /// People.
    Contact = 5,
    /// The sessions with one contact.
    Sessions = 6,
    /// Handles of capabilities, to whom they belong.
    Handle = 7,
    /// First messages seen.
    Init = 8,
    /// Requests for money that came in.
    Request = 9,
    /// The application's place in the event log.
    Cursor = 10,
    /// Messages shown: one that is sealed twice is shown once.
    Shown = 11,
    /// What became of tokens that were handed in.
    Redeemed = 12,
    /// What contacts fetch to begin a session anew, by handle.
    Renewal = 13,
    /// Envelopes taken in, so that a copy means nothing.
    Seen = 14,
    /// One-time prekeys that were used.
    Spent = 15,
    /// Contents of a contact that are not acknowledged yet.
    Debt = 16,
    /// When something has to leave next: one record.
    Agenda = 17,
    /// When upkeep did what: one record.
    Chores = 18,
    /// Where the messages of the history stand, by their ids.
    Placed = 19,
    /// Payment records of `chopmark-pay`; its own kinds follow from here.
    Pay = 64,
}

/// An append-only sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Log {
    /// Messages by contact.
    Messages = 1,
    /// Envelopes to deposit, and contents not acknowledged yet, by contact.
    Outbox = 2,
    /// What the application has to hear.
    Events = 3,
    /// What the own relay must be told.
    Duties = 4,
    /// Messages about money from someone who is not accepted yet.
    Held = 5,
    /// First messages that came before the manifest that vouches for them.
    HeldKnocks = 6,
    /// What came on sessions that are not confirmed, by contact.
    Claimed = 7,
}

/// One row of a log.
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) value: Zeroizing<Vec<u8>>,
}

/// A transaction under way: dropped without [`Tx::commit`], nothing of it happened.
pub(crate) struct Tx<'a> {
    sql: Transaction<'a>,
    keys: &'a StoreKeys,
}

impl<'a> Tx<'a> {
    pub(super) fn new(sql: Transaction<'a>, keys: &'a StoreKeys) -> Self {
        Self { sql, keys }
    }

    pub(super) fn commit(self) -> Result<(), StoreError> {
        Ok(self.sql.commit()?)
    }

    /// The record of this kind under this key.
    pub(crate) fn load(
        &self,
        kind: u8,
        key: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let name = self.keys.names.hide(kind, key);
        let found: Option<(i64, Vec<u8>)> = self
            .sql
            .prepare_cached("SELECT version, sealed FROM records WHERE kind = ?1 AND name = ?2")?
            .query_row(params![kind, name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        found
            .map(|(version, sealed)| {
                let (found, value) = self.open_record(kind, &name, version, &sealed)?;
                if found.as_slice() == key { Ok(value) } else { Err(StoreError::Damaged) }
            })
            .transpose()
    }

    /// Writes a record, over an older one if there is one.
    pub(crate) fn store(&mut self, kind: u8, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let name = self.keys.names.hide(kind, key);
        let version: i64 = self
            .sql
            .prepare_cached("SELECT version FROM records WHERE kind = ?1 AND name = ?2")?
            .query_row(params![kind, name], |row| row.get::<_, i64>(0))
            .optional()?
            .unwrap_or(0)
            // SPEC §1.5 [counters-never-wrap].
            .checked_add(1)
            .ok_or(StoreError::Damaged)?;
        let plaintext = Zeroizing::new(with_key(key, value)?);
        let context = record_context(kind, &name, version);
        let sealed = self.keys.rows.seal(&context, &plaintext, &mut SysRng)?;
        self.sql
            .prepare_cached(
                "INSERT INTO records (kind, name, version, sealed) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET version = excluded.version, sealed = excluded.sealed",
            )?
            .execute(params![kind, name, version, sealed])?;
        Ok(())
    }

    /// Removes a record; nothing happens if there is none.
    pub(crate) fn delete(&mut self, kind: u8, key: &[u8]) -> Result<(), StoreError> {
        let name = self.keys.names.hide(kind, key);
        self.sql
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND name = ?2")?
            .execute(params![kind, name])?;
        Ok(())
    }

    /// All records of a kind whose key starts with `prefix`, in the order of their keys.
    pub(crate) fn scan(&self, kind: u8, prefix: &[u8]) -> Result<Vec<Record>, StoreError> {
        let mut statement =
            self.sql.prepare_cached("SELECT name, version, sealed FROM records WHERE kind = ?1")?;
        let mut rows = statement.query(params![kind])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name: Vec<u8> = row.get(0)?;
            let sealed: Vec<u8> = row.get(2)?;
            let (key, value) = self.open_record(kind, &name, row.get(1)?, &sealed)?;
            if key.starts_with(prefix) {
                found.push((key, value));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Appends to a log and says which number the row got. Numbers rise, and are never used twice.
    pub(crate) fn append(
        &mut self,
        log: Log,
        thread: &[u8],
        value: &[u8],
    ) -> Result<u64, StoreError> {
        let thread = self.keys.names.hide(log as u8, thread);
        self.sql
            .prepare_cached(
                "INSERT INTO logs (log, thread, version, sealed) VALUES (?1, ?2, 0, x'')",
            )?
            .execute(params![log as u8, thread])?;
        let seq = u64::try_from(self.sql.last_insert_rowid()).map_err(|_| StoreError::Damaged)?;
        self.write_row(log, seq, value)?;
        Ok(seq)
    }

    /// Replaces a row's value.
    pub(crate) fn rewrite(&mut self, log: Log, seq: u64, value: &[u8]) -> Result<(), StoreError> {
        self.write_row(log, seq, value)
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, log: Log, seq: u64) -> Result<(), StoreError> {
        self.sql
            .prepare_cached("DELETE FROM logs WHERE log = ?1 AND seq = ?2")?
            .execute(params![log as u8, row_id(seq)?])?;
        Ok(())
    }

    /// The highest number that any row of a log ever had.
    pub(crate) fn newest(&self) -> Result<u64, StoreError> {
        let seq: Option<i64> = self
            .sql
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'logs'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        u64::try_from(seq.unwrap_or(0)).map_err(|_| StoreError::Damaged)
    }

    /// Removes every row of a log up to this number.
    pub(crate) fn remove_through(&mut self, log: Log, seq: u64) -> Result<(), StoreError> {
        self.sql
            .prepare_cached("DELETE FROM logs WHERE log = ?1 AND seq <= ?2")?
            .execute(params![log as u8, row_id(seq)?])?;
        Ok(())
    }

    /// One row of a log.
    pub(crate) fn row(&self, log: Log, seq: u64) -> Result<Option<Row>, StoreError> {
        Ok(self.rows_after(log, None, seq.saturating_sub(1), 1)?.into_iter().find(|r| r.seq == seq))
    }

    /// Up to `limit` rows numbered above `after`, of one thread or of all, in order.
    pub(crate) fn rows_after(
        &self,
        log: Log,
        thread: Option<&[u8]>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let thread = thread.map(|thread| self.keys.names.hide(log as u8, thread));
        let mut statement = self.sql.prepare_cached(match thread {
            Some(_) => ROWS_OF_THREAD,
            None => ROWS_OF_LOG,
        })?;
        let mut rows = match thread {
            Some(thread) => statement.query(params![log as u8, row_id(after)?, limit, thread])?,
            None => statement.query(params![log as u8, row_id(after)?, limit])?,
        };
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = u64::try_from(row.get::<_, i64>(0)?).map_err(|_| StoreError::Damaged)?;
            let sealed: Vec<u8> = row.get(2)?;
            let context = row_context(log, seq, row.get(1)?);
            found.push(Row { seq, value: self.keys.rows.open(&context, &sealed)? });
        }
        Ok(found)
    }

    fn write_row(&mut self, log: Log, seq: u64, value: &[u8]) -> Result<(), StoreError> {
        let version: i64 = self
            .sql
            .prepare_cached("SELECT version FROM logs WHERE log = ?1 AND seq = ?2")?
            .query_row(params![log as u8, row_id(seq)?], |row| row.get::<_, i64>(0))
            .optional()?
            .ok_or(StoreError::Damaged)?
            .checked_add(1)
            .ok_or(StoreError::Damaged)?;
        let sealed = self.keys.rows.seal(&row_context(log, seq, version), value, &mut SysRng)?;
        self.sql
            .prepare_cached(
                "UPDATE logs SET version = ?3, sealed = ?4 WHERE log = ?1 AND seq = ?2",
            )?
            .execute(params![log as u8, row_id(seq)?, version, sealed])?;
        Ok(())
    }

    fn open_record(
        &self,
        kind: u8,
        name: &[u8],
        version: i64,
        sealed: &[u8],
    ) -> Result<Record, StoreError> {
        let plaintext = self.keys.rows.open(&record_context(kind, name, version), sealed)?;
        let (length, rest) = plaintext.split_first_chunk::<2>().ok_or(StoreError::Damaged)?;
        let (key, value) = rest
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or(StoreError::Damaged)?;
        Ok((key.to_vec(), Zeroizing::new(value.to_vec())))
    }
}

// Each runs on an index of its own: what the drivers ask twice a second must not pass over the whole history.
pub(super) const ROWS_OF_THREAD: &str = "SELECT seq, version, sealed FROM logs \
    WHERE log = ?1 AND thread = ?4 AND seq > ?2 ORDER BY seq LIMIT ?3";
pub(super) const ROWS_OF_LOG: &str = "SELECT seq, version, sealed FROM logs \
    WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

/// A record's key and value.
pub(crate) type Record = (Vec<u8>, Zeroizing<Vec<u8>>);

fn with_key(key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
    let length = u16::try_from(key.len()).map_err(|_| StoreError::Damaged)?;
    Ok([length.to_be_bytes().as_slice(), key, value].concat())
}

// SPEC §9.2 [row-bound]: a row moved to another place, or an older version of it put back under the newer number, does not open.
fn record_context(kind: u8, name: &[u8], version: i64) -> Vec<u8> {
    [b"record".as_slice(), &[kind], name, &version.to_be_bytes()].concat()
}

fn row_context(log: Log, seq: u64, version: i64) -> Vec<u8> {
    [b"log".as_slice(), &[log as u8], &seq.to_be_bytes(), &version.to_be_bytes()].concat()
}

fn row_id(seq: u64) -> Result<i64, StoreError> {
    i64::try_from(seq).map_err(|_| StoreError::Damaged)
}
