//! Prekeys, and bundles as they are published. SPEC §2.7, §3.

use chopmark_core::{
    codec::Writer,
    identity::{AccountId, DeviceId, DeviceKeys, SignedManifest, Stamp},
    label,
    link::{LinkSecret, Published},
    prekey::{BundleError, OneTimePrekeySecret, SignedPart, SignedPrekeySecret, VerifiedBundle},
    signature::SigningKey,
    time::Timestamp,
};

use super::{
    Outcome, Outputs, Vector, altered,
    device::{device_secrets, one_time_secret, signed_secret},
    drawn,
    draws::Draws,
    identity::stamp_refused,
    manifest::{first_manifest, manifest_refused},
};

const NOW: u64 = 1_800_000_000_000;
const DAY: u64 = 86_400_000;
const EXPIRY: u64 = NOW + 30 * DAY;

/// Lengths of what a signed part ends with.
const SIGNED_PREKEY: usize = 1292;
const STAMP: usize = 141;

const SIGNED_PART: &str = "signed part";
const ONE_TIME: &str = "one-time prekey";

pub(super) fn cases() -> Vec<Vector> {
    let manifest = first_manifest("A");
    let make = |name: &str, comment: &str, operation: &str| {
        Vector::new(name, comment, "ok")
            .with("operation", operation)
            .with_bytes("account id", manifest.account().as_bytes())
            .with("device id", 1)
            .with_bytes("device secrets", &device_secrets("A"))
    };
    let part = make("signed-part", "The signed part of a bundle.", SIGNED_PART);
    let mut cases = vec![
        make("signed-prekey", "A signed prekey.", "signed prekey")
            .with_bytes("SPK secrets", &signed_secret("A", 7, EXPIRY)),
        make("one-time-prekey", "A one-time prekey.", ONE_TIME)
            .with_bytes("OPK secrets", &one_time_secret("A", 9)),
        part.with_bytes("signed manifest", manifest.as_bytes())
            .with_bytes("stamp", &fixture().stamp)
            .with_bytes("SPK secrets", &signed_secret("A", 7, EXPIRY)),
    ];
    cases.extend(piece_cases());
    cases.extend(bundle_cases());
    cases
}

/// What device 1 of account A publishes.
struct Fixture {
    manifest: SignedManifest,
    stamp: Vec<u8>,
    signed: Vec<u8>,
    one_time: Vec<u8>,
}

fn fixture() -> Fixture {
    let manifest = first_manifest("A");
    let keys = DeviceKeys::import(&device_secrets("A")).expect("129 bytes");
    let (account, device) = (*manifest.account(), DeviceId(1));
    let stamp = Stamp::create(keys.signing(), device, &manifest, Timestamp(NOW));
    let signed = SignedPrekeySecret::import(&signed_secret("A", 7, EXPIRY)).expect("109 bytes");
    let one_time = OneTimePrekeySecret::import(&one_time_secret("A", 9)).expect("101 bytes");
    Fixture {
        stamp: stamp.expect("a device of it").to_bytes(),
        signed: signed.publish(&account, device, &keys).to_bytes(),
        one_time: one_time.publish(&account, device, &keys).to_bytes(),
        manifest,
    }
}

impl Fixture {
    fn part(&self, stamp: &[u8], signed: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(1).var32(self.manifest.as_bytes()).expect("a length");
        writer.bytes(stamp).bytes(signed);
        writer.finish()
    }

    /// A signature over any title: who signs, for whose, of which kind.
    fn sign(&self, name: &str, kind: u8, id: u32, expiry: u64, pair: &[u8]) -> Vec<u8> {
        let keys = DeviceKeys::import(&device_secrets(name)).expect("129 bytes");
        let mut writer = Writer::new();
        writer.u8(1).bytes(self.manifest.account().as_bytes()).u32(1);
        writer.u8(kind).u32(id).u64(expiry).bytes(pair);
        let key: &SigningKey = keys.signing();
        key.sign(label::PREKEY, &[&writer.finish()]).as_bytes().to_vec()
    }
}

fn piece_cases() -> Vec<Vector> {
    let secret: [u8; 16] = drawn("prekey: link secret");
    let nonce: [u8; 24] = drawn("prekey: nonce");
    let piece = b"any bytes".as_slice();
    let blob = LinkSecret::from_bytes(&secret)
        .bundle_key()
        .seal_published(Published::SignedPart, piece, &mut Draws::of(&[&nonce]))
        .expect("a draw");
    let seal = |name: &str, comment: &str, kind: &str, piece: &[u8]| {
        Vector::new(name, comment, "ok")
            .with("operation", "seal piece")
            .with_bytes("link secret", &secret)
            .with("kind", kind)
            .with_bytes("nonce", &nonce)
            .with_bytes("piece", piece)
    };
    let open = |name: &str, comment: &str, expect: &str, secret: &[u8], kind: &str, blob: &[u8]| {
        let case = Vector::new(format!("open-{name}"), comment, expect);
        case.with("operation", "open piece")
            .with_bytes("link secret", secret)
            .with("kind", kind)
            .with_bytes("blob", blob)
    };
    let (last, forged) = (blob.len() - 1, "forged");
    vec![
        seal("seal-signed-part", "Under a link's bundle key, as signed part.", SIGNED_PART, piece),
        seal("seal-one-time-prekey", "The same bytes as one-time prekey.", ONE_TIME, piece),
        seal("seal-nothing", "No byte.", SIGNED_PART, &[]),
        open("piece", "It opens.", "ok", &secret, SIGNED_PART, &blob),
        open("as-the-other-kind", "As the other kind.", forged, &secret, ONE_TIME, &blob),
        open(
            "under-another-link",
            "Under another link.",
            forged,
            &altered(&secret, 0),
            SIGNED_PART,
            &blob,
        ),
        open(
            "nonce-altered",
            "A bit of the nonce.",
            forged,
            &secret,
            SIGNED_PART,
            &altered(&blob, 0),
        ),
        open(
            "text-altered",
            "A bit of the text.",
            forged,
            &secret,
            SIGNED_PART,
            &altered(&blob, 24),
        ),
        open(
            "tag-altered",
            "A bit of the tag.",
            forged,
            &secret,
            SIGNED_PART,
            &altered(&blob, last),
        ),
        open("cut", "The last byte is missing.", forged, &secret, SIGNED_PART, &blob[..last]),
        open("too-short", "Less than a nonce.", forged, &secret, SIGNED_PART, &blob[..20]),
    ]
}

fn bundle_cases() -> Vec<Vector> {
    let made = fixture();
    let case = |name: &str, comment: &str, expect: &str, part: &[u8], one_time: Option<&[u8]>| {
        let case = Vector::new(format!("bundle-{name}"), comment, expect);
        let case = case.with("operation", "verify bundle").with_bytes(SIGNED_PART, part);
        one_time.into_iter().fold(case, |case, one_time| case.with_bytes(ONE_TIME, one_time))
    };
    let account = made.manifest.account().as_bytes();
    let at = |case: Vector, now: u64| case.with_bytes("account id", account).with("now", now);
    let (stamp, signed, one_time) = (&made.stamp, &made.signed, made.one_time.as_slice());
    let part = made.part(stamp, signed);
    let changed_part = |at: usize| made.part(stamp, &altered(signed, at));
    let (pair, one_time_pair) = (&signed[12..1228], &one_time[4..1220]);
    // Signed by the device with a title that is not that of what it is presented as.
    let signed_as = |name: &str, kind, id: u32, expiry: u64| {
        let signature = made.sign(name, kind, id, expiry, pair);
        let prekey = [&id.to_be_bytes()[..], &expiry.to_be_bytes(), pair, &signature].concat();
        made.part(stamp, &prekey)
    };
    let one_time_as = |name: &str, kind, id: u32| {
        let signature = made.sign(name, kind, id, 0, one_time_pair);
        [&id.to_be_bytes()[..], one_time_pair, &signature].concat()
    };
    let with_bad_key = |at: usize, bytes: &[u8]| {
        let mut pair = one_time_pair.to_vec();
        pair[at..at + bytes.len()].copy_from_slice(bytes);
        let signature = made.sign("A", 2, 9, 0, &pair);
        [&9_u32.to_be_bytes()[..], &pair, &signature].concat()
    };
    let other = first_manifest("B");
    let with = |name: &str, comment: &str, expect: &str, one_time: &[u8]| {
        at(case(name, comment, expect, &part, Some(one_time)), NOW)
    };
    let alone = |name: &str, comment: &str, expect: &str, part: &[u8]| {
        at(case(name, comment, expect, part, None), NOW)
    };
    let stamp_at = part.len() - SIGNED_PREKEY - STAMP;
    vec![
        with("good", "With a one-time prekey.", "ok", one_time),
        alone("without-one-time", "Without one.", "ok", &part),
        at(
            case("stale", "Eight days later the stamp is stale: a warning.", "ok", &part, None),
            NOW + 8 * DAY,
        ),
        at(case("at-expiry", "The signed prekey's last millisecond.", "ok", &part, None), EXPIRY),
        at(case("expired", "A millisecond later.", "expired", &part, None), EXPIRY + 1),
        alone("id-altered", "The signed prekey's id.", "forged", &changed_part(3)),
        alone("expiry-altered", "Its expiry.", "forged", &changed_part(11)),
        alone("x25519-altered", "Its X25519 key.", "forged", &changed_part(12)),
        alone(
            "ml-kem-altered",
            "Its ML-KEM key, within the modulus.",
            "forged",
            &changed_part(12 + 32 + 1183),
        ),
        alone("signature-altered", "Its signature.", "forged", &changed_part(1228)),
        alone(
            "signed-as-one-time",
            "Signed as of kind 2.",
            "forged",
            &signed_as("A", 2, 7, EXPIRY),
        ),
        alone(
            "signed-by-another-device",
            "Signed by another device.",
            "forged",
            &signed_as("B", 1, 7, EXPIRY),
        ),
        with(
            "one-time-signed-as-signed",
            "A one-time prekey signed as of kind 1.",
            "forged",
            &one_time_as("A", 1, 9),
        ),
        with(
            "one-time-by-another-device",
            "A one-time prekey of another device.",
            "forged",
            &one_time_as("B", 2, 9),
        ),
        with("one-time-id-altered", "The one-time prekey's id.", "forged", &altered(one_time, 3)),
        with(
            "one-time-low-order",
            "Its X25519 key is 0, and signed.",
            "malformed",
            &with_bad_key(0, &[0; 32]),
        ),
        with(
            "one-time-modulus",
            "Its ML-KEM key is above the modulus, and signed.",
            "malformed",
            &with_bad_key(32, &[0xff, 0xff]),
        ),
        with("one-time-cut", "A byte of it is missing.", "malformed", &one_time[..1283]),
        alone("stamp-altered", "The stamp's end.", "forged", &altered(&part, stamp_at + 76)),
        alone("version-2", "Of version 2.", "malformed", &[&[2], &part[1..]].concat()),
        alone("left-over", "A byte is left over.", "malformed", &[&part[..], &[0]].concat()),
        alone("cut", "A byte is missing.", "malformed", &part[..part.len() - 1]),
        case("other-account", "A good bundle of another account.", "other account", &part, None)
            .with_bytes("account id", other.account().as_bytes())
            .with("now", NOW),
    ]
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let outputs = Outputs::new();
    let account = || AccountId::from_bytes(vector.array("account id"));
    let device = || DeviceId(vector.number("device id"));
    let keys = || DeviceKeys::import(&vector.bytes("device secrets")).expect("129 bytes");
    let signed = || SignedPrekeySecret::import(&vector.bytes("SPK secrets")).expect("109 bytes");
    let bundle_key = || LinkSecret::from_bytes(&vector.array("link secret")).bundle_key();
    let kind = || match vector.text("kind") {
        SIGNED_PART => Published::SignedPart,
        _ => Published::OneTimePrekey,
    };
    Ok(match vector.operation() {
        "signed prekey" => {
            let prekey = signed().publish(&account(), device(), &keys());
            outputs.with_bytes("signed prekey", &prekey.to_bytes())
        }
        ONE_TIME => {
            let secret = OneTimePrekeySecret::import(&vector.bytes("OPK secrets"));
            let prekey = secret.expect("101 bytes").publish(&account(), device(), &keys());
            outputs.with_bytes(ONE_TIME, &prekey.to_bytes())
        }
        SIGNED_PART => {
            let manifest = SignedManifest::verify_for(&vector.bytes("signed manifest"), &account());
            let manifest = manifest.map_err(manifest_refused)?;
            let stamp = Stamp::verify(&vector.bytes("stamp"), &manifest).map_err(stamp_refused)?;
            let prekey = signed().publish(&account(), device(), &keys());
            let part = SignedPart { manifest, stamp, prekey }.to_bytes();
            outputs.with_bytes(SIGNED_PART, &part.map_err(|_| "bug")?)
        }
        "seal piece" => {
            let (piece, nonce) = (vector.bytes("piece"), vector.bytes("nonce"));
            let blob = bundle_key().seal_published(kind(), &piece, &mut Draws::of(&[&nonce]));
            outputs.with_bytes("blob", &blob.map_err(|_| "bug")?)
        }
        "open piece" => {
            let piece = bundle_key().open_published(kind(), &vector.bytes("blob"));
            outputs.with_bytes("piece", &piece.map_err(|_| "forged")?)
        }
        "verify bundle" => {
            let one_time = vector.find(ONE_TIME).map(|_| vector.bytes(ONE_TIME));
            let (part, now) = (vector.bytes(SIGNED_PART), Timestamp(vector.number("now")));
            let bundle = VerifiedBundle::verify(&part, one_time.as_deref(), &account(), now);
            verified(&bundle.map_err(|error| match error {
                BundleError::Manifest(error) => manifest_refused(error),
                BundleError::Stamp(error) => stamp_refused(error),
                BundleError::ForgedPrekey => "forged",
                BundleError::ExpiredPrekey => "expired",
                _ => "malformed",
            })?)
        }
        other => panic!("{}: operation {other}", vector.name),
    })
}

fn verified(bundle: &VerifiedBundle) -> Outputs {
    let signed = bundle.signed_prekey();
    let outputs = Outputs::new()
        .with("device id", bundle.device().id().0)
        .with_bytes("device entry hash", &bundle.device().hash())
        .with("fresh", if bundle.stamp_is_fresh() { "yes" } else { "no" })
        .with("SPK id", signed.id().0)
        .with("SPK expiry", signed.expiry().0)
        .with_bytes("SPK X25519", signed.dh().as_bytes())
        .with_bytes("SPK ML-KEM", signed.kem().as_bytes());
    match bundle.one_time_prekey() {
        None => outputs,
        Some(one_time) => outputs
            .with("OPK id", one_time.id().0)
            .with_bytes("OPK X25519", one_time.dh().as_bytes())
            .with_bytes("OPK ML-KEM", one_time.kem().as_bytes()),
    }
}
