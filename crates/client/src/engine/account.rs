//! The account of a home: who we are, where our mailbox is, which issuers we use.

use chopmark_core::identity::{
    AccountId, DeviceId, DeviceKeys, Manifest, ManifestNumber, Purpose, RootKeys, Seed,
    SignedManifest,
};
use chopmark_core::signature::SigningKey;
use chopmark_wire::payload::ManifestMark;
use chopmark_wire::payment::{IssuerUrl, Unit};
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::turn::Turn;
use crate::error::Error;
use crate::store::Kind;

/// What a new home starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) relay: String,
    pub(crate) issuers: Vec<(String, String, u8)>,
    pub(crate) merchant: bool,
}

impl Setup {
    /// A mailbox at this relay, given as `chop-relay:host:port#hash`.
    pub fn new(relay: impl Into<String>) -> Self {
        Self { relay: relay.into(), issuers: Vec::new(), merchant: false }
    }

    /// Accept coins of this issuer, given by its URL, in the unit `unit`, whose minor unit is `10^-exponent` of it. No
    /// other issuer is ever called.
    #[must_use]
    pub fn issuer(mut self, url: impl Into<String>, unit: &str, exponent: u8) -> Self {
        let url = url.into().trim_end_matches('/').to_owned();
        self.issuers.push((url, unit.to_owned(), exponent));
        self
    }

    /// Claim what comes in at once, instead of after a random wait that hides which payment a claim belongs to.
    #[must_use]
    pub fn merchant(mut self, merchant: bool) -> Self {
        self.merchant = merchant;
        self
    }
}

impl Setup {
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.relay
            .parse::<chopmark_wire::address::RelayAddress>()
            .map_err(|_| Error::RelayAddress)?;
        for (url, code, exponent) in &self.issuers {
            IssuerUrl::parse(url).map_err(|_| Error::Issuer)?;
            Unit::new(code, *exponent).map_err(|_| Error::Issuer)?;
        }
        Ok(())
    }
}

/// The account record. The root keys are not in it: they come from the 24 words, signed the manifest, and are gone.
#[derive(Serialize, Deserialize)]
pub(crate) struct Account {
    id: Blob,
    pub(crate) manifest: Blob,
    /// Recovery epoch, version and short hash of the manifest.
    mark: (u32, u32, Blob),
    device: Blob,
    #[serde(default = "first_device")]
    device_id: u32,
    owner: Blob,
    pub(crate) relay: String,
    /// URL, unit and exponent.
    pub(crate) issuers: Vec<(String, String, u8)>,
    pub(crate) merchant: bool,
    pub(crate) wallet_epoch: u32,
    pub(crate) wallet: Blob,
    pub(crate) payee_lock: Blob,
    pub(crate) refund: Blob,
}

/// The first device of an account. One that is restored has another number: none is ever used again (SPEC §2.3).
const FIRST_DEVICE: DeviceId = DeviceId(1);

impl Account {
    /// Our manifest, verified anew.
    pub(crate) fn signed_manifest(&self) -> Result<SignedManifest, Error> {
        SignedManifest::verify(&self.manifest).map_err(|_| Error::Internal("own manifest"))
    }

    pub(crate) fn id(&self) -> Result<AccountId, Error> {
        self.id.array().map(AccountId::from_bytes).ok_or(Error::Internal("own account id"))
    }

    pub(crate) fn mark(&self) -> Result<ManifestMark, Error> {
        let (recovery_epoch, version, hash) = &self.mark;
        let hash = hash.array().ok_or(Error::Internal("own manifest's hash"))?;
        Ok(ManifestMark { recovery_epoch: *recovery_epoch, version: *version, hash })
    }

    #[cfg(test)]
    pub(crate) fn pretend_version(&mut self, version: u32) {
        self.mark.1 = version;
    }

    #[cfg(test)]
    pub(crate) fn pretend_to_be(&mut self, other: &Self) {
        self.id = other.id.clone();
        self.manifest = other.manifest.clone();
        self.mark = (other.mark.0, other.mark.1, other.mark.2.clone());
    }

    pub(crate) fn device_keys(&self) -> Result<DeviceKeys, Error> {
        DeviceKeys::import(&self.device).map_err(|_| Error::Internal("own device keys"))
    }

    /// Our device's number.
    pub(crate) fn device_id(&self) -> DeviceId {
        DeviceId(self.device_id)
    }

    /// The key that owns the mailbox: random, and nothing to do with the account.
    pub(crate) fn owner_key(&self) -> Result<SigningKey, Error> {
        let secret = chopmark_core::secret::Secret::from_slice(&self.owner)
            .ok_or(Error::Internal("mailbox key"))?;
        Ok(SigningKey::from_secret(&secret))
    }
}

impl Turn<'_, '_> {
    /// Makes the account of a new home from its seed.
    pub(crate) fn create_account(&mut self, seed: &Seed, setup: &Setup) -> Result<(), Error> {
        self.make_account(seed, setup, FIRST_DEVICE, 0)
    }

    /// Makes the home of an account that exists already, from its words alone: the same id, another device, and a list of
    /// devices that takes the place of every earlier one (SPEC §2.4 [restore-outbids]).
    pub(crate) fn restore_account(&mut self, seed: &Seed, setup: &Setup) -> Result<(), Error> {
        let epoch = ManifestNumber::recovery_epoch_at(self.now);
        // As the epoch rises with every restore, neither the device's number nor the wallet epoch was ever used.
        self.make_account(seed, setup, DeviceId(epoch), epoch)
    }

    fn make_account(
        &mut self,
        seed: &Seed,
        setup: &Setup,
        device_id: DeviceId,
        epoch: u32,
    ) -> Result<(), Error> {
        setup.check()?;
        let device = DeviceKeys::generate(self.rng)?;
        let root = RootKeys::from_seed(seed);
        let next = RootKeys::from_seed(&seed.next()).public().commitment();
        let devices = vec![device.entry(device_id)];
        let manifest = Manifest::restored(root.public(), next, epoch, devices)
            .sign(&root)
            .map_err(|_| Error::Internal("signing the manifest"))?;
        let owner = SigningKey::generate(self.rng)?;
        let derive = |purpose| Blob::new(seed.derive(purpose).expose());
        let number = manifest.number();
        let account = Account {
            id: Blob::new(manifest.account().as_bytes()),
            mark: (number.recovery_epoch, number.version, Blob::new(&manifest.short_hash())),
            manifest: Blob::new(manifest.as_bytes()),
            device: Blob::new(&device.export()),
            device_id: device_id.0,
            owner: Blob::new(owner.to_secret().expose()),
            relay: setup.relay.clone(),
            issuers: setup.issuers.clone(),
            merchant: setup.merchant,
            wallet_epoch: epoch,
            wallet: derive(Purpose::Wallet { epoch }),
            payee_lock: derive(Purpose::PayeeLock),
            refund: derive(Purpose::Refund),
        };
        self.tx.put(Kind::Account, b"", &account)?;
        self.rotate_prekeys()?;
        Ok(())
    }
}

fn first_device() -> u32 {
    FIRST_DEVICE.0
}
