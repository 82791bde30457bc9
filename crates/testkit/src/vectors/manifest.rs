//! Manifests: made, verified, and beside the one already known. SPEC §2.4.

use chopmark_core::{
    codec::Reader,
    identity::{
        AccountId, DeviceEntry, DeviceId, DeviceKeys, Manifest, ManifestError, ManifestNumber,
        ManifestRef, Purpose, RootKeys, Seed, SignedManifest, Signer, Standing,
    },
    label,
    secret::Secret,
    signature::{SigningKey, root::RootSigningKey},
};

use super::{
    Outcome, Outputs, Vector, altered,
    device::{device_secrets, encoded},
    drawn,
};

/// Bytes of the two signatures.
const SIGNATURES: usize = 64 + 3309;

/// A time in seconds: the recovery epoch of who has nothing but the words, and the id of its one device.
const RESTORED: u32 = 1_800_000_000;

/// Where a manifest of signer 0 has its devices.
const COUNT: usize = 3 + 32 + 1952 + 32 + 8 + 32;

fn seed(name: &str) -> [u8; 32] {
    drawn(&format!("seed {name}"))
}

fn root(seed: [u8; 32]) -> RootKeys {
    RootKeys::from_seed(&Seed::from_entropy(Secret::new(seed)))
}

/// The entry of this device.
pub(super) fn entry(name: &str, id: u32) -> DeviceEntry {
    DeviceKeys::import(&device_secrets(name)).expect("129 bytes").entry(DeviceId(id))
}

/// The manifest with which an account begins: one device, a recovery card.
pub(super) fn first_manifest(name: &str) -> SignedManifest {
    let next = root(seed(&format!("{name} card"))).public().commitment();
    let made = SignedManifest::create(&root(seed(name)), next, vec![entry(name, 1)]);
    made.expect("one device")
}

/// The next manifests of that account.
fn updated(before: &SignedManifest, devices: Vec<DeviceEntry>) -> SignedManifest {
    before.updated(devices).expect("a version").sign(&root(seed("A"))).expect("it signs")
}

fn recovered(before: &SignedManifest) -> SignedManifest {
    let manifest = before.recovered(vec![entry("A2", 2)]).expect("an epoch");
    manifest.sign(&root(seed("A"))).expect("it signs")
}

fn revoked(before: &SignedManifest) -> SignedManifest {
    let card = root(seed("A card"));
    let manifest = before.recovered(vec![entry("A2", 2)]).expect("an epoch");
    manifest.revoking_root(card.public()).sign(&card).expect("it signs")
}

fn with_entries(case: Vector, entries: &[DeviceEntry]) -> Vector {
    entries.iter().zip(1..).fold(case, |case, (entry, number)| {
        case.with_bytes(&format!("entry {number}"), &encoded(entry))
    })
}

pub(super) fn cases() -> Vec<Vector> {
    let first = first_manifest("A");
    let sign = |name: &str, comment: &str, operation: &str, signer: &str| {
        let case = Vector::new(format!("manifest-{name}"), comment, "ok");
        case.with("operation", operation).with_bytes("seed of the signer", &seed(signer))
    };
    let one = [entry("A", 1)];
    let two = [entry("A", 1), entry("A2", 2)];
    let all: Vec<DeviceEntry> = (1..=16).map(|id| entry("A", id * 3)).collect();
    let next = |case: Vector, before: &SignedManifest, entries: &[DeviceEntry]| {
        with_entries(case.with_bytes("signed manifest before", before.as_bytes()), entries)
    };
    let begin = |case: Vector, entries: &[DeviceEntry]| {
        with_entries(case.with_bytes("next seed", &seed("A card")), entries)
    };
    let restore = sign(
        "restore",
        "Nothing but the words: one device, whose id is the recovery epoch; zeros as previous hash.",
        "restore",
        "A",
    );
    let mut cases = vec![
        begin(sign("create", "The first manifest of an account.", "create", "A"), &one),
        begin(restore.with("recovery epoch", RESTORED), &[entry("A2", RESTORED)]),
        next(sign("update", "A second device is linked.", "update", "A"), &first, &two),
        next(sign("recover", "The next recovery epoch.", "recover", "A"), &first, &one),
        next(sign("revoke", "The next root signs.", "revoke", "A card"), &first, &two),
        next(
            sign("update-after-revoking", "So does it with every later one.", "update", "A card"),
            &revoked(&first),
            &one,
        ),
        next(sign("longest", "Sixteen devices, the next root.", "revoke", "A card"), &first, &all),
    ];
    cases.extend(verify_cases(&first));
    cases.extend(standing_cases(&first));
    cases
}

/// `bytes` signed by the root of `name`, whatever they are.
fn signed(name: &str, label: &str, bytes: &[u8]) -> Vec<u8> {
    let seed = Seed::from_entropy(Secret::new(seed(name)));
    let ed25519 = SigningKey::from_secret(&seed.derive(Purpose::RootEd25519));
    let ml_dsa = RootSigningKey::from_secret(seed.derive(Purpose::RootMlDsa));
    let ml_dsa = ml_dsa.sign(label, &[bytes]).expect("it signs");
    [bytes, ed25519.sign(label, &[bytes]).as_bytes(), ml_dsa.as_bytes()].concat()
}

fn verify_cases(first: &SignedManifest) -> Vec<Vector> {
    let case = |name: &str, comment: &str, expect: &str, bytes: &[u8]| {
        let case = Vector::new(format!("verify-{name}"), comment, expect);
        case.with("operation", "verify manifest")
            .with_bytes("signed manifest", bytes)
            .with_bytes("account id", first.account().as_bytes())
    };
    let good = first.as_bytes();
    let body = &good[..good.len() - SIGNATURES];
    let anew = |at: usize, bytes: &[u8]| {
        let mut changed = body.to_vec();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        signed("A", label::MANIFEST, &changed)
    };
    let devices = |entries: &[DeviceEntry]| {
        let mut changed = body[..COUNT].to_vec();
        changed.push(u8::try_from(entries.len()).expect("few"));
        entries.iter().for_each(|entry| changed.extend(encoded(entry)));
        signed("A", label::MANIFEST, &changed)
    };
    let many: Vec<DeviceEntry> = (1..=17).map(|id| entry("A", id)).collect();
    let revoking = revoked(first);
    let revoking_body = &revoking.as_bytes()[..revoking.as_bytes().len() - SIGNATURES];
    let mut uncommitted = revoking_body.to_vec();
    let other = root(seed("B")).public();
    let keys = [other.ed25519.as_bytes().as_slice(), other.ml_dsa.as_bytes()].concat();
    uncommitted[2019..2019 + keys.len()].copy_from_slice(&keys);
    let end = good.len();
    let second = updated(first, vec![entry("A", 1), entry("A2", 2)]);
    let weak_key = [&[1][..], &[0; 31]].concat();
    let malformed = "malformed";
    vec![
        case("good", "It is verified.", "ok", good),
        case("good-second", "So is a later one.", "ok", second.as_bytes()),
        case("good-revoking", "So is one by the next root.", "ok", revoking.as_bytes()),
        case(
            "ed25519-altered",
            "A bit of the Ed25519 signature.",
            "forged",
            &altered(good, end - SIGNATURES),
        ),
        case(
            "ml-dsa-altered",
            "A bit of the ML-DSA signature.",
            "forged",
            &altered(good, end - 3000),
        ),
        case(
            "version-altered",
            "The version is raised, and not signed.",
            "forged",
            &altered(good, COUNT - 33),
        ),
        case(
            "other-label",
            "Both roots signed it as something else.",
            "forged",
            &signed("A", label::STAMP, body),
        ),
        case(
            "by-another-root",
            "Another root signed it.",
            "forged",
            &signed("B", label::MANIFEST, body),
        ),
        case(
            "revoking-by-first-root",
            "The next root is said to sign, the first did.",
            "forged",
            &signed("A", label::MANIFEST, revoking_body),
        ),
        case(
            "next-root-uncommitted",
            "Signed by a next root to which nothing commits.",
            malformed,
            &signed("B", label::MANIFEST, &uncommitted),
        ),
        case(
            "other-account",
            "A good manifest of another account.",
            "other account",
            first_manifest("B").as_bytes(),
        ),
        case("format-2", "Of version 2.", malformed, &anew(0, &[2])),
        case("suite-2", "Of suite 2.", malformed, &anew(1, &[2])),
        case("signer-2", "By signer 2.", malformed, &anew(2, &[2])),
        case("no-device", "No device.", malformed, &devices(&[])),
        case("17-devices", "Seventeen devices.", malformed, &devices(&many)),
        case(
            "device-twice",
            "One device id twice.",
            malformed,
            &devices(&[entry("A", 1), entry("A2", 1)]),
        ),
        case(
            "devices-fall",
            "Device ids fall.",
            malformed,
            &devices(&[entry("A", 2), entry("A2", 1)]),
        ),
        case(
            "weak-key",
            "A device's Ed25519 key is the identity.",
            malformed,
            &anew(COUNT + 5, &weak_key),
        ),
        case("left-over", "A byte is left over.", malformed, &[good, &[0]].concat()),
        case("cut", "A byte is missing.", malformed, &good[..end - 1]),
    ]
}

fn standing_cases(first: &SignedManifest) -> Vec<Vector> {
    let second = updated(first, vec![entry("A", 1), entry("A2", 2)]);
    let third = updated(&second, vec![entry("A", 1)]);
    let other_second = updated(first, vec![entry("A", 1), entry("A3", 3)]);
    let (restored, revoking) = (recovered(&second), revoked(first));
    let next = root(seed("A card")).public().commitment();
    let later = Manifest::restored(root(seed("A")).public(), next, 9, vec![entry("A", 9)]);
    let later = later.sign(&root(seed("A"))).expect("it signs");
    let case = |name: &str, comment: &str, known: &SignedManifest, new: &SignedManifest| {
        let known = ManifestRef::from(known);
        Vector::new(format!("standing-{name}"), comment, "ok")
            .with("operation", "standing")
            .with("known signer", u8::from(known.root_revoked))
            .with("known recovery epoch", known.number.recovery_epoch)
            .with("known version", known.number.version)
            .with_bytes("known hash", &known.hash)
            .with_bytes("signed manifest", new.as_bytes())
    };
    vec![
        case("newer", "The next version.", first, &second),
        case("gap", "A version between is missing.", first, &third),
        case("same", "The one already known.", &second, &second),
        case("older", "An earlier version.", &third, &second),
        case("equivocation", "Two of one number.", &second, &other_second),
        case("recovered", "A recovery, linked.", &second, &restored),
        case("recovered-older", "A version of an earlier recovery epoch.", &restored, &third),
        case("recovered-from-words", "A recovery that knew of none.", &second, &later),
        case("revoked", "The next root signs.", first, &revoking),
        case("revoked-outbid", "The root cannot outbid the next.", &revoking, &later),
        case("revoked-lower-epoch", "The next root does, from a lower epoch.", &later, &revoking),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let bytes = || vector.bytes("signed manifest");
    match vector.operation() {
        "verify manifest" => {
            let account = AccountId::from_bytes(vector.array("account id"));
            let read = SignedManifest::verify_for(&bytes(), &account).map_err(manifest_refused)?;
            let ids: Vec<String> =
                read.devices().iter().map(|device| device.id().0.to_string()).collect();
            Ok(Outputs::new()
                .with("signer", u8::from(matches!(read.signer(), Signer::NextRoot(_))))
                .with("recovery epoch", read.number().recovery_epoch)
                .with("version", read.number().version)
                .with_bytes("previous hash", read.previous())
                .with("device ids", ids.join(" "))
                .with_bytes("hash", read.hash()))
        }
        "standing" => standing(vector, &SignedManifest::verify(&bytes()).expect("a good manifest")),
        operation => sign(vector, operation),
    }
}

pub(super) fn manifest_refused(error: ManifestError) -> &'static str {
    match error {
        ManifestError::Forged => "forged",
        ManifestError::OtherAccount => "other account",
        _ => "malformed",
    }
}

fn sign(vector: &Vector, operation: &str) -> Outcome {
    let keys = root(vector.array("seed of the signer"));
    let entries: Vec<DeviceEntry> = vector
        .numbered("entry")
        .iter()
        .map(|entry| DeviceEntry::read(&mut Reader::new(entry)).expect("a good entry"))
        .collect();
    let next = || root(vector.array("next seed")).public().commitment();
    let before = || {
        let bytes = vector.bytes("signed manifest before");
        SignedManifest::verify(&bytes).expect("a good manifest")
    };
    let manifest = match operation {
        "create" => Some(Manifest::first(keys.public(), next(), entries)),
        "restore" => {
            let epoch = vector.number("recovery epoch");
            Some(Manifest::restored(keys.public(), next(), epoch, entries))
        }
        "update" => before().updated(entries),
        "recover" => before().recovered(entries),
        "revoke" => before().recovered(entries).map(|next| next.revoking_root(keys.public())),
        other => panic!("{}: operation {other}", vector.name),
    };
    let signed = manifest.and_then(|manifest| manifest.sign(&keys).ok()).ok_or("malformed")?;
    Ok(Outputs::new()
        .with_bytes("signed manifest", signed.as_bytes())
        .with_bytes("account id", signed.account().as_bytes())
        .with_bytes("hash", signed.hash()))
}

fn standing(vector: &Vector, new: &SignedManifest) -> Outcome {
    let known = ManifestRef {
        account: *new.account(),
        root_revoked: vector.text("known signer") == "1",
        number: ManifestNumber {
            recovery_epoch: vector.number("known recovery epoch"),
            version: vector.number("known version"),
        },
        hash: vector.array("known hash"),
    };
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let outputs = Outputs::new();
    Ok(match Standing::of(new, &known).map_err(|_| "other account")? {
        Standing::Newer { gap, recovered } => outputs
            .with("standing", "newer")
            .with("gap", yes(gap))
            .with("to be acknowledged", yes(recovered)),
        Standing::Same => outputs.with("standing", "same"),
        Standing::Older => outputs.with("standing", "older"),
        Standing::Equivocation => outputs.with("standing", "equivocation"),
        _ => panic!("{}: an unknown standing", vector.name),
    })
}
