//! Prekeys of our own: made, rotated, published, used once, deleted. SPEC §3.4.

use chopmark_core::handshake::InitId;
use chopmark_core::identity::Stamp;
use chopmark_core::link::{LinkSecret, Published};
use chopmark_core::prekey::{
    MAX_SIGNED_PREKEYS, ONE_TIME_PREKEYS, ONE_TIME_PREKEYS_LOW, OneTimePrekeySecret, PrekeyId,
    SignedPart, SignedPrekeySecret,
};
use chopmark_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::link::Link;
use super::seen::Spent;
use super::turn::Turn;
use crate::error::Error;
use crate::store::Kind;

/// Prekeys by number; the numbers are never used twice.
#[derive(Default, Serialize, Deserialize)]
struct Shelf {
    next: u32,
    /// The signed ones, oldest first, and when each was superseded.
    signed: Vec<(Blob, Option<u64>)>,
}

/// The private half of a one-time prekey.
#[derive(Serialize, Deserialize)]
struct OneTime {
    key: Blob,
    /// The handle of the link under which it was published.
    link: Blob,
    /// When the link got others in its place.
    superseded: Option<u64>,
}

/// Why there is no private prekey with a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacking {
    /// It was used by another handshake.
    Used,
    /// It was made, and its time is over.
    Gone,
    /// This state made none with that number.
    NeverMade,
}

/// What one link offers at the relay, sealed.
pub(crate) struct Offer {
    pub(crate) bundle: Vec<u8>,
    pub(crate) one_time: Vec<Vec<u8>>,
}

impl Turn<'_, '_> {
    /// Makes a fresh signed prekey if the newest is due, and deletes the private keys that nobody can use any more. Says
    /// whether there is a fresh one.
    pub(crate) fn rotate_prekeys(&mut self) -> Result<bool, Error> {
        let mut shelf = self.shelf()?;
        let mut rotated = false;
        let newest = shelf.signed.last().map(|(key, _)| import_signed(key)).transpose()?;
        if newest.is_none_or(|newest| newest.is_due_for_rotation(self.now)) {
            let id = shelf.take_number()?;
            let fresh = SignedPrekeySecret::generate(id, self.now, self.rng)?;
            if let Some((_, superseded)) = shelf.signed.last_mut() {
                *superseded = Some(self.now.as_millis());
            }
            shelf.signed.push((Blob::new(&fresh.export()), None));
            rotated = true;
        }
        if rotated {
            // A clock that runs wild makes new ones each time: the oldest go.
            let surplus = shelf.signed.len().saturating_sub(MAX_SIGNED_PREKEYS);
            shelf.signed.drain(..surplus);
            self.tx.put(Kind::Prekey, SHELF, &shelf)?;
        }
        Ok(rotated)
    }

    /// Deletes private prekeys whose time is over: SPEC §3.4 [prekeys-are-deleted].
    pub(crate) fn expire_prekeys(&mut self) -> Result<(), Error> {
        let (mut shelf, now) = (self.shelf()?, self.now);
        let before = shelf.signed.len();
        shelf.signed.retain(|(_, superseded)| superseded.is_none_or(|at| is_kept(at, now)));
        if shelf.signed.len() != before {
            self.tx.put(Kind::Prekey, SHELF, &shelf)?;
        }
        for (key, one) in self.one_time(|_| true)? {
            if one.superseded.is_some_and(|at| !is_kept(at, now)) {
                self.tx.drop_record(Kind::Prekey, &key)?;
            }
        }
        Ok(())
    }

    /// The signed prekeys that are alive, oldest first: number, and when each was superseded.
    #[cfg(test)]
    pub(crate) fn signed_prekeys(&self) -> Result<Vec<(u32, Option<u64>)>, Error> {
        let shelf = self.shelf()?;
        let number = |key| import_signed(key).map(|secret| secret.id().0);
        shelf.signed.iter().map(|(key, superseded)| Ok((number(key)?, *superseded))).collect()
    }

    /// The number of the oldest signed prekey that is alive.
    pub(crate) fn oldest_signed_prekey(&self) -> Result<u32, Error> {
        match self.shelf()?.signed.first() {
            Some((key, _)) => Ok(import_signed(key)?.id().0),
            None => Ok(0),
        }
    }

    /// Publishes every link anew once the signed prekey has been rotated, and a link of which few one-time prekeys are
    /// left (SPEC §3.4).
    pub(crate) fn refresh_links(&mut self) -> Result<(), Error> {
        let rotated = self.rotate_prekeys()?;
        if rotated {
            self.publish_renewals(false)?;
        }
        for (handle, mut link) in self.tx.every::<Link>(Kind::Link)? {
            let low = link.reusable && link.taken >= TAKEN_MOST;
            let Ok(handle) = <[u8; 8]>::try_from(handle.as_slice()) else { continue };
            if rotated || low {
                link.taken = 0;
                self.tx.put(Kind::Link, &handle, &link)?;
                self.publish_link(&handle, &link)?;
            }
        }
        Ok(())
    }

    /// What a link offers: our bundle, and `count` fresh one-time prekeys.
    pub(crate) fn offer(
        &mut self,
        link: &LinkSecret,
        handle: &[u8; 8],
        count: usize,
    ) -> Result<Offer, Error> {
        self.rotate_prekeys()?;
        let account = self.account()?;
        let (id, device, keys) = (account.id()?, account.device_id(), account.device_keys()?);
        let manifest = account.signed_manifest()?;
        let mut shelf = self.shelf()?;
        let newest = shelf.signed.last().ok_or(Error::Internal("no signed prekey"))?;
        let prekey = import_signed(&newest.0)?.publish(&id, device, &keys);
        let stamp = Stamp::create(keys.signing(), device, &manifest, self.now)
            .map_err(|_| Error::Internal("stamping the manifest"))?;
        let part = SignedPart { manifest, stamp, prekey }
            .to_bytes()
            .map_err(|_| Error::Internal("bundle length"))?;
        let key = link.bundle_key();
        let bundle = key.seal_published(Published::SignedPart, &part, self.rng)?;
        let mut one_time = Vec::new();
        for _ in 0..count {
            let secret = OneTimePrekeySecret::generate(shelf.take_number()?, self.rng)?;
            let record = OneTime {
                key: Blob::new(&secret.export()),
                link: Blob::new(handle),
                superseded: None,
            };
            self.tx.put(Kind::Prekey, &secret.id().0.to_be_bytes(), &record)?;
            let public = secret.publish(&id, device, &keys).to_bytes();
            one_time.push(key.seal_published(Published::OneTimePrekey, &public, self.rng)?);
        }
        self.tx.put(Kind::Prekey, SHELF, &shelf)?;
        Ok(Offer { bundle, one_time })
    }

    /// The signed prekey with this number, while it is alive.
    pub(crate) fn signed_prekey(
        &self,
        id: PrekeyId,
    ) -> Result<Result<SignedPrekeySecret, Lacking>, Error> {
        let shelf = self.shelf()?;
        for (key, _) in &shelf.signed {
            let secret = import_signed(key)?;
            if secret.id() == id {
                return Ok(Ok(secret));
            }
        }
        Ok(Err(if id.0 < shelf.next { Lacking::Gone } else { Lacking::NeverMade }))
    }

    /// The one-time prekey with this number, if no other handshake than `init` used it, and the handle of its link.
    pub(crate) fn one_time_prekey(
        &self,
        id: PrekeyId,
        init: InitId,
    ) -> Result<Result<(OneTimePrekeySecret, Blob), Lacking>, Error> {
        let found: Option<OneTime> = self.tx.find(Kind::Prekey, &id.0.to_be_bytes())?;
        if let Some(found) = found {
            let secret = OneTimePrekeySecret::import(&found.key);
            return Ok(Ok((secret.map_err(|_| Error::Internal("a prekey"))?, found.link)));
        }
        let spent: Option<Spent> = self.tx.find(Kind::Spent, &id.0.to_be_bytes())?;
        Ok(Err(match spent {
            Some(spent) if *spent.init != init.as_bytes()[..] => Lacking::Used,
            None if id.0 >= self.shelf()?.next => Lacking::NeverMade,
            _ => Lacking::Gone,
        }))
    }

    /// A link gets others: those it had are kept for whoever fetched them already, for as long as a first message may
    /// wait at a relay, and no more than so many.
    pub(crate) fn supersede_one_time(&mut self, handle: &[u8; 8]) -> Result<(), Error> {
        let mut kept = Vec::new();
        for (key, mut one) in self.one_time_of(handle)? {
            if one.superseded.is_some_and(|at| !is_kept(at, self.now)) {
                self.tx.drop_record(Kind::Prekey, &key)?;
                continue;
            }
            if one.superseded.is_none() {
                one.superseded = Some(self.now.as_millis());
                self.tx.put(Kind::Prekey, &key, &one)?;
            }
            kept.push(key);
        }
        // In the order of their numbers, so of their age.
        let surplus =
            kept.len().saturating_sub(MAX_SIGNED_PREKEYS.saturating_mul(ONE_TIME_PREKEYS));
        for key in kept.iter().take(surplus) {
            self.tx.drop_record(Kind::Prekey, key)?;
        }
        Ok(())
    }

    /// A link is over: nobody can use its one-time prekeys any more.
    pub(crate) fn drop_one_time(&mut self, handle: &[u8]) -> Result<(), Error> {
        for (key, _) in self.one_time_of(handle)? {
            self.tx.drop_record(Kind::Prekey, &key)?;
        }
        Ok(())
    }

    fn one_time_of(&self, handle: &[u8]) -> Result<Vec<(Vec<u8>, OneTime)>, Error> {
        self.one_time(|one| *one.link == *handle)
    }

    fn one_time(
        &self,
        wanted: impl Fn(&OneTime) -> bool,
    ) -> Result<Vec<(Vec<u8>, OneTime)>, Error> {
        let mut found = Vec::new();
        for (key, value) in self.tx.scan(Kind::Prekey as u8, &[])? {
            if key == SHELF {
                continue;
            }
            let one: OneTime = super::record::decode(&value)?;
            if wanted(&one) {
                found.push((key, one));
            }
        }
        Ok(found)
    }

    /// A one-time prekey was used: its private half is gone with this turn.
    pub(crate) fn spend_one_time(&mut self, id: PrekeyId, init: InitId) -> Result<(), Error> {
        self.note_spent(id, init)?;
        Ok(self.tx.drop_record(Kind::Prekey, &id.0.to_be_bytes())?)
    }

    fn shelf(&self) -> Result<Shelf, Error> {
        Ok(self.tx.find(Kind::Prekey, SHELF)?.unwrap_or_default())
    }
}

impl Shelf {
    fn take_number(&mut self) -> Result<PrekeyId, Error> {
        let id = self.next;
        self.next = id.checked_add(1).ok_or(Error::Internal("prekey numbers are used up"))?;
        Ok(PrekeyId(id))
    }
}

fn import_signed(key: &Blob) -> Result<SignedPrekeySecret, Error> {
    SignedPrekeySecret::import(key).map_err(|_| Error::Internal("a signed prekey"))
}

fn is_kept(superseded: u64, now: Timestamp) -> bool {
    SignedPrekeySecret::delete_at(Timestamp(superseded)) > now
}

const SHELF: &[u8] = b"shelf";
/// So many of a link's one-time prekeys were used that fewer than eight are left.
const TAKEN_MOST: usize = ONE_TIME_PREKEYS - ONE_TIME_PREKEYS_LOW + 1;

#[cfg(test)]
mod tests {
    use super::*;

    // Tests [counters-never-wrap].
    #[test]
    fn t07_the_last_number_of_a_prekey_is_given_once() {
        let mut shelf = Shelf { next: u32::MAX - 1, signed: Vec::new() };
        assert_eq!(shelf.take_number().unwrap(), PrekeyId(u32::MAX - 1));
        for _ in 0..2 {
            assert!(shelf.take_number().is_err());
            assert_eq!(shelf.next, u32::MAX);
        }
    }
}
