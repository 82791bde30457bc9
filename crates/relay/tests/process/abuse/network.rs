//! Floods of packets, streams and frames.

use std::time::Duration;

use super::{super::attacks::harmless, under};
use crate::process::{
    client::{Owner, Sender, large_envelope, now},
    raw::{
        CONTROL, Raw,
        owner::RawOwner,
        packet::{Space, stream, varint},
    },
};

// 600 handshakes here and 100,000 in `cargo xtask abuse`, none of which goes on, from as many as 250 addresses. Seen to
// fail with nobody asked to prove its address: every handshake was then held for ten seconds.
#[test]
fn t40_handshakes_that_go_nowhere_are_answered_briefly_and_leave_room() {
    under("half-open handshakes", 64, |flood| {
        let (mut sent, mut received, mut asked) = (0, 0, 0);
        let rounds = if flood.scale == 1 { 6 } else { 20 * flood.scale };
        for round in 0..rounds {
            let mut half = Vec::new();
            for n in 0..100 {
                let mut raw = Raw::new(flood.to, flood.from((100 * round + n) % 250));
                raw.begin();
                half.push(raw);
            }
            for mut raw in half {
                raw.mute();
                raw.listen(Duration::from_millis(1), false);
                // Before an address has proved itself it gets at most three times what it sent (RFC 9000, section 8):
                // quinn lets the datagram go that crosses the limit, and none after it.
                assert!(raw.bytes.1 < 3 * raw.bytes.0 + 1472, "{:?}", raw.bytes);
                sent += raw.bytes.0;
                received += raw.bytes.1;
                asked += usize::from(!raw.token.is_empty());
            }
        }
        eprintln!("t40: {sent} bytes out, {received} back, {asked} asked to prove their address");
        assert!(asked > 60 * rounds, "{asked} asked");
    });
}

#[test]
fn streams_without_end_do_not_disturb_others() {
    under("stream floods", 32, |flood| {
        for n in 0..20 * flood.scale as u64 {
            let mut raw = Raw::connected(flood.to);
            for packet in 0..50_u64 {
                let open = |id: u64| stream(4 * (50 * packet + id) + (n % 2) * 2, 0, b"x");
                let payload: Vec<u8> = (0..50).flat_map(open).collect();
                raw.send(Space::Data, &payload);
            }
            let stop = [vec![5], varint(CONTROL), varint(1)].concat();
            raw.send(Space::Data, &stop);
        }
    });
}

#[test]
fn gaps_in_every_stream_do_not_disturb_others() {
    // The budget is 2 MiB a connection (T39).
    let connections = 12;
    under("one-byte gaps", 2 * connections, |flood| {
        let mut all: Vec<_> = (0..connections).map(|_| Raw::connected(flood.to)).collect();
        for round in 0..4 * flood.scale as u64 {
            for raw in &mut all {
                let from = 1 + round % 32 * 2000;
                let ones = (from..from + 2000).step_by(2).flat_map(|at| stream(CONTROL, at, b"x"));
                let bytes: Vec<u8> = ones.collect();
                for part in bytes.chunks(7 * 150) {
                    raw.send(Space::Data, part);
                }
                raw.listen(Duration::from_millis(1), true);
            }
        }
    });
}

#[test]
fn readers_and_writers_that_crawl_do_not_disturb_others() {
    // A reader may have a window under way, a writer one frame: 0.6 MiB each at the most.
    under("slow readers and writers", 16, |flood| {
        let readers = 8;
        crate::runtime().block_on(async {
            for n in 0..readers {
                let mut owner = Owner::connect_as(&flood.address, [n; 32]).await;
                let capability = owner.mailbox(n).await;
                let mut sender = Sender::connect(&flood.address).await;
                for message in 0..6 {
                    sender.stored(&capability, large_envelope(message)).await;
                }
            }
        });
        let mut crawling: Vec<_> = (0..readers)
            .map(|n| {
                let mut owner = RawOwner::connect_as((flood.to, flood.hash()), [n; 32], 4096);
                owner.machine.subscribe(now(), 0);
                owner.turn();
                owner.raw
            })
            .collect();
        crawling.extend((0..readers).map(|_| Raw::connected(flood.to)));
        for n in 0..20 * flood.scale as u64 {
            for raw in &mut crawling {
                raw.send(Space::Data, &stream(CONTROL, 200 + n, &[0]));
                raw.listen(Duration::from_millis(1), false);
            }
        }
    });
}

#[test]
fn empty_frames_at_line_rate_do_not_disturb_others() {
    under("frames at line rate", 32, |flood| {
        for _ in 0..4 * flood.scale {
            let mut raw = Raw::connected(flood.to);
            let mut at = 0;
            for n in 0..100 {
                let frames: Vec<u8> = (0..100).flat_map(|n| harmless(1 + n)).collect();
                let empty = stream(CONTROL, at, b"").repeat(20);
                raw.send(Space::Data, &[empty, stream(CONTROL, at, &frames)].concat());
                at += frames.len() as u64;
                if n % 10 == 0 {
                    raw.listen(Duration::from_millis(1), true);
                }
            }
            // A frame of no bytes, and it is over.
            raw.send(Space::Data, &stream(CONTROL, at, &[0; 4]));
        }
    });
}
