//! Proofs of address: who gets asked for one, and what one is good for.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use chopmark_relay::limits::{Limit, Limits};

use crate::process::{
    client::Sender,
    inside::Inside,
    raw::{
        Raw,
        packet::{Space, crypto},
    },
};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Everyone is asked.
fn asking(lifetime: Duration) -> Limits {
    Limits { retry_above: 0, retry_token_time: lifetime, ..Limits::default() }
}

/// A client that was asked to prove its address and has not answered: its hello, its token in place.
fn asked(inside: &Inside, from: IpAddr) -> (Raw, Vec<u8>) {
    let mut raw = Raw::new(inside.to(), from);
    let hello = raw.hello();
    raw.send(Space::Initial, &crypto(0, &hello));
    assert!(raw.receive());
    assert!(!raw.token.is_empty(), "asked for its address");
    (raw, hello)
}

/// Answers, and says whether a handshake came of it.
fn answers(mut raw: Raw, hello: &[u8]) -> bool {
    raw.send(Space::Initial, &crypto(0, hello));
    raw.socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    for _ in 0..10 {
        if !raw.receive() {
            break;
        }
        if raw.heard.contains(&crate::process::raw::packet::Frame::HandshakeDone) {
            return true;
        }
    }
    false
}

// Seen to fail with a token good for an hour, and with nobody asked.
#[test]
fn t41_a_proof_of_address_is_good_for_its_address_its_time_and_its_relay() {
    let mut inside = Inside::start(asking(Duration::from_secs(1)));
    let (raw, hello) = asked(&inside, LOCAL);
    assert!(answers(raw, &hello), "from there, in time");
    // The same proof from another address of this machine, and from another port.
    for from in ["127.0.0.9", "127.0.0.1"] {
        let (mut raw, hello) = asked(&inside, LOCAL);
        raw.socket = Raw::new(inside.to(), from.parse().unwrap()).socket;
        assert!(!answers(raw, &hello), "from {from}");
    }
    // Late.
    let (mut raw, hello) = asked(&inside, LOCAL);
    raw.listen(Duration::from_millis(2100), false);
    assert!(!answers(raw, &hello), "late");
    // Made up, cut, and longer.
    for change in [
        |token: &mut Vec<u8>| token[3] ^= 1,
        |token: &mut Vec<u8>| token.truncate(9),
        |token: &mut Vec<u8>| token.push(0),
    ] {
        let (mut raw, hello) = asked(&inside, LOCAL);
        change(&mut raw.token);
        assert!(!answers(raw, &hello), "changed");
    }
    // Of the relay's former life.
    let (raw, hello) = asked(&inside, LOCAL);
    inside.again(asking(Duration::from_secs(15)));
    assert!(!answers(raw, &hello), "after a restart");
    // Asked and never answering, many times over: nothing is held for them.
    for _ in 0..500 {
        let mut raw = Raw::new(inside.to(), LOCAL);
        raw.begin();
    }
    assert!(inside.bites(Limit::Retry) >= 100);
    // Whoever answers is served all the while.
    let address = inside.address();
    inside.runtime.block_on(async { drop(Sender::connect(&address).await) });
}
