//! When nothing goes wrong any more: does everything come to rest, and is nothing left over?

use std::collections::BTreeSet;

use super::{Fared, Owner, World};

impl World {
    pub(super) fn at_rest(&mut self) -> bool {
        let Self { relay, owners, senders, ledger, .. } = self;
        let idle = relay.node.as_ref().is_some_and(|node| node.idle() && !node.draining);
        idle && owners.values().all(Owner::content)
            && senders.values().all(|sender| sender.content(ledger))
    }

    pub(super) fn restless(&self) -> String {
        let senders = self.senders.values().map(|sender| sender.wanting(&self.ledger));
        let owners =
            self.owners.values().map(|it| format!("owner {}: {}", it.client, it.content()));
        senders.chain(owners).collect::<Vec<_>>().join("; ")
    }

    /// Nothing is left of what was acked, and of the rest nothing once its time is over.
    pub(super) fn rest(&mut self) {
        // The last acks are on their way, perhaps by the next connection.
        let soon = self.network.now + 120_000;
        while let Some(event) = self.network.next(soon) {
            self.event(event);
        }
        let Self { network, relay, owners, .. } = self;
        let node = relay.node.as_mut().expect("the relay runs");
        let now = network.relay_time();
        for owner in owners.values() {
            let waiting = node.waiting(now, owner.mailbox);
            assert_eq!(waiting, 0, "owner {} has acked what still waits", owner.client);
        }
        let clients: BTreeSet<_> = owners.keys().chain(self.senders.keys()).collect();
        let most = 4 * clients.len();
        assert!(node.connections() <= most, "{} connections at rest", node.connections());
        if self.network.one_in(10) {
            self.end();
        }
    }

    /// Long after, nothing is left at all: every message is over, every mailbox idle, every id forgotten.
    fn end(&mut self) {
        let Self { network, relay, ledger, .. } = self;
        let node = relay.node.as_mut().expect("the relay runs");
        // Past every time that any clock of this run may have written down, and a day of rounds to be believed.
        network.relay_clock = 25 * 365 * 24 * 3_600_000;
        for _ in 0..25 * 60 {
            assert_eq!(node.sweep(network, ledger), Fared::Well);
        }
        let census = node.disk().census();
        // The life of the store, its hour of expiry, and the number that comes next.
        assert!(census.values().sum::<usize>() <= 3, "the store keeps what is over: {census:?}");
    }
}
