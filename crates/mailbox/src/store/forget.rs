//! What goes without being asked for: what has expired, what hung on something that was deleted, mailboxes that nobody
//! opens. A bounded bit at a time, each a commit of its own; a crash between two loses nothing but the place.

use chopmark_wire::relay::{CapabilityHash, Hour, MailboxId};

use super::{
    disk::Disk,
    record::{self, Fetched, Seen},
    rules::{Rule, Rules},
};

/// The first key of what expires.
pub(super) const BEGIN: &[u8] = b"x";
/// Records that one step looks at.
const STEP_RECORDS: usize = 1000;
/// Bytes that one step reads.
const STEP_BYTES: usize = 4 * 1024 * 1024;

impl<D: Disk> Rules<'_, D> {
    /// A number is nobody's any more: what hangs on it is to go.
    pub(super) fn drop_number(&mut self, number: u64) {
        let [first, ..] = record::HANGING;
        self.batch.put(record::dropped(number), record::hanging(first, number));
    }

    /// One step. Answers the key from which the next is to go on; none when nothing is left to forget.
    pub(super) fn forget(&mut self, hour: Hour, from: &[u8]) -> Rule<Option<Vec<u8>>> {
        if self.clean()? {
            return Ok(Some(from.to_vec()));
        }
        let found = self.batch.scan(BEGIN, from, STEP_RECORDS, STEP_BYTES)?;
        let full = found.len() == STEP_RECORDS;
        let mut last = from.to_vec();
        for (key, _) in found {
            let rest = key.get(1..).and_then(|rest| rest.split_first_chunk());
            let Some((until, of)) = rest else { continue };
            if u64::from_be_bytes(*until) > hour.0 {
                return Ok(None);
            }
            match of.first() {
                Some(b's') => self.forget_message(of)?,
                Some(b'f') => self.forget_fetch(of)?,
                Some(b'i') => self.forget_mailbox(of, hour)?,
                _ => {}
            }
            last.clone_from(&key);
            self.batch.delete(key);
        }
        Ok(full.then_some(last))
    }

    /// Deletes some of what hangs on a number that is nobody's. Is there such a number?
    fn clean(&mut self) -> Rule<bool> {
        let Some((dropped, from)) = self.batch.scan(b"d", b"d", 1, usize::MAX)?.pop() else {
            return Ok(false);
        };
        let Some(number) = record::number_in(&dropped) else { return Ok(false) };
        let kinds = record::HANGING;
        let kind = kinds.iter().position(|kind| from.first() == Some(kind)).unwrap_or(0);
        let prefix = record::hanging(kinds.get(kind).copied().unwrap_or_default(), number);
        let found = self.batch.scan(&prefix, &from, STEP_RECORDS, STEP_BYTES)?;
        match (found.last(), kinds.get(kind.saturating_add(1))) {
            (Some((last, _)), _) => self.batch.put(dropped, last.clone()),
            (None, Some(next)) => self.batch.put(dropped, record::hanging(*next, number)),
            (None, None) => self.batch.delete(dropped),
        }
        for (key, value) in found {
            let until = match key.first() {
                Some(b'G') => {
                    self.clean_grant(&key, number)?;
                    None
                }
                Some(b's') => Some(Seen::decode(&value)?.until),
                Some(b'f') => Some(Fetched::decode(&value)?.until),
                _ => None,
            };
            until.into_iter().for_each(|until| self.batch.delete(record::expiry(until, &key)));
            self.batch.delete(key);
        }
        Ok(true)
    }

    /// A capability of a mailbox that was deleted, unless it was granted elsewhere since.
    fn clean_grant(&mut self, key: &[u8], number: u64) -> Rule<()> {
        let Some(hash) = key.last_chunk().map(|hash| CapabilityHash(*hash)) else { return Ok(()) };
        if self.granted(&hash)?.is_some_and(|held| held.number == number) {
            self.drop_link(&hash)?;
            self.put_grant(hash, None);
        }
        Ok(())
    }

    /// A message whose time is over, and its tombstone.
    fn forget_message(&mut self, key: &[u8]) -> Rule<()> {
        let Some(value) = self.batch.load(key)? else { return Ok(()) };
        self.batch.delete(key.to_vec());
        let Some(number) = record::number_in(key) else { return Ok(()) };
        let id = self.batch.load(&record::owner_of(number))?;
        let Some(id) = id.as_deref().and_then(MailboxId::from_slice) else { return Ok(()) };
        if let Some(mut mailbox) = self.mailbox(&id)?.filter(|it| it.number == number) {
            self.drop_message(&mut mailbox, Seen::decode(&value)?.seq)?;
            mailbox.seen = mailbox.seen.saturating_sub(1);
            self.put_mailbox(id, Some(mailbox));
        }
        Ok(())
    }

    /// A mailbox whose owner was not seen for long; otherwise it is looked at again when that would be so.
    fn forget_mailbox(&mut self, key: &[u8], hour: Hour) -> Rule<()> {
        let id = key.get(1..33).and_then(MailboxId::from_slice);
        let number = key.last_chunk().map(|number| u64::from_be_bytes(*number));
        let (Some(id), Some(number)) = (id, number) else { return Ok(()) };
        if let Some(mailbox) = self.mailbox(&id)?.filter(|it| it.number == number) {
            if mailbox.touched.plus(self.idle_hours) <= hour {
                self.delete(&id)?;
            } else {
                self.look_at_idle(&id, number, mailbox.touched);
            }
        }
        Ok(())
    }

    fn forget_fetch(&mut self, key: &[u8]) -> Rule<()> {
        let Some(value) = self.batch.load(key)? else { return Ok(()) };
        let Fetched { capability, .. } = Fetched::decode(&value)?;
        self.batch.delete(key.to_vec());
        let Some(mut link) = self.link(&capability)? else { return Ok(()) };
        if Some(link.number) != record::number_in(key) {
            return Ok(());
        }
        link.answered = link.answered.saturating_sub(1);
        self.put_link(&capability, &link);
        let Some(held) = self.granted(&capability)? else { return Ok(()) };
        if let Some(mut mailbox) = self.mailbox(&held.mailbox)?
            && mailbox.number == held.number
        {
            mailbox.fetches = mailbox.fetches.saturating_sub(1);
            self.put_mailbox(held.mailbox, Some(mailbox));
        }
        Ok(())
    }
}
