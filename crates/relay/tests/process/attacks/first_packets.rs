//! What arrives before there is a connection.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use crate::{
    process::{
        client::{Owner, Sender, envelope},
        raw::{
            Raw,
            packet::{Space, crypto, varint},
        },
        server::Server,
    },
    runtime,
};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The relay is alive: it takes a message and delivers it.
fn serves(server: &mut Server) {
    runtime().block_on(async {
        let mut owner = Owner::connect(&server.address).await;
        let capability = owner.mailbox(1).await;
        owner.subscribe().await;
        let fresh = rand::random();
        Sender::connect(&server.address).await.stored(&capability, envelope(fresh)).await;
        let it = owner.delivered().await;
        assert_eq!(it.envelope, envelope(fresh));
        owner.ack(it.seq).await;
        owner.settle().await;
    });
    assert!(server.runs());
}

/// A transport parameter of these bytes.
fn parameter(name: u64, value: &[u8]) -> Vec<u8> {
    [varint(name), varint(value.len() as u64), value.to_vec()].concat()
}

// Seen to fail with a handshake that comes to nothing ending the relay.
#[test]
fn t38_whatever_a_first_packet_holds_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), None, &[]);
    let to = server.listen();
    serves(&mut server);

    // Every first byte, with lengths around what a packet needs.
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    for first in 0..=255_u8 {
        for length in [1, 7, 21, 1199, 1200, 1452] {
            let mut garbage: Vec<u8> = (0..length).map(|_| rand::random()).collect();
            garbage[0] = first;
            let _ = socket.send_to(&garbage, to);
            // The same as a version that the relay speaks.
            if length > 5 {
                garbage[1..5].copy_from_slice(&[0, 0, 0, 1]);
                let _ = socket.send_to(&garbage, to);
            }
        }
    }
    serves(&mut server);

    // A first packet that is genuine, under its keys, with frames that nobody knows or that do not belong there.
    let strange: [&[u8]; 9] = [
        &[0x1f],
        &[0x21, 0xff, 0xff],
        &[0x40, 0x00],
        &[0xff; 9],
        &[0x0e, 0x00, 0x00, 0x01, 0x61],
        &[0x1e],
        &[0x07, 0x01, 0x61],
        &[0x02, 0x7f, 0x00, 0x7f, 0x00],
        &[0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x61],
    ];
    for frames in strange {
        let mut raw = Raw::new(to, LOCAL);
        raw.send(Space::Initial, frames);
        let hello = raw.hello();
        raw.send(Space::Initial, &[crypto(0, &hello), frames.to_vec()].concat());
        raw.listen(std::time::Duration::from_millis(20), false);
    }
    serves(&mut server);

    // Transport parameters that no client may send.
    let id = [7; 8];
    let good = [parameter(0x0f, &id), parameter(0x04, &varint(1 << 20))].concat();
    assert!(Raw::with_parameters(to, LOCAL, id.to_vec(), good.clone()).connect(), "the control");
    let bad: [Vec<u8>; 11] = [
        Vec::new(),
        parameter(0x0f, &[8; 8]),
        [good.clone(), good.clone()].concat(),
        [good.clone(), parameter(0x02, &[1; 16])].concat(),
        [good.clone(), parameter(0x00, &[1; 8])].concat(),
        [good.clone(), parameter(0x03, &varint(1199))].concat(),
        [good.clone(), parameter(0x0a, &varint(21))].concat(),
        [good.clone(), parameter(0x0b, &varint(1 << 14))].concat(),
        [good.clone(), parameter(0x0e, &varint(1))].concat(),
        [good.clone(), parameter(0x08, &varint((1 << 60) + 1))].concat(),
        [good.clone(), vec![0x04, 0x08, 0xff]].concat(),
    ];
    for parameters in bad {
        let mut raw = Raw::with_parameters(to, LOCAL, id.to_vec(), parameters.clone());
        assert!(!raw.connect(), "{parameters:x?}");
        assert!(raw.closed().is_some(), "told: {parameters:x?}");
    }

    // A ClientHello in pieces, last byte first, some twice; and one with a hole far ahead.
    let mut raw = Raw::new(to, LOCAL);
    let hello = raw.hello();
    for (at, byte) in hello.iter().enumerate().rev() {
        let piece = crypto(at as u64, &[*byte]);
        let twice = if at % 3 == 0 { piece.clone() } else { Vec::new() };
        raw.send(Space::Initial, &[piece, twice].concat());
    }
    raw.listen(std::time::Duration::from_millis(300), false);
    let mut raw = Raw::new(to, LOCAL);
    raw.send(Space::Initial, &crypto(1 << 40, b"far"));
    raw.listen(std::time::Duration::from_millis(50), false);
    assert!(raw.closed().is_some(), "{:?}", raw.heard);
    serves(&mut server);
}
