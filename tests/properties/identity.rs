//! Accounts, manifests and what is compared of them.

use std::{collections::BTreeSet, sync::OnceLock};

use chopmark_core::{
    codec::{Reader, Writer},
    identity::{
        AccountId, DeviceEntry, DeviceId, DeviceKeys, Manifest, ManifestNumber, ManifestRef,
        Purpose, RootKeys, SafetyNumber, Seed, SignedManifest, Stamp, Standing,
    },
    prekey::{OneTimePrekeySecret, PrekeyId, SignedPrekeySecret},
    secret::Secret,
    time::{DAY, Timestamp},
};
use chopmark_testkit::party::{self, DEVICE, Party};
use proptest::prelude::*;

use super::{cases, rng};

/// Manifests of one account: every way in which two can stand to each other.
fn manifests() -> &'static Vec<SignedManifest> {
    static MANIFESTS: OnceLock<Vec<SignedManifest>> = OnceLock::new();
    MANIFESTS.get_or_init(|| {
        let mut rng = rng(31);
        let seed = Seed::generate(&mut rng).unwrap();
        let (root, next) = (RootKeys::from_seed(&seed), RootKeys::from_seed(&seed.next()));
        let entries = |count: u32, rng: &mut _| -> Vec<DeviceEntry> {
            (1..=count).map(|id| DeviceKeys::generate(rng).unwrap().entry(DeviceId(id))).collect()
        };
        let commitment = next.public().commitment();
        let mut made = Vec::new();
        for epoch in [0, 0, 1, 7] {
            let first = Manifest::restored(root.public(), commitment, epoch, entries(1, &mut rng));
            let first = first.sign(&root).unwrap();
            let second = first.updated(entries(2, &mut rng)).unwrap();
            made.push(second.sign(&root).unwrap());
            let revoking =
                Manifest::restored(root.public(), commitment, epoch, entries(1, &mut rng));
            made.push(revoking.revoking_root(next.public()).sign(&next).unwrap());
            made.push(first);
        }
        made
    })
}

fn party() -> &'static Party {
    static PARTY: OnceLock<Party> = OnceLock::new();
    PARTY.get_or_init(|| Party::new(&mut rng(32)))
}

proptest! {
    #![proptest_config(cases(64))]

    // Tests [manifest-order], [next-root-revokes], [equivocation-freezes].
    #[test]
    fn the_order_of_manifests_is_total_and_has_one_direction(a in 0_usize..12, b in 0_usize..12, c in 0_usize..12) {
        let of = |n: usize| &manifests()[n];
        let stands = |new: usize, known: usize| Standing::of(of(new), &ManifestRef::from(of(known))).unwrap();
        let newer = |new, known| matches!(stands(new, known), Standing::Newer { .. });
        match stands(a, b) {
            Standing::Newer { .. } => prop_assert_eq!(stands(b, a), Standing::Older),
            Standing::Older => prop_assert!(newer(b, a)),
            same => {
                prop_assert_eq!(stands(b, a), same);
                prop_assert_eq!(a == b, same == Standing::Same);
            }
        }
        if newer(a, b) && newer(b, c) {
            prop_assert!(newer(a, c), "newer than newer is not newer");
        }
    }

    #[test]
    fn what_is_kept_of_a_manifest_has_one_form(account: [u8; 32], root_revoked: bool, recovery_epoch: u32, version: u32, hash: [u8; 32], extra: u8) {
        let number = ManifestNumber { recovery_epoch, version };
        let account = AccountId::from_bytes(account);
        let known = ManifestRef { account, root_revoked, number, hash };
        let mut bytes = known.to_bytes();
        prop_assert_eq!(ManifestRef::from_bytes(&bytes), Ok(known));
        bytes.push(extra);
        prop_assert!(ManifestRef::from_bytes(&bytes).is_err());
        bytes.truncate(usize::from(extra) % 73);
        prop_assert!(ManifestRef::from_bytes(&bytes).is_err());
    }

    // Tests [seed-children-are-apart].
    #[test]
    fn children_of_seeds_are_apart(one: [u8; 32], other: [u8; 32], epochs: [u32; 2]) {
        prop_assume!(one != other && epochs[0] != epochs[1]);
        let mut children = BTreeSet::new();
        for seed in [one, other].map(|bytes| Seed::from_entropy(Secret::new(bytes))) {
            for seed in [seed.next(), seed] {
                for purpose in [
                    Purpose::Wallet { epoch: epochs[0] },
                    Purpose::Wallet { epoch: epochs[1] },
                    Purpose::PayeeLock,
                    Purpose::Refund,
                    Purpose::Quote,
                    Purpose::VaultMailbox,
                    Purpose::Backup,
                ] {
                    prop_assert!(children.insert(*seed.derive(purpose).expose()));
                }
            }
        }
    }

    #[test]
    fn words_are_read_in_any_case_and_spacing(entropy: [u8; 32], loud: [bool; 24], space in prop::sample::select(vec![" ", "  ", "\n", "\t "])) {
        let seed = Seed::from_entropy(Secret::new(entropy));
        let words = seed.words();
        let written: Vec<String> = words
            .split(' ')
            .zip(loud)
            .map(|(word, loud)| if loud { word.to_uppercase() } else { word.to_owned() })
            .collect();
        prop_assert_eq!(written.len(), 24);
        let read = Seed::from_words(&written.join(space)).unwrap();
        prop_assert!(*read.words() == *words);
        prop_assert!(read.derive(Purpose::Backup) == seed.derive(Purpose::Backup));
        prop_assert!(Seed::from_words(&written[..23].join(space)).is_err());
    }

    #[test]
    fn device_keys_and_entries_have_one_form(seed: u64, id: u32, at: prop::sample::Index, bit in 0..8) {
        let keys = DeviceKeys::generate(&mut rng(seed)).unwrap();
        let stored = keys.export();
        prop_assert!(*DeviceKeys::import(&stored).unwrap().export() == *stored);
        prop_assert!(DeviceKeys::import(&stored[1..]).is_err());
        let mut writer = Writer::new();
        let entry = keys.entry(DeviceId(id));
        entry.write(&mut writer);
        let mut bytes = writer.finish();
        prop_assert!(DeviceEntry::read(&mut Reader::new(&bytes)).unwrap().hash() == entry.hash());
        bytes[at.index(DeviceEntry::LENGTH)] ^= 1_u8 << bit;
        if let Ok(other) = DeviceEntry::read(&mut Reader::new(&bytes)) {
            let mut again = Writer::new();
            other.write(&mut again);
            prop_assert!(again.finish() == bytes && other.hash() != entry.hash());
        }
    }

    #[test]
    fn stored_prekeys_have_one_form(seed: u64, id: u32, at: prop::sample::Index, byte: u8) {
        let mut rng = rng(seed);
        let signed = SignedPrekeySecret::generate(PrekeyId(id), party::NOW, &mut rng).unwrap().export();
        let one_time = OneTimePrekeySecret::generate(PrekeyId(id), &mut rng).unwrap().export();
        prop_assert!(*SignedPrekeySecret::import(&signed).unwrap().export() == *signed);
        prop_assert!(*OneTimePrekeySecret::import(&one_time).unwrap().export() == *one_time);
        prop_assert!(SignedPrekeySecret::import(&one_time).is_err());
        let mut damaged = signed.to_vec();
        damaged[at.index(signed.len())] = byte;
        if let Ok(read) = SignedPrekeySecret::import(&damaged) {
            prop_assert!(*read.export() == damaged);
        }
    }

    // Tests [stale-stamp-warns].
    #[test]
    fn a_stamp_is_fresh_for_a_week_and_a_day_of_skew(minutes in -30_000_i64..30_000) {
        let Party { manifest, keys, .. } = party();
        let stamp = Stamp::create(keys.signing(), DEVICE, manifest, party::NOW).unwrap();
        let read = Stamp::verify(&stamp.to_bytes(), manifest).unwrap();
        let now = Timestamp(party::NOW.0.saturating_add_signed(minutes * 60_000));
        let day = i64::try_from(DAY.as_secs() / 60).unwrap();
        prop_assert_eq!(read.is_fresh(now), (-day..=7 * day).contains(&minutes));
        prop_assert_eq!(read.to_bytes(), stamp.to_bytes());
    }

    // Tests [stamp-of-the-manifest].
    #[test]
    fn an_altered_stamp_is_refused(at: prop::sample::Index, bit in 0..8) {
        let Party { manifest, keys, .. } = party();
        let mut bytes = Stamp::create(keys.signing(), DEVICE, manifest, party::NOW).unwrap().to_bytes();
        bytes[at.index(Stamp::LENGTH)] ^= 1_u8 << bit;
        prop_assert!(Stamp::verify(&bytes, manifest).is_err());
    }
}

proptest! {
    #![proptest_config(cases(16))]

    // Tests [safety-number-is-symmetric].
    #[test]
    fn both_see_one_safety_number_and_nobody_else_does(ids: [[u8; 32]; 3]) {
        prop_assume!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        let [one, other, third] = ids.map(AccountId::from_bytes);
        let (here, there) = (SafetyNumber::of(&one, &other), SafetyNumber::of(&other, &one));
        prop_assert_eq!(here.digits(), there.digits());
        prop_assert!(here.matches_qr(&there.qr_bytes()));
        let digits = here.digits();
        prop_assert_eq!(digits.chars().filter(char::is_ascii_digit).count(), 60);
        let foreign = SafetyNumber::of(&one, &third);
        prop_assert!(foreign.digits() != digits && !here.matches_qr(&foreign.qr_bytes()));
    }

    // Tests [both-roots-sign], [signed-bytes-as-received].
    #[test]
    fn an_altered_manifest_is_refused(which in 0_usize..12, at: prop::sample::Index, bit in 0..8) {
        let manifest = &manifests()[which];
        let mut bytes = manifest.as_bytes().to_vec();
        let read = SignedManifest::verify(&bytes).unwrap();
        prop_assert_eq!((read.hash(), read.as_bytes()), (manifest.hash(), &bytes[..]));
        bytes[at.index(manifest.as_bytes().len())] ^= 1_u8 << bit;
        prop_assert!(SignedManifest::verify(&bytes).is_err());
    }
}
