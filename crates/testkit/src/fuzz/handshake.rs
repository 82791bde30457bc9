//! Two people meet, with somebody between them who alters what he can.

use std::sync::OnceLock;

use chopmark_core::{
    handshake::{InitBlock, Own},
    identity::DeviceId,
    prekey::{OneTimePrekeySecret, PrekeyId, SignedPrekeySecret, VerifiedBundle},
    session::{OpenError, SealError, Session},
    time::{DAY, Timestamp},
};
use rand_chacha::ChaCha20Rng;

use super::{
    device::{Device, Letter},
    script::Script,
};
use crate::{
    party::{self, DEVICE, Party},
    seed::Seed,
};

const OPERATIONS: usize = 48;

struct People {
    alice: Party,
    bob: Party,
    carol: Party,
    /// Prekeys that are not the ones a message asks for, under the same numbers.
    other_signed: SignedPrekeySecret,
    other_one_time: OneTimePrekeySecret,
}

fn people() -> &'static People {
    static PEOPLE: OnceLock<People> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        let mut rng = Seed::fixed(17).rng();
        People {
            alice: Party::new(&mut rng),
            bob: Party::new(&mut rng),
            carol: Party::new(&mut rng),
            other_signed: SignedPrekeySecret::generate(PrekeyId(1), party::NOW, &mut rng)
                .expect("randomness"),
            other_one_time: OneTimePrekeySecret::generate(PrekeyId(2), &mut rng)
                .expect("randomness"),
        }
    })
}

/// Bundles that were altered, init blocks that were altered, wrong prekeys, wrong devices, wrong entries: nothing of it
/// makes a session; the honest messages still make one, whichever comes first, and it is confirmed.
pub fn handshake(data: &[u8]) {
    let (mut script, people) = (Script::new(data), people());
    let mut rng = Seed::fixed(u64::from(script.u8())).rng();
    let one_time = script.flag();
    let Some(bundle) = bundle(&mut script, one_time) else { return };
    let alice = Session::initiate(&people.alice.own(), &bundle, party::NOW, &mut rng);
    let mut alice = Device::new(alice.expect("a verified bundle"));
    let mut letters = Vec::new();
    for n in 0..=script.below(4) {
        letters.extend(write(&mut alice, n, &mut script, &mut rng));
    }
    for _ in 0..OPERATIONS {
        let Some(operation) = script.operation() else { break };
        attack(operation, &mut script, &letters, one_time);
    }
    meet(&mut script, alice, &letters, one_time, &mut rng);
}

/// Bob's bundle as the relay hands it out, altered or not. None if it was altered: it is refused then.
fn bundle(script: &mut Script<'_>, one_time: bool) -> Option<VerifiedBundle> {
    let People { bob, carol, .. } = people();
    let mut signed_part = bob.signed_part.clone();
    let mut one_time_part = one_time.then(|| bob.one_time_part.clone());
    let (mut now, mut account) = (party::NOW, bob.account);
    let how = script.u8();
    let altered = match how {
        0..=15 => {
            // Most of it is keys and signatures; the numbers stand in front of each.
            let at = usize::from(script.u16()) % signed_part.len();
            signed_part[at] ^= script.change();
            true
        }
        16..=19 => {
            let from_end = 1 + usize::from(script.u16()) % (1_292 + 141);
            let at = signed_part.len() - from_end;
            signed_part[at] ^= script.change();
            true
        }
        20..=27 => match &mut one_time_part {
            Some(part) => {
                let at = usize::from(script.u16()) % part.len();
                part[at] ^= script.change();
                true
            }
            None => false,
        },
        28 => {
            signed_part.truncate(usize::from(script.u16()) % signed_part.len());
            true
        }
        29 => {
            signed_part.push(script.u8());
            true
        }
        30 => {
            account = carol.account;
            true
        }
        31 => {
            // Carol's prekey behind Bob's manifest and stamp.
            let front = signed_part.len() - 1_292;
            signed_part.truncate(front);
            signed_part.extend_from_slice(&carol.signed_part[carol.signed_part.len() - 1_292..]);
            true
        }
        32 => {
            let stamp = signed_part.len() - 1_292 - 141;
            let other = carol.signed_part.len() - 1_292 - 141;
            signed_part[stamp..stamp + 141].copy_from_slice(&carol.signed_part[other..][..141]);
            true
        }
        33 => {
            one_time_part = Some(carol.one_time_part.clone());
            true
        }
        34 => {
            now = Timestamp(now.0 + (30 + u64::from(script.u8())) * DAY.as_secs() * 1_000 + 1);
            true
        }
        35 if one_time => {
            // The signed prekey, cut to the form of a one-time prekey, in its place.
            let prekey = &signed_part[signed_part.len() - 1_292..];
            one_time_part = Some([&prekey[..4], &prekey[12..]].concat());
            true
        }
        _ => false,
    };
    let bundle = VerifiedBundle::verify(&signed_part, one_time_part.as_deref(), &account, now);
    assert_eq!(bundle.is_err(), altered, "the bundle was altered: {altered}");
    bundle.ok()
}

fn write(
    device: &mut Device,
    n: usize,
    script: &mut Script<'_>,
    rng: &mut ChaCha20Rng,
) -> Option<Letter> {
    let length = usize::from(script.u8()) * 8;
    let mut content = vec![0x11; length + 1];
    content[0] = u8::try_from(n).unwrap_or(u8::MAX);
    device.seal(&content, party::NOW, rng, script.u8().is_multiple_of(16)).expect("it fits")
}

/// One attempt to make Bob, or somebody else, take what is not for him.
fn attack(operation: u8, script: &mut Script<'_>, letters: &[Letter], one_time: bool) {
    let People { alice, bob, carol, other_signed, other_one_time } = people();
    let Some(letter) = letters.get(script.below(letters.len())) else { return };
    let (mut own, mut signed) = (bob.own(), &bob.signed);
    let mut one_time_key = one_time.then_some(&bob.one_time);
    let mut envelope = letter.envelope.clone();
    // Where each field of the init block begins: see SPEC §4.1.
    let fields = [1, 5, 6, 10, 42, 1_130, 2_218, 2_334, 2_334 + 56, 2_334 + 72];
    match operation % 16 {
        0..=6 => {
            let field = script.below(fields.len());
            let end = fields.get(field + 1).copied().unwrap_or(envelope.len());
            let at = fields[field] + script.below(end - fields[field]);
            envelope[at] ^= script.change();
        }
        7 => {
            // A ratchet key of low order as the ephemeral key.
            envelope[10..42].fill(0);
            envelope[10] = script.u8() % 2;
        }
        8 => signed = other_signed,
        9 if one_time => one_time_key = Some(other_one_time),
        10 if one_time => one_time_key = None,
        11 => own = carol.own(),
        12 => own = alice.own(),
        13 => own = Own { device: DeviceId(DEVICE.0 + u32::from(script.change())), ..own },
        14 => own = Own { account: carol.account, ..own },
        15 => envelope[0] = script.u8(),
        _ => return,
    }
    let same = envelope == letter.envelope;
    let before = bob.signed.export();
    let opened = Session::respond(&own, signed, one_time_key, &envelope, party::NOW);
    let still = own.account == bob.account && own.device == DEVICE && same;
    let prekeys = std::ptr::eq(signed, &bob.signed)
        && one_time_key.is_some() == one_time
        && one_time_key.is_none_or(|key| std::ptr::eq(key, &bob.one_time));
    assert_eq!(opened.is_ok(), still && prekeys, "a session from what was altered");
    assert!(bob.signed.export() == before);
}

/// The honest end: any of the letters may come first.
fn meet(
    script: &mut Script<'_>,
    mut alice: Device,
    letters: &[Letter],
    one_time: bool,
    rng: &mut ChaCha20Rng,
) {
    let People { alice: a, bob: b, carol: c, .. } = people();
    let Some(first) = letters.get(script.below(letters.len())) else { return };
    let peeked = InitBlock::peek(&first.envelope).expect("a first message");
    assert_eq!((peeked.signed_prekey, peeked.one_time_prekey.is_some()), (PrekeyId(1), one_time));
    let one_time = one_time.then_some(&b.one_time);
    let opened = Session::respond(&b.own(), &b.signed, one_time, &first.envelope, party::NOW);
    let opened = opened.expect("an honest first message");
    assert!(*opened.message.content == first.content);
    assert_eq!(opened.session.id(), alice.session.id());
    assert_eq!(opened.session.init_id(), peeked.id);
    assert_eq!((opened.session.peer().account, opened.session.peer().device), (a.account, DEVICE));
    let mut bob = Device::new(opened.session);
    bob.opened.insert(first.position);

    // Nothing is said to a stranger, and nobody else passes for Alice.
    assert_eq!(bob.seal(b"x", party::NOW, rng, false).err(), Some(SealError::PeerUnknown));
    let entry = |party: &Party| party.manifest.device(DEVICE).expect("its device").clone();
    assert!(bob.session.introduce(&c.account, &entry(c)).is_err());
    assert!(bob.session.introduce(&a.account, &entry(c)).is_err());
    assert!(bob.session.introduce(&c.account, &entry(a)).is_err());
    bob.is_unchanged("a wrong introduction");
    bob.session.introduce(&a.account, &entry(a)).expect("her own entry");
    bob.store();
    for letter in letters {
        let opened = bob.open(&letter.envelope, party::NOW, false);
        let expected = letter.position != first.position;
        assert_eq!(opened.is_ok(), expected, "{:?}", letter.position);
    }
    for turn in 0..3 {
        let reply = write(&mut bob, turn, script, rng);
        if let Some(reply) = reply {
            alice.open(&reply.envelope, party::NOW, false).expect("a reply");
            let again = alice.open(&reply.envelope, party::NOW, false).err();
            assert_eq!(again, Some(OpenError::AlreadyOpened { remembered: true }));
        }
        if let Some(letter) = write(&mut alice, turn, script, rng) {
            bob.open(&letter.envelope, party::NOW, false).expect("an answer");
        }
    }
    let honest = |device: &mut Device, rng: &mut ChaCha20Rng| {
        device.seal(b"x", party::NOW, rng, false).expect("short").expect("no crash").envelope
    };
    for _ in 0..2 {
        let reply = honest(&mut bob, rng);
        alice.open(&reply, party::NOW, false).expect("a reply");
        let answer = honest(&mut alice, rng);
        bob.open(&answer, party::NOW, false).expect("an answer");
    }
    assert!(alice.is_confirmed() && bob.is_confirmed(), "they never confirm");
}
