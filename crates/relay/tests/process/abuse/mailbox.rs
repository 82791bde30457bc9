//! Floods of requests, each of which is well-formed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::under;
use crate::process::client::{Owner, envelope};

/// How many clients flood at once.
const CLIENTS: usize = 8;

#[test]
fn fetches_without_end_take_ten_prekeys_an_hour() {
    let handed = Arc::new(AtomicUsize::new(0));
    under("prekey drain", 32, |flood| {
        let knock = crate::runtime().block_on(async {
            let mut owner = Owner::connect_as(&flood.address, [1; 32]).await;
            owner.create().await;
            owner.link([11; 32]).await
        });
        let times = 50 * flood.scale;
        flood.senders(CLIENTS, |_, mut sender| {
            let (knock, handed) = (knock.clone(), Arc::clone(&handed));
            async move {
                for _ in 0..times {
                    if sender.fetch(&knock).await == Some(true) {
                        handed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
    });
    // The hour may turn in between.
    let handed = handed.load(Ordering::Relaxed);
    assert!(handed == 10 || handed == 20, "{handed}");
}

#[test]
fn mailboxes_without_end_do_not_disturb_others() {
    // Loopback is the operator's and has no share of its own: the worst case of many prefixes together.
    under("mailbox creation", 48, |flood| {
        crate::runtime().block_on(async {
            for n in 0..60 * flood.scale {
                let mut key = [3; 32];
                key[..8].copy_from_slice(&n.to_be_bytes());
                Owner::connect_as(&flood.address, key).await.create().await;
            }
        });
    });
}

#[test]
fn a_stranger_who_fills_an_inbox_gets_sixty_four_in() {
    let stored = Arc::new(AtomicUsize::new(0));
    under("inbox flood by a stranger", 48, |flood| {
        let knock = crate::runtime().block_on(async {
            let mut owner = Owner::connect_as(&flood.address, [1; 32]).await;
            owner.create().await;
            owner.link([11; 32]).await
        });
        let times = 50 * flood.scale;
        flood.senders(CLIENTS, |client, mut sender| {
            let (knock, stored) = (knock.clone(), Arc::clone(&stored));
            async move {
                for n in 0..times {
                    let n = u16::try_from((times * client + n) % 65_536).unwrap();
                    if sender.outcome(&knock, envelope(n)).await == Some(true) {
                        stored.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
    });
    // The same envelope again is stored once and answered again.
    assert!(stored.load(Ordering::Relaxed) >= 64);
}
