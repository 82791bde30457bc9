//! What waits reaches its owner, in order and within the window.

use super::*;

#[test]
fn a_message_goes_through() {
    let mut relay = Relay::with_grant(CapabilityKind::Private, Rate::PRIVATE);
    assert!(matches!(relay.deposit(NOW, 1), SenderEvent::Stored { .. }));
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    owner.subscribe(NOW, 0);
    let ran = relay.run(NOW, &mut served, &mut owner).unwrap();
    let [OwnerEvent::Ready(_), OwnerEvent::Subscribed { head: 1, .. }, OwnerEvent::Delivered(it)] =
        &ran.events[..]
    else {
        panic!("{:?}", ran.events);
    };
    assert_eq!((it.seq, it.handle, &it.envelope), (1, Handle([3; 8]), &deposit(1).envelope));
}

// Tests [window]. Seen to fail with the window doubled, and with acks giving nothing back.
#[test]
fn deliveries_stop_at_the_window_and_acks_are_credit() {
    let mut relay = Relay::with_grant(CapabilityKind::Private, Rate::PRIVATE);
    for fill in 0..100 {
        relay.deposit(NOW, fill);
    }
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    owner.subscribe(NOW, 0);
    let seqs = |ran: &Ran<OwnerEvent>| -> Vec<u64> {
        let delivered = |event: &OwnerEvent| match event {
            OwnerEvent::Delivered(it) => Some(it.seq),
            _ => None,
        };
        ran.events.iter().filter_map(delivered).collect()
    };
    let first = seqs(&relay.run(NOW, &mut served, &mut owner).unwrap());
    assert_eq!(first, (1..=64).collect::<Vec<_>>());
    owner.ack(&first[..10]);
    let second = seqs(&relay.run(NOW, &mut served, &mut owner).unwrap());
    assert_eq!(second, (65..=74).collect::<Vec<_>>());
    // Another connection gets again what was not acked.
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    owner.subscribe(NOW, 0);
    let again = seqs(&relay.run(NOW, &mut served, &mut owner).unwrap());
    assert_eq!(again, (11..=74).collect::<Vec<_>>());
}

#[test]
fn a_client_does_not_take_more_than_the_window() {
    let relay = Relay::new();
    let mut owner = relay.owner(2);
    let mut served = relay.connection();
    let Some(relay::Output::Send(proof)) = served.poll() else { panic!() };
    owner.handle(NOW, Input::Bytes(&proof)).unwrap();
    let unasked = chopmark_wire::relay::Deliver {
        seq: 1,
        handle: Handle([0; 8]),
        envelope: deposit(1).envelope,
    };
    let frame = FromRelay::Notice(chopmark_wire::relay::Notice::Deliver(unasked)).encode();
    assert!(matches!(owner.handle(NOW, Input::Bytes(&frame)), Err(ConnectionError::Misbehaved(_))));
}

#[test]
fn another_subscriber_ends_the_first() {
    let mut relay = Relay::with_grant(CapabilityKind::Private, Rate::PRIVATE);
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    owner.subscribe(NOW, 0);
    relay.run(NOW, &mut served, &mut owner).unwrap();
    served.handle(NOW, relay::Input::Ended(EndReason::Superseded));
    let ran = relay.run(NOW, &mut served, &mut owner).unwrap();
    assert_eq!(ran.events, [OwnerEvent::Ended(EndReason::Superseded)]);
}

// Seen to fail with acks that give no room back.
#[test]
fn a_message_that_is_never_acked_comes_once_a_connection_and_holds_up_nothing() {
    let mut relay = Relay::with_grant(CapabilityKind::Private, Rate::PRIVATE);
    for fill in 0..100 {
        relay.deposit(NOW, fill);
    }
    let seqs = |ran: &Ran<OwnerEvent>| -> Vec<u64> {
        let delivered = |event: &OwnerEvent| match event {
            OwnerEvent::Delivered(it) => Some(it.seq),
            _ => None,
        };
        ran.events.iter().filter_map(delivered).collect()
    };
    // Number 1 is poison to this owner, which acks everything but it.
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    owner.subscribe(NOW, 0);
    let mut all = Vec::new();
    for _ in 0..10 {
        let come = seqs(&relay.run(NOW, &mut served, &mut owner).unwrap());
        let good: Vec<_> = come.iter().copied().filter(|seq| *seq != 1).collect();
        owner.ack(&good);
        all.extend(come);
    }
    assert_eq!(all, (1..=100).collect::<Vec<_>>(), "each once, the others behind it too");
    for _ in 0..10 {
        let (mut served, mut owner) = (relay.connection(), relay.owner(2));
        owner.subscribe(NOW, 0);
        assert_eq!(seqs(&relay.run(NOW, &mut served, &mut owner).unwrap()), [1]);
    }
    owner.ack(&[1]);
    relay.run(NOW, &mut served, &mut owner).unwrap();
    let (mut served, mut owner) = (relay.connection(), relay.owner(2));
    owner.subscribe(NOW, 0);
    assert!(seqs(&relay.run(NOW, &mut served, &mut owner).unwrap()).is_empty(), "acked: gone");
}
