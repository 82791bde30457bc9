//! The list of an account's devices, signed by both root keys (SPEC §2.4).
//!
//! A manifest is verified as it is read: a [`SignedManifest`] whose signatures do not hold does not exist. Signatures
//! and the hash cover the bytes received.

use core::fmt;

use thiserror::Error;

use super::{AccountId, DeviceEntry, DeviceId, NextRoot, RootKeys, RootPublicKeys};
use crate::{
    codec::{DecodeError, Reader, Writer},
    hash, label,
    signature::{
        Signature, VerifyingKey,
        root::{RootSignature, RootVerifyingKey, SigningFailed},
    },
    time::Timestamp,
};

/// What a manifest says.
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    signer: Signer,
    root: RootPublicKeys,
    next: NextRoot,
    number: ManifestNumber,
    previous: [u8; 32],
    devices: Vec<DeviceEntry>,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signer, root: _, next: _, number, previous: _, devices } = self;
        let mut shown = f.debug_struct("Manifest");
        shown.field("signer", signer).field("number", number).field("devices", devices);
        shown.finish_non_exhaustive()
    }
}

/// Which root signs a manifest. What the next root signs outranks whatever the root signs (SPEC §2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The root that the account began with.
    Root,
    /// The next root, revealed to revoke the first: from a recovery card, or derived from the seed.
    NextRoot(Box<RootPublicKeys>),
}

/// A manifest's place in the order of its account's manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestNumber {
    /// Raised by each restore from the seed or the recovery card.
    pub recovery_epoch: u32,
    /// Raised by each manifest within a recovery epoch; the first is 0.
    pub version: u32,
}

impl ManifestNumber {
    /// The number of an account's first manifest.
    pub const FIRST: Self = Self { recovery_epoch: 0, version: 0 };

    /// The recovery epoch of a restore that has nothing but the words: above any that the account can have had,
    /// whatever was lost (SPEC §2.4). It is the time in seconds since 1970.
    pub fn recovery_epoch_at(now: Timestamp) -> u32 {
        u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
    }
}

impl Manifest {
    /// Devices in a manifest, at most. It has at least one.
    pub const MAX_DEVICES: usize = 16;

    /// The first manifest of a new account.
    pub const fn first(root: RootPublicKeys, next: NextRoot, devices: Vec<DeviceEntry>) -> Self {
        Self::restored(root, next, 0, devices)
    }

    /// The manifest of an account restored from its words when no earlier manifest is at hand. The recovery epoch must
    /// be above every earlier one: [`ManifestNumber::recovery_epoch_at`].
    pub const fn restored(
        root: RootPublicKeys,
        next: NextRoot,
        recovery_epoch: u32,
        devices: Vec<DeviceEntry>,
    ) -> Self {
        let number = ManifestNumber { recovery_epoch, version: 0 };
        Self { signer: Signer::Root, root, next, number, previous: [0; 32], devices }
    }

    /// Says that the next root signs: the first root is revoked by the manifest.
    #[must_use]
    pub fn revoking_root(self, next: RootPublicKeys) -> Self {
        Self { signer: Signer::NextRoot(Box::new(next)), ..self }
    }

    /// Signs with `keys`, which must be those of the [`Signer`].
    ///
    /// # Errors
    /// [`SignError`]; nothing was signed.
    pub fn sign(self, keys: &RootKeys) -> Result<SignedManifest, SignError> {
        let signer = match &self.signer {
            Signer::Root => &self.root,
            Signer::NextRoot(next) => next,
        };
        if *signer != keys.public() {
            return Err(SignError::OtherRoot);
        }
        if !self.is_well_formed() {
            return Err(SignError::Malformed);
        }
        let mut writer = Writer::with_capacity(SignedManifest::MAX_LENGTH);
        self.write(&mut writer);
        let mut bytes = writer.finish();
        let (ed25519, ml_dsa) =
            keys.sign(label::MANIFEST, &bytes).map_err(|SigningFailed| SignError::SigningFailed)?;
        let hash = hash::sha256(label::MANIFEST_HASH, &[&bytes]);
        bytes.extend_from_slice(ed25519.as_bytes());
        bytes.extend_from_slice(ml_dsa.as_bytes());
        let account = self.root.account_id(&self.next);
        Ok(SignedManifest { bytes, manifest: self, account, hash })
    }

    /// One to sixteen devices in rising order of their numbers, and a next root that is the one committed to.
    fn is_well_formed(&self) -> bool {
        let rising = self.devices.is_sorted_by(|one, other| one.id() < other.id());
        let committed = match &self.signer {
            Signer::Root => true,
            Signer::NextRoot(next) => next.commitment() == self.next,
        };
        rising && committed && (1..=Self::MAX_DEVICES).contains(&self.devices.len())
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(VERSION).u8(SUITE);
        writer.u8(match self.signer {
            Signer::Root => SIGNED_BY_ROOT,
            Signer::NextRoot(_) => SIGNED_BY_NEXT_ROOT,
        });
        write_root(writer, &self.root);
        writer.bytes(self.next.as_bytes());
        if let Signer::NextRoot(next) = &self.signer {
            write_root(writer, next);
        }
        writer.u32(self.number.recovery_epoch).u32(self.number.version).bytes(&self.previous);
        writer.u8(u8::try_from(self.devices.len()).unwrap_or(u8::MAX));
        self.devices.iter().for_each(|device| device.write(writer));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        for known in [VERSION, SUITE] {
            match reader.u8()? {
                byte if byte == known => {}
                other => return Err(DecodeError::Unknown(other)),
            }
        }
        let signer = reader.u8()?;
        let root = read_root(reader)?;
        let next = NextRoot::from_bytes(*reader.array()?);
        let signer = match signer {
            SIGNED_BY_ROOT => Signer::Root,
            SIGNED_BY_NEXT_ROOT => Signer::NextRoot(Box::new(read_root(reader)?)),
            other => return Err(DecodeError::Unknown(other)),
        };
        let number = ManifestNumber { recovery_epoch: reader.u32()?, version: reader.u32()? };
        let previous = *reader.array()?;
        let count = usize::from(reader.u8()?);
        if !(1..=Self::MAX_DEVICES).contains(&count) {
            return Err(DecodeError::OutOfRange);
        }
        let devices =
            (0..count).map(|_| DeviceEntry::read(reader)).collect::<Result<Vec<_>, _>>()?;
        let manifest = Self { signer, root, next, number, previous, devices };
        if manifest.is_well_formed() { Ok(manifest) } else { Err(DecodeError::OutOfRange) }
    }
}

fn write_root(writer: &mut Writer, root: &RootPublicKeys) {
    writer.bytes(root.ed25519.as_bytes()).bytes(root.ml_dsa.as_bytes());
}

fn read_root(reader: &mut Reader<'_>) -> Result<RootPublicKeys, DecodeError> {
    Ok(RootPublicKeys {
        ed25519: VerifyingKey::parse(reader.array()?)?,
        ml_dsa: RootVerifyingKey::from_bytes(reader.array()?),
    })
}

const VERSION: u8 = 1;
const SUITE: u8 = 1;
const SIGNED_BY_ROOT: u8 = 0;
const SIGNED_BY_NEXT_ROOT: u8 = 1;
const SIGNATURES: usize = Signature::LENGTH + RootSignature::LENGTH;
const ROOT: usize = VerifyingKey::LENGTH + RootVerifyingKey::LENGTH;

/// A manifest whose two signatures hold, with the bytes that they cover.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedManifest {
    bytes: Vec<u8>,
    manifest: Manifest,
    account: AccountId,
    hash: [u8; 32],
}

impl fmt::Debug for SignedManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes: _, manifest, account: _, hash: _ } = self;
        f.debug_tuple("SignedManifest").field(manifest).finish()
    }
}

impl SignedManifest {
    /// Length of the longest signed manifest in bytes: sixteen devices, signed by the next root.
    pub const MAX_LENGTH: usize =
        3 + 2 * ROOT + 32 + 8 + 32 + 1 + Manifest::MAX_DEVICES * DeviceEntry::LENGTH + SIGNATURES;

    /// Makes and signs the first manifest of a new account.
    ///
    /// # Errors
    /// [`SignError`]; nothing was signed.
    pub fn create(
        keys: &RootKeys,
        next: NextRoot,
        devices: Vec<DeviceEntry>,
    ) -> Result<Self, SignError> {
        Manifest::first(keys.public(), next, devices).sign(keys)
    }

    /// The next version, with these devices; signed by [`Manifest::sign`]. `None` when the versions are used up.
    pub fn updated(&self, devices: Vec<DeviceEntry>) -> Option<Manifest> {
        let version = self.manifest.number.version.checked_add(1)?;
        let number = ManifestNumber { version, ..self.manifest.number };
        Some(Manifest { number, previous: self.hash, devices, ..self.manifest.clone() })
    }

    /// The first version of the next recovery epoch, with these devices; signed by [`Manifest::sign`]. `None` when the
    /// epochs are used up.
    pub fn recovered(&self, devices: Vec<DeviceEntry>) -> Option<Manifest> {
        let recovery_epoch = self.manifest.number.recovery_epoch.checked_add(1)?;
        let number = ManifestNumber { recovery_epoch, version: 0 };
        Some(Manifest { number, previous: self.hash, devices, ..self.manifest.clone() })
    }

    /// Reads a manifest and verifies both signatures, without asking whose it is: compare
    /// [`SignedManifest::account`], or use [`SignedManifest::verify_for`].
    ///
    /// # Errors
    /// [`ManifestError`]; nothing of it is to be believed.
    pub fn verify(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut reader = Reader::new(bytes);
        let manifest = Manifest::read(&mut reader)?;
        // SPEC §1.3 [signed-bytes-as-received].
        let (signed, signatures) = bytes
            .split_at_checked(bytes.len() - reader.remaining())
            .ok_or(DecodeError::Truncated)?;
        let mut reader = Reader::new(signatures);
        let ed25519 = Signature::from_bytes(*reader.array()?);
        let ml_dsa = RootSignature::from_bytes(reader.array()?);
        reader.finish()?;

        let signer = match &manifest.signer {
            Signer::Root => &manifest.root,
            Signer::NextRoot(next) => next,
        };
        // SPEC §2.4 [both-roots-sign].
        if signer.ed25519.verify(label::MANIFEST, &[signed], &ed25519).is_err()
            || signer.ml_dsa.verify(label::MANIFEST, &[signed], &ml_dsa).is_err()
        {
            return Err(ManifestError::Forged);
        }
        let account = manifest.root.account_id(&manifest.next);
        let hash = hash::sha256(label::MANIFEST_HASH, &[signed]);
        Ok(Self { bytes: bytes.to_vec(), manifest, account, hash })
    }

    /// Reads and verifies a manifest of `account`.
    ///
    /// # Errors
    /// [`ManifestError`], among them [`ManifestError::OtherAccount`]; nothing of it is to be believed.
    pub fn verify_for(bytes: &[u8], account: &AccountId) -> Result<Self, ManifestError> {
        let manifest = Self::verify(bytes)?;
        // SPEC §2.4 [manifest-of-the-account].
        if manifest.account != *account {
            return Err(ManifestError::OtherAccount);
        }
        Ok(manifest)
    }

    /// The bytes, to be stored and sent as they are.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The account whose manifest this is.
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// Its place in the order of the account's manifests.
    pub const fn number(&self) -> ManifestNumber {
        self.manifest.number
    }

    /// `LH(manifest hash; manifest)`, without the signatures: 32 bytes (SPEC §2.4).
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The first 16 bytes of the hash, which every session message carries so that a withheld update shows.
    pub fn short_hash(&self) -> [u8; 16] {
        let [short @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.hash;
        short
    }

    /// The hash of the manifest before this one; zeros if there was none at hand.
    pub const fn previous(&self) -> &[u8; 32] {
        &self.manifest.previous
    }

    /// Which root signed.
    pub const fn signer(&self) -> &Signer {
        &self.manifest.signer
    }

    /// The root that the account began with.
    pub const fn root(&self) -> &RootPublicKeys {
        &self.manifest.root
    }

    /// The commitment to the next root.
    pub const fn next_root(&self) -> &NextRoot {
        &self.manifest.next
    }

    /// The devices, in rising order of their numbers.
    pub fn devices(&self) -> &[DeviceEntry] {
        &self.manifest.devices
    }

    /// The device with this number.
    pub fn device(&self, id: DeviceId) -> Option<&DeviceEntry> {
        self.manifest.devices.iter().find(|device| device.id() == id)
    }
}

/// A manifest that must not be believed. What was known of the account stays known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The bytes are not a manifest.
    #[error("the manifest is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// One of the two root signatures does not verify.
    #[error("the manifest is not signed by both root keys")]
    Forged,
    /// It is a valid manifest of another account.
    #[error("the manifest is of another account")]
    OtherAccount,
}

/// A manifest that was not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignError {
    /// The keys are not those of the root that the manifest names: the words are of another account.
    #[error("the root keys are not those of this manifest")]
    OtherRoot,
    /// No device, more than sixteen, device numbers that do not rise, or a next root that was not committed to.
    #[error("the manifest's devices or next root break its rules")]
    Malformed,
    /// ML-DSA failed to sign.
    #[error("the root signature could not be made")]
    SigningFailed,
}

#[cfg(test)]
pub(crate) mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{
        identity::{DeviceKeys, Seed},
        secret::Secret,
    };

    pub(crate) fn seed(byte: u8) -> Seed {
        Seed::from_entropy(Secret::new([byte; 32]))
    }

    pub(crate) fn device(byte: u8, id: u32) -> DeviceEntry {
        let mut rng = ChaCha20Rng::from_seed([byte; 32]);
        DeviceKeys::generate(&mut rng).unwrap().entry(DeviceId(id))
    }

    pub(crate) fn root(byte: u8) -> (RootKeys, RootKeys) {
        let seed = seed(byte);
        (RootKeys::from_seed(&seed), RootKeys::from_seed(&seed.next()))
    }

    pub(crate) fn manifest(byte: u8) -> SignedManifest {
        let (root, next) = root(byte);
        SignedManifest::create(&root, next.public().commitment(), vec![device(byte, 1)]).unwrap()
    }

    // Tests [one-encoding].
    #[test]
    fn a_signed_manifest_verifies_and_reads_back() {
        let made = manifest(1);
        let read = SignedManifest::verify_for(made.as_bytes(), made.account()).unwrap();
        assert_eq!(read, made);
        assert_eq!(read.number(), ManifestNumber::FIRST);
        assert_eq!(read.devices(), [device(1, 1)]);
        assert_eq!(made.as_bytes().len(), 6685);
        assert_eq!(read.short_hash(), read.hash()[..16]);
    }

    // Tests [counters-never-wrap].
    #[test]
    fn t07_the_last_number_of_a_manifest_is_followed_by_none() {
        let (root, next) = root(1);
        let next = next.public().commitment();
        let mut last = Manifest::restored(root.public(), next, u32::MAX, vec![device(1, 1)]);
        last.number.version = u32::MAX - 1;
        let last = last.sign(&root).unwrap().updated(vec![device(1, 1)]).unwrap();
        assert_eq!(last.number.version, u32::MAX);
        let last = last.sign(&root).unwrap();
        assert_eq!(last.updated(vec![device(1, 1)]), None);
        assert_eq!(last.recovered(vec![device(1, 1)]), None);
    }

    // Tests [both-roots-sign] [signed-bytes-as-received].
    // Seen to fail with either of the two verifications removed.
    #[test]
    fn every_byte_is_covered_by_both_signatures() {
        let made = manifest(1);
        let signatures = made.as_bytes().len() - SIGNATURES;
        for position in (0..made.as_bytes().len()).step_by(61).chain(signatures..signatures + 70) {
            let mut bytes = made.as_bytes().to_vec();
            bytes[position] ^= 1;
            assert!(SignedManifest::verify_for(&bytes, made.account()).is_err(), "{position}");
        }
    }

    // Tests [both-roots-sign]. Seen to fail with the ML-DSA verification removed.
    #[test]
    fn a_root_broken_in_one_half_signs_nothing() {
        let made = manifest(1);
        let (root, _) = root(1);
        let other = super::tests::root(2).0;
        let signed = &made.as_bytes()[..made.as_bytes().len() - SIGNATURES];
        let (ed25519, ml_dsa) = root.sign(label::MANIFEST, signed).unwrap();
        let (other_ed25519, other_ml_dsa) = other.sign(label::MANIFEST, signed).unwrap();
        let with = |one: &Signature, two: &RootSignature| {
            SignedManifest::verify(&[signed, one.as_bytes(), two.as_bytes()].concat()).map(drop)
        };
        assert_eq!(with(&ed25519, &ml_dsa), Ok(()));
        assert_eq!(with(&other_ed25519, &ml_dsa), Err(ManifestError::Forged));
        assert_eq!(with(&ed25519, &other_ml_dsa), Err(ManifestError::Forged));
    }

    // Tests [manifest-of-the-account]. Seen to fail with the comparison removed.
    #[test]
    fn a_valid_manifest_of_another_account_is_refused() {
        assert_eq!(
            SignedManifest::verify_for(manifest(2).as_bytes(), manifest(1).account()),
            Err(ManifestError::OtherAccount)
        );
    }

    // Tests [no-trailing-bytes] [errors-change-nothing].
    #[test]
    fn any_other_length_is_refused() {
        let made = manifest(1);
        for length in (0..made.as_bytes().len()).step_by(37) {
            assert!(SignedManifest::verify(&made.as_bytes()[..length]).is_err());
        }
        let longer = [made.as_bytes(), &[0]].concat();
        assert_eq!(
            SignedManifest::verify(&longer),
            Err(ManifestError::Malformed(DecodeError::TrailingBytes))
        );
    }

    // Tests [manifest-devices]. Seen to fail with the order of devices not looked at.
    #[test]
    fn device_numbers_rise_and_are_sixteen_at_most() {
        let (keys, next) = root(1);
        let create = |devices| SignedManifest::create(&keys, next.public().commitment(), devices);
        let one = device(1, 1);
        assert_eq!(create(vec![]), Err(SignError::Malformed));
        assert_eq!(create(vec![one.clone(), one]), Err(SignError::Malformed));
        assert_eq!(create(vec![device(1, 2), device(2, 1)]), Err(SignError::Malformed));
        let many = |n| (0..n).map(|id| device(1, id)).collect::<Vec<_>>();
        assert_eq!(create(many(17)), Err(SignError::Malformed));
        let full = create(many(16)).unwrap();
        assert_eq!(SignedManifest::verify(full.as_bytes()).unwrap(), full);
        assert!(full.as_bytes().len() <= SignedManifest::MAX_LENGTH);
    }

    // Tests [next-root-revokes]. Seen to fail with any next root taken for the one committed to.
    #[test]
    fn only_the_root_that_was_committed_to_can_revoke() {
        let made = manifest(1);
        let (keys, next) = root(1);
        let revoked =
            made.recovered(vec![device(3, 2)]).unwrap().revoking_root(next.public()).sign(&next);
        let revoked = SignedManifest::verify_for(revoked.unwrap().as_bytes(), made.account());
        assert_eq!(revoked.unwrap().number().recovery_epoch, 1);
        let stranger = root(2).0;
        let forged = made.recovered(vec![device(3, 2)]).unwrap().revoking_root(stranger.public());
        assert_eq!(forged.sign(&stranger), Err(SignError::Malformed));
        assert_eq!(
            made.updated(vec![device(3, 2)]).unwrap().sign(&next),
            Err(SignError::OtherRoot)
        );
        assert!(made.updated(vec![device(3, 2)]).unwrap().sign(&keys).is_ok());
    }
}
