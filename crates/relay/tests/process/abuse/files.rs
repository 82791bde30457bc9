//! More connections than the relay may open files.

use std::time::Duration;

use super::scale;
use crate::process::{
    client::{Owner, Sender, envelope},
    server::Server,
};

// 200 connections here and 1,000 in `cargo xtask abuse`.
#[test]
fn t53_a_relay_that_may_open_thirty_two_files_serves_a_thousand_clients() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with_files(folder.path(), 32);
    let waves = if scale() == 1 { 2 } else { 10 };
    crate::runtime().block_on(async {
        let mut owner = Owner::connect(&server.address).await;
        let capability = owner.mailbox(1).await;
        owner.subscribe().await;
        for wave in 0..waves {
            let mut held = Vec::new();
            for _ in 0..100 {
                held.push(Sender::connect(&server.address).await);
            }
            let last = held.last_mut().unwrap();
            last.stored(&capability, envelope(wave)).await;
            let it = owner.delivered().await;
            assert_eq!(it.envelope, envelope(wave));
            owner.ack(it.seq).await;
        }
        // It does not spin.
        let before = server.ticks();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let spent = server.ticks() - before;
        assert!(spent < 50, "{spent} hundredths of a second with nothing to do");
    });
    assert!(server.runs());
}
