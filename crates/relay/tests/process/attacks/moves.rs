//! Connections that change their address.

use std::time::Duration;

use chopmark_mailbox::OwnerEvent;
use chopmark_relay::limits::Limits;

use super::waiting;
use crate::process::{
    client::{Owner, now},
    inside::Inside,
    raw::owner::RawOwner,
};

// Seen to fail with migration off: the owner's packets from its new address were then dropped.
#[test]
fn t46_a_connection_moves_with_its_client_and_floods_nobody_it_is_pointed_at() {
    let inside = Inside::start(Limits::default());
    waiting(&inside, 16);
    // The attacker subscribes, takes the first messages, and gives their room back from the address of its victim, who
    // never answers a challenge.
    let mut attacker = RawOwner::connect(&inside, 1 << 24);
    attacker.machine.subscribe(now(), 0);
    let mut seqs = Vec::new();
    for _ in 0..250 {
        for event in attacker.turn() {
            if let OwnerEvent::Delivered(it) = event {
                seqs.push(it.seq);
            }
        }
        if seqs.len() >= 4 {
            break;
        }
    }
    assert!(!seqs.is_empty());
    let victim = std::net::UdpSocket::bind(("127.0.0.77", 0)).unwrap();
    victim.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let own = std::mem::replace(&mut attacker.raw.socket, victim);
    attacker.machine.ack(&seqs);
    let before = attacker.raw.bytes.0;
    assert_eq!(attacker.say(), None);
    let spent = attacker.raw.bytes.0 - before;
    let victim = std::mem::replace(&mut attacker.raw.socket, own);
    let mut received = Vec::new();
    let mut buffer = [0; 2048];
    while let Ok(length) = victim.recv(&mut buffer) {
        received.push(length);
    }
    eprintln!("t46: {spent} bytes from the victim's address, datagrams of {received:?} to it");
    // Ten messages wait, a megabyte. What goes to an address that proves nothing is a challenge, which is to be as long as
    // a datagram, and one probe of the path's size.
    assert!(received.len() <= 2 && received.iter().sum::<usize>() <= 2 * 1472, "{received:?}");

    // A client that really moves goes on where it was.
    let address = inside.address();
    inside.runtime.block_on(async {
        let mut owner = Owner::connect(&address).await;
        owner.subscribe().await;
        let seq = owner.delivered().await.seq;
        owner.ack(seq).await;
        owner.moves();
        owner.settle_among_deliveries().await;
    });
}
