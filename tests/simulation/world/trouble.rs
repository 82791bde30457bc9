//! What goes wrong, done to the world.

use super::{Event, Fault, Network, Trouble, World, fault};

impl World {
    pub(super) fn fault(&mut self, fault: Fault) {
        let client = self.any_client();
        let Self { network, relay, owners, senders, ledger, .. } = self;
        match (fault, &mut relay.node) {
            (Fault::Loss, _) => {
                for link in network.of(client) {
                    network.count("connection lost at a frame");
                    network.lose(link);
                }
            }
            (Fault::Packets, _) => network.lossy_until = network.now + 60_000,
            (Fault::Partition, _) => {
                network.count("partition");
                let time = [5_000, 40_000, 120_000][network.below(3) as usize];
                network.cut(client, time);
            }
            (Fault::Duplicate, _) => {
                if let Some(sender) = senders.get_mut(&client) {
                    network.count("deposits duplicated on another connection");
                    sender.duplicate(network);
                }
            }
            (Fault::Client, _) => {
                network.count("client died");
                match owners.get_mut(&client) {
                    Some(owner) => owner.die(network),
                    None => senders.get_mut(&client).unwrap().die(network),
                }
            }
            (Fault::ClientClock, _) => {
                network.count("client's clock jumps");
                network.client_clocks[client] = jump(network, 400);
            }
            (Fault::SlowReader, _) => {
                network.count("slow reader");
                let pause = [300, 3_000, 40_000][network.below(3) as usize];
                network.slow.insert(client, pause);
            }
            (Fault::Kill | Fault::Power, Some(node)) => {
                let power = fault == Fault::Power;
                if !power {
                    network.count("killed");
                }
                relay.power = power;
                node.disk().trouble = Some(fault::death(network));
                if network.one_in(4) {
                    self.down();
                }
            }
            (Fault::Full, Some(node)) => {
                let more = network.below(20_000) as usize;
                node.disk().fill(more);
            }
            (Fault::Low, Some(node)) => {
                network.count("below the floor of free space");
                node.disk().low = true;
            }
            (Fault::Sync, Some(node)) => {
                node.disk().trouble = Some(Trouble::Sync);
                relay.power = network.one_in(2);
            }
            (Fault::Read, Some(node)) => node.disk().trouble = Some(Trouble::Read),
            (Fault::SlowDisk, Some(node)) => {
                network.count("slow disk");
                relay.disk_delay = [50, 1_000, 20_000][network.below(3) as usize];
                node.disk_delay = relay.disk_delay;
            }
            (Fault::Clock, _) => {
                network.relay_clock = jump(network, 20);
                let forth = network.relay_clock > 0;
                network.count(if forth { "clock jumps forth" } else { "clock jumps back" });
            }
            (Fault::Years, _) => {
                network.count("clock jumps by years");
                network.relay_clock = jump(network, 24 * 3_650);
            }
            (Fault::Restore, Some(node)) => match relay.backup.take() {
                None => relay.backup = Some((node.disk().backup(), ledger.shadow())),
                Some((disk, shadow)) => {
                    network.count("restored from an old backup");
                    self.down();
                    (self.relay.disk, self.relay.restored) = (disk, true);
                    self.ledger.restore(shadow);
                }
            },
            (Fault::Drain, Some(node)) => {
                network.count("drained");
                node.drain(network);
                network.after(5_000, Event::Drained(node.life));
            }
            // It is down.
            (_, None) => {}
        }
    }

    fn any_client(&mut self) -> usize {
        let all: Vec<_> = self.owners.keys().chain(self.senders.keys()).copied().collect();
        all[self.network.below(all.len() as u64) as usize]
    }

    /// The process is gone, one way or another. What is left of its disk depends on whether the power is gone too.
    pub(super) fn down(&mut self) {
        let Self { network, relay, .. } = self;
        let Some(mut node) = relay.node.take() else { return };
        let disk = node.disk();
        match disk.trouble {
            Some(Trouble::Sync) => network.count("sync failed"),
            Some(Trouble::Read) => network.count("read failed"),
            Some(_) if relay.power && disk.unsynced() > 0 => {
                network.count("power cut, unsynced data lost")
            }
            Some(Trouble::DeathWithin) => network.count("killed in the middle of a write"),
            _ => {}
        }
        relay.disk = if std::mem::take(&mut relay.power) {
            network.count("power cut");
            disk.after_a_power_cut(&mut network.rng)
        } else {
            disk.after_a_kill()
        };
        network.relay_died();
        let pause = 100 + network.below(8_000);
        network.after(pause, Event::Start);
    }

    /// From now on all is well.
    pub(super) fn heal(&mut self) {
        let Self { network, relay, owners, senders, .. } = self;
        network.say(|| "all is well from now on".to_owned());
        network.heal();
        relay.disk_delay = 0;
        relay.disk.heal();
        if let Some(node) = &mut relay.node {
            node.disk().heal();
            node.disk_delay = 0;
        }
        for client in owners.keys().chain(senders.keys()) {
            network.after(1_000, Event::WakeClient(*client));
        }
        self.healed = true;
    }
}

/// A jump of a clock: a second, minutes, or up to so many hours; forth or back.
fn jump(network: &mut Network, hours: u64) -> i64 {
    let by = match network.below(3) {
        0 => 1_000,
        1 => 60_000 * (1 + network.below(90)),
        _ => 3_600_000 * (1 + network.below(hours)),
    } as i64;
    if network.one_in(2) { by } else { -by }
}
