//! Prekeys of our own: made, rotated, published, used once, deleted. SPEC §3.4.

use chopmark_core::identity::Stamp;
use chopmark_core::link::{LinkSecret, Published};
use chopmark_core::prekey::{
    ONE_TIME_PREKEYS, ONE_TIME_PREKEYS_LOW, OneTimePrekeySecret, PrekeyId, SIGNED_PREKEY_RETENTION,
    SignedPart, SignedPrekeySecret,
};
use chopmark_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::account::DEVICE;
use super::blob::Blob;
use super::link::Link;
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
        let now = self.now;
        shelf.signed.retain(|(_, superseded)| {
            superseded.is_none_or(|at| Timestamp(at).saturating_add(SIGNED_PREKEY_RETENTION) > now)
        });
        self.tx.put(Kind::Prekey, SHELF, &shelf)?;
        Ok(rotated)
    }

    /// Publishes every link anew once the signed prekey has been rotated, and a link of which few one-time prekeys are
    /// left (SPEC §3.4).
    pub(crate) fn refresh_links(&mut self) -> Result<(), Error> {
        let rotated = self.rotate_prekeys()?;
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
    pub(crate) fn offer(&mut self, link: &LinkSecret, count: usize) -> Result<Offer, Error> {
        self.rotate_prekeys()?;
        let account = self.account()?;
        let (id, keys) = (account.id()?, account.device_keys()?);
        let manifest = account.signed_manifest()?;
        let mut shelf = self.shelf()?;
        let newest = shelf.signed.last().ok_or(Error::Internal("no signed prekey"))?;
        let prekey = import_signed(&newest.0)?.publish(&id, DEVICE, &keys);
        let stamp = Stamp::create(keys.signing(), DEVICE, &manifest, self.now)
            .map_err(|_| Error::Internal("stamping the manifest"))?;
        let part = SignedPart { manifest, stamp, prekey }
            .to_bytes()
            .map_err(|_| Error::Internal("bundle length"))?;
        let key = link.bundle_key();
        let bundle = key.seal_published(Published::SignedPart, &part, self.rng)?;
        let mut one_time = Vec::new();
        for _ in 0..count {
            let secret = OneTimePrekeySecret::generate(shelf.take_number()?, self.rng)?;
            self.tx.put(
                Kind::Prekey,
                &secret.id().0.to_be_bytes(),
                &Blob::new(&secret.export()),
            )?;
            let public = secret.publish(&id, DEVICE, &keys).to_bytes();
            one_time.push(key.seal_published(Published::OneTimePrekey, &public, self.rng)?);
        }
        self.tx.put(Kind::Prekey, SHELF, &shelf)?;
        Ok(Offer { bundle, one_time })
    }

    /// The signed prekey with this number, while it is alive.
    pub(crate) fn signed_prekey(&self, id: PrekeyId) -> Result<Option<SignedPrekeySecret>, Error> {
        for (key, _) in &self.shelf()?.signed {
            let secret = import_signed(key)?;
            if secret.id() == id {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }

    /// The one-time prekey with this number, if it was not used yet.
    pub(crate) fn one_time_prekey(
        &self,
        id: PrekeyId,
    ) -> Result<Option<OneTimePrekeySecret>, Error> {
        let found: Option<Blob> = self.tx.find(Kind::Prekey, &id.0.to_be_bytes())?;
        found
            .map(|key| OneTimePrekeySecret::import(&key).map_err(|_| Error::Internal("a prekey")))
            .transpose()
    }

    /// A one-time prekey was used: its private half is gone with this turn.
    pub(crate) fn spend_one_time(&mut self, id: PrekeyId) -> Result<(), Error> {
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

const SHELF: &[u8] = b"shelf";
/// So many of a link's one-time prekeys were used that fewer than eight are left.
const TAKEN_MOST: usize = ONE_TIME_PREKEYS - ONE_TIME_PREKEYS_LOW + 1;
