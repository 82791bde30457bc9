//! What a session costs besides time: heap and stored bytes. The times are `cargo xtask bench core`'s.

use std::convert::Infallible;

use chopmark_core::session::Session;
use chopmark_testkit::{
    party::{self, NOW},
    seed::Seed,
};
use rand_chacha::ChaCha20Rng;

/// Allocations of one message: sealing, opening.
fn allocations(from: &mut Session, to: &mut Session, rng: &mut ChaCha20Rng) -> [u64; 2] {
    let mut envelope = None;
    let sealing = allocation_counter::measure(|| {
        let sealed = from.seal(&[7; 100], NOW, rng).unwrap();
        envelope = Some(sealed.commit(|_, _| Ok::<_, Infallible>(())).unwrap().envelope);
    });
    let envelope = envelope.unwrap();
    let mut message = None;
    let opening = allocation_counter::measure(|| {
        let opened = to.open(envelope.as_bytes(), NOW).unwrap();
        message = Some(opened.commit(|_, _| Ok::<_, Infallible>(())).unwrap());
    });
    // An event is output too: a list of them is one allocation.
    let told = u64::from(!message.unwrap().events.is_empty());
    [sealing.count_total, opening.count_total - told]
}

#[test]
fn a_message_in_a_chain_allocates_its_envelope_and_its_content_and_nothing_else() {
    let rng = &mut Seed::fixed(81).rng();
    let (mut alice, mut bob, _) = party::met(rng);
    // Beyond the first, which takes the room that the chain goes on in.
    for _ in 0..3 {
        allocations(&mut alice, &mut bob, rng);
    }
    for message in 0..3_000 {
        assert_eq!(allocations(&mut alice, &mut bob, rng), [1, 1], "message {message}");
    }
}

#[test]
fn root_steps_and_kem_objects_allocate_nothing_else_either() {
    let rng = &mut Seed::fixed(82).rng();
    let (mut alice, mut bob, _) = party::met(rng);
    // The first chains take the room that all later ones use.
    for _ in 0..2 {
        for _ in 0..2 {
            allocations(&mut alice, &mut bob, rng);
        }
        for _ in 0..2 {
            allocations(&mut bob, &mut alice, rng);
        }
    }
    let epoch = alice.epoch();
    for turn in 0..100 {
        // Two messages a chain: the second one needs the chain's room.
        let (from, to) = match turn / 2 % 2 {
            0 => (&mut alice, &mut bob),
            _ => (&mut bob, &mut alice),
        };
        let mixed = from.epoch();
        let [sealing, opening] = allocations(from, to, rng);
        // The event that an epoch was mixed.
        let told = u64::from(from.epoch() > mixed);
        assert_eq!([sealing - told, opening], [1, 1], "message {turn}");
    }
    assert!(alice.epoch() > epoch + 7, "no epochs were measured");
}

#[test]
fn a_stored_session_is_small() {
    let rng = &mut Seed::fixed(83).rng();
    let (mut alice, mut bob, _) = party::met(rng);
    let (mut idle, mut busy) = (0, 0);
    let mut say = |from: &mut Session, to: &mut Session| {
        let envelope = party::seal(from, &[7; 100], rng);
        party::open(to, &envelope);
    };
    for turn in 0..100 {
        let (from, to) = match turn % 2 {
            0 => (&mut alice, &mut bob),
            _ => (&mut bob, &mut alice),
        };
        let before = from.epoch();
        say(from, to);
        let lengths = [from.export().len(), to.export().len()];
        let longest = lengths[0].max(lengths[1]);
        busy = busy.max(longest);
        if from.epoch() > before {
            idle = idle.max(longest);
        }
    }
    assert!(idle > 0 && idle <= 1_500, "idle: {idle} bytes");
    assert!(busy > idle && busy <= 3_000, "during an epoch: {busy} bytes");
    // Every second message is lost.
    for _ in 0..3_000 {
        party::seal(&mut alice, b"lost", rng);
        let envelope = party::seal(&mut alice, b"found", rng);
        party::open(&mut bob, &envelope);
    }
    assert_eq!(bob.held_keys(), 2_048);
    let length = bob.export().len();
    assert!(length <= 2_048 * 37 + 3_000, "after losses: {length} bytes");
    eprintln!("idle {idle}, during an epoch {busy}, after 3,000 losses {length} bytes");
}
