//! What a store may give back after years: states of every kind, damaged in a field or made up.

use std::{convert::Infallible, sync::OnceLock};

use chopmark_core::{
    identity::{DeviceKeys, ManifestRef, SignedManifest, Stamp},
    prekey::{OneTimePrekeySecret, SignedPrekeySecret},
    session::{BUCKETS, Session},
    sessions::Sessions,
    time::Timestamp,
};

use super::{device::Device, script::Script};
use crate::{
    party::{self, Party},
    seed::Seed,
};

/// Genuine states of each kind, and letters for those that are sessions.
struct Genuine {
    manifest: SignedManifest,
    states: Vec<(u8, Vec<u8>)>,
    letters: Vec<Vec<u8>>,
}

/// A state as it is, or a genuine one with some fields changed: it is refused, or it is the state that says the same
/// bytes again, and then whatever is done with it ends in a result.
///
/// First byte: the kind; below 128 the bytes follow, else the number of a genuine state and changes of three bytes.
pub fn state_import(data: &[u8]) {
    let mut script = Script::new(data);
    let first = script.u8();
    let genuine = genuine();
    if first < 128 {
        return import(first % KINDS, script.rest(), genuine);
    }
    let (kind, state) = &genuine.states[usize::from(first) % genuine.states.len()];
    let mut bytes = state.clone();
    for _ in 0..24 {
        let Some(how) = script.operation() else { break };
        let at = script.below(bytes.len().max(257));
        let at = at % bytes.len().max(1);
        let value = script.u8();
        match how % 8 {
            0..=3 if !bytes.is_empty() => bytes[at] = value,
            4 if !bytes.is_empty() => bytes[at] ^= value,
            // Numbers are up to eight bytes long.
            5 => {
                let end = (at + 1 + usize::from(value % 8)).min(bytes.len());
                bytes[at..end].fill(if value > 127 { 0xff } else { 0 });
            }
            6 => bytes.insert(at, value),
            _ => bytes.truncate(bytes.len().saturating_sub(usize::from(value))),
        }
    }
    import(*kind, &bytes, genuine);
}

const KINDS: u8 = 8;

fn import(kind: u8, bytes: &[u8], genuine: &Genuine) {
    match kind {
        0 => {
            if let Ok(session) = Session::import(bytes) {
                assert!(*session.export() == bytes, "a session has two forms");
                drive(session, &genuine.letters);
            }
        }
        1 => {
            if let Ok(sessions) = Sessions::import(bytes) {
                assert!(*sessions.export() == bytes, "sessions have two forms");
                drive_all(sessions, &genuine.letters);
            }
        }
        2 => {
            if let Ok(keys) = DeviceKeys::import(bytes) {
                assert!(*keys.export() == bytes, "device keys have two forms");
                let _ = keys.entry(party::DEVICE).hash();
            }
        }
        3 => {
            if let Ok(prekey) = SignedPrekeySecret::import(bytes) {
                assert!(*prekey.export() == bytes, "a signed prekey has two forms");
                let _ = (prekey.is_due_for_rotation(Timestamp::MAX), prekey.dh().public());
            }
        }
        4 => {
            if let Ok(prekey) = OneTimePrekeySecret::import(bytes) {
                assert!(*prekey.export() == bytes, "a one-time prekey has two forms");
                let _ = prekey.kem().encapsulation_key();
            }
        }
        5 => {
            if let Ok(known) = ManifestRef::from_bytes(bytes) {
                assert!(known.to_bytes() == bytes, "what is known of a manifest has two forms");
            }
        }
        6 => {
            if let Ok(stamp) = Stamp::verify(bytes, &genuine.manifest) {
                assert!(stamp.to_bytes() == bytes, "a stamp has two forms");
                let _ = (stamp.is_fresh(Timestamp::ZERO), stamp.is_fresh(Timestamp::MAX));
            }
        }
        _ => {
            if let Ok(manifest) = SignedManifest::verify(bytes) {
                assert!(manifest.as_bytes() == bytes, "a manifest has two forms");
            }
        }
    }
}

/// Everything that can be done with a session. Nothing is expected of it but that it ends and stays small.
fn drive(session: Session, letters: &[Vec<u8>]) {
    let length = session.export().len();
    let mut rng = Seed::fixed(23).rng();
    let mut now = party::NOW;
    let _ = (session.status(), session.max_content(), session.owes_progress());
    let _ = (session.is_unanswered(Timestamp::MAX), session.held_keys(), session.acknowledgement());
    let mut device = Device::damaged(session);
    for letter in letters {
        let _ = device.open(letter, now, false);
        let _ = device.seal(b"on", now, &mut rng, false);
        now = Timestamp(now.0.saturating_add(40 * 86_400_000));
    }
    let limit = device.session.max_content();
    let _ = device.seal(&vec![1; limit.min(BUCKETS[5])], Timestamp::MAX, &mut rng, false);
    let _ = device.open(&vec![1; 2_048], Timestamp::ZERO, false);
    assert!(device.stored().len() <= length + 100_000, "a state grew out of bounds");
}

fn drive_all(mut sessions: Sessions, letters: &[Vec<u8>]) {
    let mut rng = Seed::fixed(24).rng();
    let _ = sessions.probe_due();
    for letter in letters {
        if let Ok(opened) = sessions.open(letter, party::NOW) {
            opened.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail");
        }
        if let Ok(sealed) = sessions.seal(b"on", party::NOW, &mut rng) {
            sealed.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail");
        }
    }
    let _ = sessions.iter().count();
}

fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let mut rng = Seed::fixed(29).rng();
        let (a, b) = (Party::new(&mut rng), Party::new(&mut rng));
        let opening = a.initiate(&b, &mut rng);
        let mut states = vec![(0, opening.export().to_vec())];
        let mut alice = Device::new(opening);
        let mut letters = Vec::new();
        let mut write = |device: &mut Device, letters: &mut Vec<Vec<u8>>| {
            let sealed = device.seal(b"hello", party::NOW, &mut rng, false).expect("short");
            let envelope = sealed.expect("no crash").envelope;
            letters.push(envelope.clone());
            envelope
        };
        let first = write(&mut alice, &mut letters);
        let mut bob = Device::new(b.respond(&a, &first));
        states.push((0, bob.stored().to_vec()));
        let mut sides = [alice.stored().to_vec(), bob.stored().to_vec()];
        for turn in 0..26 {
            let (from, to) =
                if turn % 2 == 0 { (&mut bob, &mut alice) } else { (&mut alice, &mut bob) };
            write(from, &mut letters);
            let letter = write(from, &mut letters);
            let opened = to.open(&letter, party::NOW, false).expect("in order");
            drop(opened);
            sides = [alice.stored().to_vec(), bob.stored().to_vec()];
            // Each stage of an epoch, on both sides.
            if !(4..20).contains(&turn) {
                states.extend(sides.iter().map(|state| (0, state.clone())));
            }
        }
        let letters = letters.split_off(letters.len() - 6);
        let mut set = Sessions::new();
        for state in sides {
            set.insert(Session::import(&state).expect("its own state"));
        }
        let mut crossing = Sessions::new();
        crossing.insert(Session::import(&states[0].1).expect("its own state"));
        crossing.insert(Session::import(&states[1].1).expect("its own state"));
        states.push((1, set.export().to_vec()));
        states.push((1, crossing.export().to_vec()));
        states.push((1, Sessions::new().export().to_vec()));
        states.push((2, a.keys.export().to_vec()));
        states.push((3, a.signed.export().to_vec()));
        states.push((4, a.one_time.export().to_vec()));
        states.push((5, ManifestRef::from(&a.manifest).to_bytes()));
        let stamp = a.signed_part.len() - 1_292 - 141;
        states.push((6, a.signed_part[stamp..][..141].to_vec()));
        states.push((7, a.manifest.as_bytes().to_vec()));
        Genuine { manifest: a.manifest, states, letters }
    })
}

/// How many genuine states there are.
pub(crate) fn states() -> usize {
    genuine().states.len()
}
