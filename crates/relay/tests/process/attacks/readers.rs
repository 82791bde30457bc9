//! Clients that take, or send, as little as they can.

use std::time::Duration;

use chopmark_relay::limits::{Limit, Limits};

use super::{harmless, waiting};
use crate::process::{
    client::{Owner, large_envelope, now},
    inside::Inside,
    raw::{
        CONTROL, Raw,
        owner::RawOwner,
        packet::{Space, stream},
    },
};

// Tests [window]: of what waits, no more than a window is ever in memory. Seen to fail with no time for a write, and with
// slow clients not counted.
#[test]
fn t43_who_never_reads_is_closed_and_its_messages_stay() {
    let limits = Limits {
        slow_after: Duration::from_millis(100),
        write_time: Duration::from_millis(700),
        slow_readers: 1,
        ..Limits::default()
    };
    let inside = Inside::start(limits);
    waiting(&inside, 12);
    let subscribe = || {
        // It lets the relay send a few kilobytes, and never more.
        let mut owner = RawOwner::connect(&inside, 4096);
        owner.machine.subscribe(now(), 0);
        owner.turn();
        owner
    };
    let mut first = subscribe();
    let mut second = subscribe();
    // One place for slow clients: the second has none and goes at once, the first after its time.
    second.raw.listen(Duration::from_millis(300), true);
    first.raw.listen(Duration::from_millis(900), true);
    let closed = [first.raw.closed(), second.raw.closed()];
    assert_eq!(closed, [Some((true, 5)), Some((true, 5))], "over a limit");
    assert_eq!((inside.bites(Limit::SlowReaders), inside.bites(Limit::WriteTime)), (1, 1));
    // Nothing is lost by it.
    let address = inside.address();
    inside.runtime.block_on(async {
        let mut owner = Owner::connect(&address).await;
        owner.subscribe().await;
        for n in 0..12 {
            let it = owner.delivered().await;
            assert_eq!(it.envelope, large_envelope(n));
            owner.ack(it.seq).await;
        }
    });
}

// Seen to fail with half a frame counted as a sign of life.
#[test]
fn t43_who_sends_a_byte_now_and_then_is_closed_in_its_time() {
    let mut limits = Limits::default();
    limits.connection.first_frame_time = Duration::from_millis(500);
    limits.connection.sender_idle_time = Duration::from_millis(500);
    let inside = Inside::start(limits);
    let mut undecided = Raw::connected(inside.to());
    let mut sender = Raw::connected(inside.to());
    let first = harmless(1);
    sender.send(Space::Data, &stream(CONTROL, 0, &first));
    let begun = now();
    // A frame of 16 KiB, a byte at a time.
    for n in 0..40_u64 {
        let byte = if n == 2 { [0x40] } else { [0] };
        undecided.send(Space::Data, &stream(CONTROL, n, &byte));
        sender.send(Space::Data, &stream(CONTROL, first.len() as u64 + n, &byte));
        undecided.listen(Duration::from_millis(30), true);
        sender.listen(Duration::from_millis(30), true);
        if undecided.closed().is_some() && sender.closed().is_some() {
            break;
        }
    }
    assert_eq!((undecided.closed(), sender.closed()), (Some((true, 7)), Some((true, 7))));
    assert!(now().saturating_since(begun) < Duration::from_secs(5));
    assert_eq!((inside.bites(Limit::FirstFrame), inside.bites(Limit::SenderIdle)), (1, 1));
}
