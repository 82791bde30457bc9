//! Keys published ahead of time, so that a first message can be sealed for someone who is not there (SPEC §3).
//!
//! A prekey is an X25519 and an ML-KEM-768 key under one signature by the device: neither half can be swapped or left
//! out. The signed prekey is used for a time by everyone, a one-time prekey once by one. The [`bundle`] brings them
//! together with the manifest that vouches for the device.
//!
//! Start at [`SignedPrekeySecret::generate`] to publish and at [`VerifiedBundle::verify`] to write to someone.
//!
//! Bob publishes under a link, and Alice, who has the link, reads:
//! ```
//! use chopmark_core::{identity::*, link::*, prekey::*, time::Timestamp};
//! # use rand_chacha::rand_core::SeedableRng;
//! # let rng = &mut rand_chacha::ChaCha20Rng::from_seed([1; 32]);
//! # let now = Timestamp(1_800_000_000_000);
//! // An account, made from a seed that is shown to Bob as words and then forgotten.
//! let seed = Seed::generate(rng)?;
//! let (root, next) = (RootKeys::from_seed(&seed), RootKeys::from_seed(&seed.next()));
//! let (keys, device) = (DeviceKeys::generate(rng)?, DeviceId(1));
//! let next = next.public().commitment();
//! let manifest = SignedManifest::create(&root, next, vec![keys.entry(device)])?;
//! let account = *manifest.account();
//!
//! // What the relay is given, sealed.
//! let stamp = Stamp::create(keys.signing(), device, &manifest, now)?;
//! let prekey = SignedPrekeySecret::generate(PrekeyId(1), now, rng)?;
//! let part = SignedPart { manifest, stamp, prekey: prekey.publish(&account, device, &keys) };
//! let link = LinkSecret::generate(rng)?;
//! let blob = link.bundle_key().seal_published(Published::SignedPart, &part.to_bytes()?, rng)?;
//!
//! // Alice has the link, so the account id and the link secret.
//! let part = link.bundle_key().open_published(Published::SignedPart, &blob)?;
//! let bundle = VerifiedBundle::verify(&part, None, &account, now)?;
//! assert!(bundle.stamp_is_fresh());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::time::Duration;

pub use self::{
    bundle::{BundleError, SignedPart, VerifiedBundle},
    one_time::{OneTimePrekey, OneTimePrekeySecret},
    signed::{SignedPrekey, SignedPrekeySecret},
};
use crate::{
    codec::{DecodeError, Reader, Writer},
    dh,
    identity::{AccountId, DeviceEntry, DeviceId, DeviceKeys},
    kem, label,
    random::RandomnessError,
    signature::{InvalidSignature, Signature},
    time::Timestamp,
};

pub mod bundle;
pub mod one_time;
pub mod signed;

/// A prekey's number, chosen by its device and not used again for a prekey of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrekeyId(pub u32);

/// How long a signed prekey is valid (SPEC §3.4).
pub const SIGNED_PREKEY_VALIDITY: Duration = days(30);

/// How often a device that is online replaces its signed prekey (SPEC §3.4).
pub const SIGNED_PREKEY_ROTATION: Duration = days(2);

/// How long the private half of a signed prekey is kept after a newer one took its place: first messages to it may
/// wait at a relay that long (SPEC §3.4).
pub const SIGNED_PREKEY_RETENTION: Duration = days(32);

/// Signed prekeys whose private halves are alive, at most; the oldest goes first (SPEC §3.4).
pub const MAX_SIGNED_PREKEYS: usize = 17;

/// One-time prekeys published at once (SPEC §3.4).
pub const ONE_TIME_PREKEYS: usize = 32;

/// Below this many one-time prekeys in stock, more are published (SPEC §3.4).
pub const ONE_TIME_PREKEYS_LOW: usize = 8;

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// The two secret halves of a prekey, wiped on drop.
#[derive(Debug, PartialEq, Eq)]
struct SecretPair {
    dh: dh::SecretKey,
    kem: kem::DecapsulationKey,
}

impl SecretPair {
    fn generate(
        rng: &mut (impl rand_core::TryCryptoRng + ?Sized),
    ) -> Result<Self, RandomnessError> {
        Ok(Self { dh: dh::SecretKey::generate(rng)?, kem: kem::DecapsulationKey::generate(rng)? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.secret(self.dh.as_secret()).bytes(self.kem.expose_seed());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            dh: dh::SecretKey::from_secret(reader.secret()?),
            kem: kem::DecapsulationKey::from_seed(reader.array()?),
        })
    }
}

/// Whose prekey, of which kind, and which: what its signature covers beside the keys (SPEC §3.1).
#[derive(Clone, Copy)]
struct Title {
    account: AccountId,
    device: DeviceId,
    kind: Kind,
    id: PrekeyId,
    /// Zero for a one-time prekey, which has none.
    expiry: Timestamp,
}

#[derive(Clone, Copy)]
enum Kind {
    Signed = 1,
    OneTime = 2,
}

const SUITE: u8 = 1;

/// The two public halves of a prekey and the device's signature over them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PublicPair {
    dh: dh::PublicKey,
    kem: kem::EncapsulationKey,
    signature: Signature,
}

impl PublicPair {
    const LENGTH: usize = dh::PublicKey::LENGTH + kem::EncapsulationKey::LENGTH + Signature::LENGTH;

    fn sign(secret: &SecretPair, title: &Title, keys: &DeviceKeys) -> Self {
        let (dh, kem) = (*secret.dh.public(), secret.kem.encapsulation_key().clone());
        let signature = keys.signing().sign(label::PREKEY, &[&signed(title, &dh, &kem)]);
        Self { dh, kem, signature }
    }

    fn verify(&self, title: &Title, device: &DeviceEntry) -> Result<(), InvalidSignature> {
        let message = signed(title, &self.dh, &self.kem);
        device.signing().verify(label::PREKEY, &[&message], &self.signature)
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(self.dh.as_bytes()).bytes(self.kem.as_bytes());
        writer.bytes(self.signature.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            dh: dh::PublicKey::parse(reader.array()?)?,
            kem: kem::EncapsulationKey::parse(reader.array()?)?,
            signature: Signature::from_bytes(*reader.array()?),
        })
    }
}

/// `suite | account 32 | device u32 | kind u8 | id u32 | expiry u64 | X25519 32 | ML-KEM-768 1184` (SPEC §3.1
/// `[prekey-signature-covers]`).
fn signed(title: &Title, dh: &dh::PublicKey, kem: &kem::EncapsulationKey) -> Vec<u8> {
    let mut writer = Writer::with_capacity(50 + PublicPair::LENGTH);
    writer.u8(SUITE).bytes(title.account.as_bytes()).u32(title.device.0);
    writer.u8(title.kind as u8).u32(title.id.0).u64(title.expiry.0);
    writer.bytes(dh.as_bytes()).bytes(kem.as_bytes());
    writer.finish()
}

/// Reads the version byte of a stored secret.
fn expect_version(reader: &mut Reader<'_>, version: u8) -> Result<(), DecodeError> {
    match reader.u8()? {
        read if read == version => Ok(()),
        other => Err(DecodeError::Unknown(other)),
    }
}
