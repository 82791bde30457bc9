//! Floods on loopback, while somebody well-behaved is served: what they cost in memory, and what they cost others.
//!
//! The tests run small floods. `cargo xtask abuse` runs the same ones `CHOPMARK_ABUSE` times as large, one after another, on
//! a release build. Times are printed and never judged: a machine may be busy. Memory is judged.

mod canaries;
mod files;
mod flood;
mod mailbox;
mod network;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use chopmark_wire::relay::{Capability, CapabilityKind, Rate};
use flood::Flood;

use super::{
    client::{Owner, Sender, envelope},
    server::Server,
};
use crate::runtime;

/// How many times the small flood.
fn scale() -> usize {
    std::env::var("CHOPMARK_ABUSE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1)
}

#[allow(clippy::disallowed_methods, reason = "times are measured here, and only printed")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

/// Deposits and takes messages one by one, and says how long each took from the deposit to the delivery.
struct WellBehaved {
    owner: Owner,
    sender: Sender,
    capability: Capability,
    next: u16,
}

impl WellBehaved {
    async fn connect(address: &str) -> Self {
        let mut owner = Owner::connect_as(address, [200; 32]).await;
        owner.create().await;
        let most = Rate::new(4096, 4096).unwrap();
        let capability = owner.grant([200; 32], CapabilityKind::Private, most).await;
        owner.subscribe().await;
        let sender = Sender::connect(address).await;
        Self { owner, sender, capability, next: 0 }
    }

    async fn once(&mut self) -> Duration {
        if self.next % 4000 == 3999 {
            // A capability lets 4,096 messages in at once.
            let [a, b] = self.next.to_be_bytes();
            let most = Rate::new(4096, 4096).unwrap();
            let capability = [200, a, b, rand::random()].repeat(8);
            let capability = capability.try_into().unwrap();
            self.capability = self.owner.grant(capability, CapabilityKind::Private, most).await;
        }
        let begun = clock();
        self.sender.stored(&self.capability, envelope(self.next)).await;
        let it = self.owner.delivered().await;
        let took = clock().saturating_duration_since(begun);
        assert_eq!(it.envelope, envelope(self.next));
        self.owner.ack(it.seq).await;
        self.next = self.next.wrapping_add(1);
        took
    }

    /// Median and 99th percentile.
    async fn measure(&mut self, count: usize) -> (Duration, Duration) {
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(self.once().await);
        }
        times.sort_unstable();
        (times[count / 2], times[(count * 99 / 100).min(count - 1)])
    }
}

/// Runs a flood against a relay of its own. Resident memory may grow by so many MiB.
fn under(name: &str, bound: u64, flood: impl FnOnce(&Flood) + Send) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), None, &[]);
    let (address, to) = (server.address.clone(), server.listen());
    let measured = 40 * scale().min(10);
    let runtime = runtime();
    let (mut good, (quiet_median, quiet)) = runtime.block_on(async {
        let mut good = WellBehaved::connect(&address).await;
        good.measure(20).await;
        let quiet = good.measure(measured).await;
        (good, quiet)
    });
    let before = server.memory();
    let over = Arc::new(AtomicBool::new(false));
    let told = Told(Arc::clone(&over));
    let (mut peak, mut medians, mut tails) = (0, Vec::new(), Vec::new());
    let (mut connect, address) = (Duration::ZERO, &address);
    thread::scope(|scope| {
        scope.spawn(move || {
            let _told = told;
            flood(&Flood::new(to, address, scale()));
        });
        runtime.block_on(async {
            while medians.is_empty() || !over.load(Ordering::Acquire) {
                let (median, tail) = good.measure(measured.min(40)).await;
                medians.push(median);
                tails.push(tail);
                peak = peak.max(server.memory());
                let begun = clock();
                drop(Sender::connect(address).await);
                connect = connect.max(clock().saturating_duration_since(begun));
            }
        });
    });
    peak = peak.max(server.memory());
    medians.sort_unstable();
    tails.sort_unstable();
    let grown = peak.saturating_sub(before);
    let (median, tail) = (medians[medians.len() / 2], tails[tails.len() / 2]);
    eprintln!(
        "abuse {name}: memory {} MiB more (bound {bound}); deposit to delivery: median \
         {quiet_median:.1?}, p99 {quiet:.1?} undisturbed, median {median:.1?}, p99 {tail:.1?} \
         meanwhile; a newcomer connects within {connect:.1?}",
        grown / 1024,
    );
    assert!(grown <= bound * 1024, "{name}: {grown} KiB");
    assert!(server.runs());
}

/// Says that the flood is over, also when it panics.
struct Told(Arc<AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
