//! Seeds, accounts, entries, stamps and safety numbers. SPEC §2.

use chopmark_core::{
    codec::Reader,
    identity::{
        AccountId, DeviceEntry, DeviceId, DeviceKeys, Purpose, RootKeys, SafetyNumber, Seed,
        SignedManifest, Stamp, StampError,
    },
    label,
    secret::Secret,
    signature::SigningKey,
    time::Timestamp,
};

use super::{
    Outcome, Outputs, Vector, altered,
    device::{device_secrets, encoded},
    drawn,
    manifest::{self, first_manifest},
};

/// Noon of some day, and a day.
const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 86_400_000;

pub(super) fn cases() -> Vec<Vector> {
    let mut cases = seed_cases();
    cases.extend(entry_cases());
    cases.extend(manifest::cases());
    cases.extend(stamp_cases());
    for (name, one, other) in [("one", "A", "B"), ("swapped", "B", "A"), ("self", "A", "A")] {
        let comment = "A safety number is the same from both sides.";
        let case = Vector::new(format!("safety-number-{name}"), comment, "ok");
        let case = case.with("operation", "safety number");
        let account = |name: &str| drawn::<32>(&format!("account {name}"));
        cases.push(
            case.with_bytes("account id 1", &account(one))
                .with_bytes("account id 2", &account(other)),
        );
    }
    cases
}

fn seed_cases() -> Vec<Vector> {
    let new = |name: &str, comment: &str, expect: &str, operation: &str| {
        Vector::new(name, comment, expect).with("operation", operation)
    };
    let drawn_seed: [u8; 32] = drawn("seed A");
    let words = Seed::from_entropy(Secret::new(drawn_seed)).words().to_string();
    let loud = words.to_uppercase().replacen(' ', "\t  ", 1);
    let list: Vec<&str> = words.split(' ').collect();
    let mut swapped = list.clone();
    swapped.swap(0, 1);
    let mut unknown = list.clone();
    unknown[11] = "chopmark";
    let read = |name: &str, comment: &str, expect: &str, words: &str| {
        new(name, comment, expect, "read words").with("words", words)
    };
    let twelve = "abandon ".repeat(11) + "about";
    let mut cases = vec![
        new("words", "A drawn seed.", "ok", "words").with_bytes("seed", &drawn_seed),
        new("words-of-zeros", "A seed of zeros.", "ok", "words").with_bytes("seed", &[0; 32]),
        new("words-of-ones", "A seed of ones.", "ok", "words").with_bytes("seed", &[0xff; 32]),
        read("read-words", "The words as they are shown.", "ok", &words),
        read("read-words-loud", "Upper case, and white space of two kinds.", "ok", &loud),
        read("read-words-swapped", "Two words are swapped.", "malformed", &swapped.join(" ")),
        read("read-words-unknown", "A word is not in the list.", "malformed", &unknown.join(" ")),
        read("read-words-23", "A word is missing.", "malformed", &list[..23].join(" ")),
        read("read-words-12", "Twelve words are a phrase, and not ours.", "malformed", &twelve),
    ];
    for epoch in [0, 1, 0x0102_0304] {
        let name = format!("children-wallet-{epoch}");
        let case = new(&name, "The children of a seed; a wallet epoch.", "ok", "children");
        cases.push(case.with_bytes("seed", &drawn_seed).with("wallet epoch", epoch));
    }
    let account = |name: &str, comment: &str| new(name, comment, "ok", "account");
    let with_card = account("account-with-card", "The next root is that of a recovery card.");
    cases.extend([
        account("account-without-card", "The next root is that of the seed's own child.")
            .with_bytes("seed", &drawn_seed)
            .with_bytes("next seed", next_seed(&drawn_seed).expose()),
        with_card
            .with_bytes("seed", &drawn_seed)
            .with_bytes("next seed", &drawn::<32>("seed card")),
    ]);
    cases
}

fn next_seed(seed: &[u8; 32]) -> Secret {
    Seed::from_entropy(Secret::new(*seed)).derive(Purpose::NextRoot)
}

fn entry_cases() -> Vec<Vector> {
    let keys = DeviceKeys::import(&device_secrets("A")).expect("129 bytes");
    let good = encoded(&keys.entry(DeviceId(1)));
    let entry = |name: &str, id: u32| {
        let comment = "An entry from what the device stores.";
        let case = Vector::new(name, comment, "ok").with("operation", "entry");
        case.with("device id", id).with_bytes("device secrets", &device_secrets("A"))
    };
    let read = |name: &str, comment: &str, expect: &str, entry: &[u8]| {
        let case = Vector::new(format!("read-entry-{name}"), comment, expect);
        case.with("operation", "read entry").with_bytes("entry", entry)
    };
    let put = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let one = &[&[1][..], &[0; 31]].concat();
    vec![
        entry("entry", 1),
        entry("entry-high-id", 0xfffe_fdfc),
        read("good", "It is read.", "ok", &good),
        read("ed25519-identity", "The Ed25519 key is the identity.", "malformed", &put(4, one)),
        read("x25519-zero", "The X25519 key is 0.", "malformed", &put(36, &[0; 32])),
        read("ml-kem-modulus", "A coefficient is 4095.", "malformed", &put(68, &[0xff, 0xff])),
        read("cut", "A byte is missing.", "malformed", &good[..1251]),
        read("left-over", "A byte is left over.", "malformed", &[&good[..], &[0]].concat()),
    ]
}

fn stamp_cases() -> Vec<Vector> {
    let manifest = first_manifest("A");
    let keys = DeviceKeys::import(&device_secrets("A")).expect("129 bytes");
    let stamp = Stamp::create(keys.signing(), DeviceId(1), &manifest, Timestamp(NOW));
    let stamp = stamp.expect("a device of it").to_bytes();
    let seed = keys.signing().to_secret();
    let case = |name: &str, comment: &str, expect: &str, stamp: &[u8], now: u64| {
        let case = Vector::new(format!("stamp-{name}"), comment, expect);
        case.with("operation", "verify stamp")
            .with_bytes("stamp", stamp)
            .with_bytes("signed manifest", manifest.as_bytes())
            .with("now", now)
    };
    let signed_anew = |at: usize, byte: u8, label: &str| {
        let mut signed = stamp[..77].to_vec();
        signed[at] = byte;
        let signature = SigningKey::from_secret(&seed).sign(label, &[&signed]);
        [&signed, signature.as_bytes().as_slice()].concat()
    };
    let again = label::STAMP;
    vec![
        Vector::new("stamp", "A device stamps for seven days.", "ok")
            .with("operation", "stamp")
            .with_bytes("signed manifest", manifest.as_bytes())
            .with("device id", 1)
            .with_bytes("Ed25519 seed", seed.expose())
            .with("now", NOW),
        case("fresh", "Fresh.", "ok", &stamp, NOW),
        case("fresh-at-its-end", "Fresh still.", "ok", &stamp, NOW + 7 * DAY),
        case("stale", "A millisecond past its end.", "ok", &stamp, NOW + 7 * DAY + 1),
        case("skewed", "A clock that is a day behind.", "ok", &stamp, NOW - DAY),
        case("too-far", "An end further away than a day of skew.", "ok", &stamp, NOW - DAY - 1),
        case("altered", "Another end, not signed.", "forged", &altered(&stamp, 76), NOW),
        case("signature-altered", "A bit of R.", "forged", &altered(&stamp, 77), NOW),
        case(
            "other-label",
            "Signed as a prekey.",
            "forged",
            &signed_anew(0, 1, label::PREKEY),
            NOW,
        ),
        case(
            "other-account",
            "Of another account.",
            "other manifest",
            &signed_anew(1, stamp[1] ^ 1, again),
            NOW,
        ),
        case(
            "other-manifest",
            "Of another manifest.",
            "other manifest",
            &signed_anew(33, stamp[33] ^ 1, again),
            NOW,
        ),
        case("unknown-device", "By device 2.", "unknown device", &signed_anew(68, 2, again), NOW),
        case("version-2", "Of version 2.", "malformed", &signed_anew(0, 2, again), NOW),
        case("cut", "A byte is missing.", "malformed", &stamp[..140], NOW),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let outputs = Outputs::new();
    let seed = || Seed::from_entropy(Secret::new(vector.array("seed")));
    Ok(match vector.operation() {
        "words" => outputs.with("words", seed().words().as_str()),
        "read words" => {
            let seed = Seed::from_words(vector.text("words")).map_err(|_| "malformed")?;
            let backup = seed.derive(Purpose::Backup);
            outputs
                .with("words as shown", seed.words().as_str())
                .with_bytes("backup key", backup.expose())
        }
        "children" => children(&seed(), vector.number("wallet epoch")),
        "account" => {
            let root = RootKeys::from_seed(&seed()).public();
            let next = Seed::from_entropy(Secret::new(vector.array("next seed")));
            let next = RootKeys::from_seed(&next).public();
            outputs
                .with_bytes("root Ed25519", root.ed25519.as_bytes())
                .with_bytes("root ML-DSA-65", root.ml_dsa.as_bytes())
                .with_bytes("next root Ed25519", next.ed25519.as_bytes())
                .with_bytes("next root ML-DSA-65", next.ml_dsa.as_bytes())
                .with_bytes("next", next.commitment().as_bytes())
                .with_bytes("account id", root.account_id(&next.commitment()).as_bytes())
        }
        "entry" => {
            let keys = DeviceKeys::import(&vector.bytes("device secrets"));
            let entry = keys.map_err(|_| "malformed")?.entry(DeviceId(vector.number("device id")));
            outputs.with_bytes("entry", &encoded(&entry)).with_bytes("hash", &entry.hash())
        }
        "read entry" => {
            let bytes = vector.bytes("entry");
            let mut reader = Reader::new(&bytes);
            let entry = DeviceEntry::read(&mut reader).map_err(|_| "malformed")?;
            reader.finish().map_err(|_| "malformed")?;
            outputs.with("device id", entry.id().0).with_bytes("hash", &entry.hash())
        }
        "safety number" => {
            let account = |key| AccountId::from_bytes(vector.array(key));
            let number = SafetyNumber::of(&account("account id 1"), &account("account id 2"));
            outputs.with("digits", number.digits()).with_bytes("QR code", &number.qr_bytes())
        }
        "stamp" => {
            let key = SigningKey::from_secret(&Secret::new(vector.array("Ed25519 seed")));
            let (device, now) = (DeviceId(vector.number("device id")), vector.number("now"));
            let stamp = Stamp::create(&key, device, &given(vector), Timestamp(now));
            outputs.with_bytes("stamp", &stamp.map_err(|_| "unknown device")?.to_bytes())
        }
        "verify stamp" => {
            let stamp = Stamp::verify(&vector.bytes("stamp"), &given(vector));
            let stamp = stamp.map_err(stamp_refused)?;
            let fresh = stamp.is_fresh(Timestamp(vector.number("now")));
            outputs.with("fresh", if fresh { "yes" } else { "no" })
        }
        _ => return manifest::evaluate(vector),
    })
}

pub(super) fn stamp_refused(error: StampError) -> &'static str {
    match error {
        StampError::OtherManifest => "other manifest",
        StampError::UnknownDevice => "unknown device",
        StampError::Forged => "forged",
        _ => "malformed",
    }
}

fn given(vector: &Vector) -> SignedManifest {
    SignedManifest::verify(&vector.bytes("signed manifest")).expect("a good manifest")
}

fn children(seed: &Seed, epoch: u32) -> Outputs {
    [
        ("root Ed25519 seed", Purpose::RootEd25519),
        ("root ML-DSA-65 seed", Purpose::RootMlDsa),
        ("seed of the next root", Purpose::NextRoot),
        ("wallet secret WS", Purpose::Wallet { epoch }),
        ("parent of payee lock keys", Purpose::PayeeLock),
        ("parent of refund keys", Purpose::Refund),
        ("parent of quote keys", Purpose::Quote),
        ("owner key of the vault mailbox", Purpose::VaultMailbox),
        ("backup key", Purpose::Backup),
    ]
    .into_iter()
    .fold(Outputs::new(), |outputs, (name, purpose)| {
        outputs.with_bytes(name, seed.derive(purpose).expose())
    })
}
