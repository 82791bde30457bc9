//! What a manifest just verified means beside the one already known (SPEC §2.4).

use core::fmt;

use thiserror::Error;

use super::{AccountId, DeviceEntry, DeviceId, ManifestNumber, SignedManifest, Signer};
use crate::codec::{DecodeError, Reader};

/// What is kept of the manifest that an account was last known by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ManifestRef {
    /// The account.
    pub account: AccountId,
    /// Whether the next root signed it.
    pub root_revoked: bool,
    /// Its number.
    pub number: ManifestNumber,
    /// Its hash.
    pub hash: [u8; 32],
}

impl fmt::Debug for ManifestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account: _, root_revoked, number, hash: _ } = self;
        let mut shown = f.debug_struct("ManifestRef");
        shown.field("root_revoked", root_revoked).field("number", number).finish_non_exhaustive()
    }
}

impl From<&SignedManifest> for ManifestRef {
    fn from(manifest: &SignedManifest) -> Self {
        Self {
            account: *manifest.account(),
            root_revoked: matches!(manifest.signer(), Signer::NextRoot(_)),
            number: manifest.number(),
            hash: *manifest.hash(),
        }
    }
}

/// A manifest beside the one already known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It follows: keep it instead.
    Newer {
        /// Manifests between the two are missing: tell the user.
        gap: bool,
        /// The account was restored or its root revoked: a verified contact must be acknowledged again.
        recovered: bool,
    },
    /// It is the one already known.
    Same,
    /// It came before: drop it.
    Older,
    /// The root signed two manifests with one number. Keep neither view as the truth: stop sending to the account and
    /// tell the user; a manifest of a higher recovery epoch lifts it.
    Equivocation,
}

/// The two manifests are of different accounts; the caller mixed them up. Nothing was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the manifests are of different accounts")]
pub struct OtherAccount;

impl Standing {
    /// Where `new` stands beside `known`.
    ///
    /// # Errors
    /// [`OtherAccount`].
    pub fn of(new: &SignedManifest, known: &ManifestRef) -> Result<Self, OtherAccount> {
        if *new.account() != known.account {
            return Err(OtherAccount);
        }
        let theirs = ManifestRef::from(new);
        if theirs.hash == known.hash {
            return Ok(Self::Same);
        }
        // SPEC §2.4 [next-root-revokes]: who holds only the first root cannot outbid the next.
        let rank = |one: &ManifestRef| (one.root_revoked, one.number);
        Ok(match rank(&theirs).cmp(&rank(known)) {
            // SPEC §2.4 [equivocation-freezes].
            core::cmp::Ordering::Equal => Self::Equivocation,
            core::cmp::Ordering::Less => Self::Older,
            core::cmp::Ordering::Greater => Self::Newer {
                gap: *new.previous() != known.hash,
                recovered: theirs.root_revoked != known.root_revoked
                    || theirs.number.recovery_epoch != known.number.recovery_epoch,
            },
        })
    }
}

impl ManifestRef {
    /// Whether a message that carries this number and short hash speaks of the manifest known here. A higher number, or
    /// the same number with another hash, means that an update was withheld.
    pub fn is_named_by(&self, number: ManifestNumber, short_hash: &[u8; 16]) -> bool {
        number == self.number && self.hash.starts_with(short_hash)
    }

    /// `account 32 | root revoked 1 | recovery epoch 4 | version 4 | hash 32`: 73 bytes, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = crate::codec::Writer::with_capacity(73);
        writer.bytes(self.account.as_bytes()).flag(self.root_revoked);
        writer.u32(self.number.recovery_epoch).u32(self.number.version).bytes(&self.hash);
        writer.finish()
    }

    /// Reads what [`ManifestRef::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let known = Self {
            account: AccountId::from_bytes(*reader.array()?),
            root_revoked: reader.flag()?,
            number: ManifestNumber { recovery_epoch: reader.u32()?, version: reader.u32()? },
            hash: *reader.array()?,
        };
        reader.finish()?;
        Ok(known)
    }
}

/// Which devices differ between two manifests of an account. A number that came with other keys is in both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChanges {
    /// Devices that the newer has and the older has not.
    pub added: Vec<DeviceId>,
    /// Devices that the older has and the newer has not.
    pub removed: Vec<DeviceId>,
}

impl DeviceChanges {
    /// From `older` to `newer`.
    pub fn between(older: &SignedManifest, newer: &SignedManifest) -> Self {
        let missing = |from: &SignedManifest, devices: &[DeviceEntry]| {
            devices
                .iter()
                .filter(|device| from.device(device.id()) != Some(device))
                .map(DeviceEntry::id)
                .collect()
        };
        Self { added: missing(older, newer.devices()), removed: missing(newer, older.devices()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::manifest::tests::{device, manifest, root};

    fn standing(new: &SignedManifest, known: &SignedManifest) -> Standing {
        Standing::of(new, &known.into()).unwrap()
    }

    // Tests [manifest-order]. Seen to fail with the numbers compared by version only.
    #[test]
    fn a_higher_number_is_newer_and_a_missing_link_shows() {
        let (keys, _) = root(1);
        let first = manifest(1);
        let second = first.updated(vec![device(2, 2)]).unwrap().sign(&keys).unwrap();
        let third = second.updated(vec![device(3, 3)]).unwrap().sign(&keys).unwrap();
        let restored = first.recovered(vec![device(4, 4)]).unwrap().sign(&keys).unwrap();
        assert_eq!(standing(&first, &first), Standing::Same);
        assert_eq!(standing(&second, &first), Standing::Newer { gap: false, recovered: false });
        assert_eq!(standing(&third, &first), Standing::Newer { gap: true, recovered: false });
        assert_eq!(standing(&first, &second), Standing::Older);
        assert_eq!(standing(&restored, &first), Standing::Newer { gap: false, recovered: true });
        assert_eq!(standing(&restored, &third), Standing::Newer { gap: true, recovered: true });
        assert_eq!(standing(&third, &restored), Standing::Older);
        assert_eq!(Standing::of(&manifest(2), &(&first).into()), Err(OtherAccount));
    }

    // Tests [equivocation-freezes]. Seen to fail with equal numbers taken for older.
    #[test]
    fn two_manifests_with_one_number_are_equivocation() {
        let (keys, _) = root(1);
        let first = manifest(1);
        let one = first.updated(vec![device(2, 2)]).unwrap().sign(&keys).unwrap();
        let other = first.updated(vec![device(3, 2)]).unwrap().sign(&keys).unwrap();
        assert_eq!(standing(&other, &one), Standing::Equivocation);
        let lifted = one.recovered(vec![device(2, 2)]).unwrap().sign(&keys).unwrap();
        assert!(matches!(standing(&lifted, &other), Standing::Newer { .. }));
    }

    // Tests [next-root-revokes]. Seen to fail with `root_revoked` left out of the rank.
    #[test]
    fn a_stolen_seed_cannot_outbid_the_recovery_card() {
        let (keys, next) = root(1);
        let first = manifest(1);
        let card = first.recovered(vec![device(2, 2)]).unwrap().revoking_root(next.public());
        let card = card.sign(&next).unwrap();
        let commitment = *first.next_root();
        let thief = crate::identity::Manifest::restored(
            keys.public(),
            commitment,
            u32::MAX,
            vec![device(3, 3)],
        );
        let thief = thief.sign(&keys).unwrap();
        assert_eq!(standing(&thief, &card), Standing::Older);
        assert_eq!(standing(&card, &thief), Standing::Newer { gap: true, recovered: true });
    }

    #[test]
    fn changed_devices_are_named() {
        let (keys, _) = root(1);
        let first = manifest(1);
        let second = first.updated(vec![device(1, 1), device(2, 2)]).unwrap().sign(&keys).unwrap();
        let third = second.updated(vec![device(9, 1)]).unwrap().sign(&keys).unwrap();
        let changes = DeviceChanges::between(&first, &second);
        assert_eq!((changes.added, changes.removed), (vec![DeviceId(2)], vec![]));
        let changes = DeviceChanges::between(&second, &third);
        assert_eq!(changes.added, [DeviceId(1)]);
        assert_eq!(changes.removed, [DeviceId(1), DeviceId(2)]);
    }

    #[test]
    fn a_reference_survives_storage_and_knows_its_name() {
        let first = manifest(1);
        let known = ManifestRef::from(&first);
        assert_eq!(ManifestRef::from_bytes(&known.to_bytes()), Ok(known));
        assert!(ManifestRef::from_bytes(&known.to_bytes()[1..]).is_err());
        assert!(known.is_named_by(first.number(), &first.short_hash()));
        assert!(!known.is_named_by(first.number(), &[0; 16]));
    }
}
