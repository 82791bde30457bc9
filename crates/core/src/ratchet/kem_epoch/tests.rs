//! The machine with objects that no honest peer sends, and its clock.

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([3; 32])
}

/// A in `SendEk` of epoch 1, B in `SendCt`.
fn pair(rng: &mut ChaCha20Rng) -> (KemEpoch, KemEpoch) {
    let key = DecapsulationKey::generate(rng).unwrap();
    let public = key.encapsulation_key().clone();
    let a = KemEpoch::initiator(key, NOW);
    let mut b = KemEpoch::responder(NOW);
    b.introduce(public);
    sending(&mut b, rng);
    (a, b)
}

fn object(machine: &KemEpoch) -> Object {
    machine.pending(machine.progress(), &Draft::default()).unwrap()
}

fn sending(machine: &mut KemEpoch, rng: &mut ChaCha20Rng) {
    let mut draft = Draft::default();
    let progress = machine.sending(machine.progress(), rng, &mut draft).unwrap();
    machine.commit(progress, &mut draft);
}

fn stepped(machine: &mut KemEpoch) {
    let mut draft = Draft::default();
    let progress = machine.stepped(NOW, &mut draft);
    machine.commit(progress, &mut draft);
}

fn has_pending(machine: &KemEpoch) -> bool {
    machine.pending(machine.progress(), &Draft::default()).is_some()
}

// Tests [whoever-steps-mixes], [secret-until-activation].
#[test]
fn four_epochs_take_turns() {
    let mut rng = rng();
    let (mut a, mut b) = pair(&mut rng);
    let (mut i, mut e) = (&mut a, &mut b);
    for epoch in 1..=4 {
        i.opened(Some(object(e)), epoch - 1).unwrap();
        let mixed = Key::new(*i.to_mix().unwrap().shared.expose());
        assert!(e.to_mix().is_none());
        stepped(i);
        assert!(e.mixed_by_peer(epoch + 1).is_err());
        assert_eq!(e.mixed_by_peer(epoch).unwrap().unwrap().shared, mixed);
        e.peer_mixed(NOW);
        assert_eq!((i.epoch(), e.epoch()), (epoch, epoch));
        assert!(i.mixed_by_peer(epoch + 1).is_err());
        // The other one begins the next.
        (i, e) = (e, i);
        for sent in 1..=PACE {
            assert!(!has_pending(i), "a key after {sent} messages");
            sending(i, &mut rng);
        }
        e.opened(Some(object(i)), epoch).unwrap();
        sending(e, &mut rng);
    }
}

// Tests [wrong-confirmation-dropped].
// Seen to fail with the comparison of confirmations removed.
#[test]
fn a_wrong_confirmation_is_dropped_and_the_right_one_still_works() {
    let mut rng = rng();
    let (mut a, b) = pair(&mut rng);
    let Object::Ciphertext(ciphertext, confirmation) = object(&b) else { panic!() };
    let mut mauled = *ciphertext.as_bytes();
    mauled[9] ^= 1;
    let mauled = Ciphertext::from_bytes(&mauled);
    assert_eq!(a.opened(Some(Object::Ciphertext(mauled, confirmation)), 0), Err(Refused));
    let other = Object::Ciphertext(ciphertext, [0; 32]);
    assert_eq!(a.opened(Some(other), 0), Err(Refused));
    assert!(a.to_mix().is_none());
    a.opened(Some(object(&b)), 0).unwrap();
    assert!(a.to_mix().is_some());
}

// Tests [ek-of-epoch-1-from-manifest].
// Seen to fail with the arm for `AwaitEntry` taking the key.
#[test]
fn the_key_of_epoch_1_is_not_taken_from_a_message() {
    let mut rng = rng();
    let mut b = KemEpoch::responder(NOW);
    let impostor = DecapsulationKey::generate(&mut rng).unwrap().encapsulation_key().clone();
    let sent = Object::EncapsulationKey(*impostor.as_bytes());
    assert_eq!(b.opened(Some(sent), 0), Err(Refused));
    sending(&mut b, &mut rng);
    assert!(!has_pending(&b));
    assert!(b.awaits_entry());
}

// Tests [kem-modulus-check].
#[test]
fn a_key_above_the_modulus_is_dropped() {
    let mut rng = rng();
    let (mut a, mut b) = pair(&mut rng);
    a.opened(Some(object(&b)), 0).unwrap();
    stepped(&mut a);
    b.peer_mixed(NOW);
    let sent = Object::EncapsulationKey([0xff; EncapsulationKey::LENGTH]);
    assert_eq!(a.opened(Some(sent), 1), Err(Refused));
    sending(&mut a, &mut rng);
    assert!(!has_pending(&a));
}

// Tests [late-object-ignored].
// Seen to fail with the epoch of the chain not compared.
#[test]
fn an_object_of_another_epoch_is_late_and_ignored() {
    let mut rng = rng();
    let (mut a, mut b) = pair(&mut rng);
    let late = object(&b);
    a.opened(Some(object(&b)), 0).unwrap();
    stepped(&mut a);
    b.peer_mixed(NOW);
    for _ in 0..PACE {
        sending(&mut b, &mut rng);
    }
    a.opened(Some(object(&b)), 1).unwrap();
    sending(&mut a, &mut rng);
    b.opened(Some(late), 0).unwrap();
    assert!(b.to_mix().is_none());
    b.opened(Some(object(&a)), 1).unwrap();
    assert!(b.to_mix().is_some());
}

// Tests [once-per-chain], [overdue-lifts].
#[test]
fn an_object_rides_once_a_chain_and_is_overdue_in_the_end() {
    let mut rng = rng();
    let (mut a, mut b) = pair(&mut rng);
    assert!(b.progress.is_overdue(NOW));
    b.progress.carried = true;
    assert!(!has_pending(&b));
    stepped(&mut b);
    assert!(has_pending(&b));
    a.opened(Some(object(&b)), 0).unwrap();
    stepped(&mut a);
    b.peer_mixed(NOW);
    assert!(!b.progress.is_overdue(NOW.saturating_add(DAY * 6)));
    assert!(b.progress.is_overdue(NOW.saturating_add(DAY * 7)));
    for _ in 0..OVERDUE_MESSAGES {
        assert!(!b.progress.is_overdue(NOW));
        sending(&mut b, &mut rng);
    }
    assert!(b.progress.is_overdue(NOW));
}
