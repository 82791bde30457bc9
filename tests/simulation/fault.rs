//! What goes wrong, and when: each run draws the kinds that it knows, and then the faults from those.

use super::{disk::Trouble, network::Network};

/// A thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A connection of a client is lost in the middle.
    Loss,
    /// Packets are lost for a while; QUIC repairs it, late.
    Packets,
    /// A client is cut off.
    Partition,
    /// A sender deposits everything a second time, at the same time.
    Duplicate,
    /// The process of a client dies.
    Client,
    /// A client's clock jumps.
    ClientClock,
    /// A client reads slowly, or hardly at all.
    SlowReader,
    /// The relay is killed: at some instant of its next commit, or between two.
    Kill,
    /// The relay's machine loses power, likewise.
    Power,
    /// The disk is full in the middle of a commit.
    Full,
    /// Less is free than is to be kept free.
    Low,
    /// A sync fails.
    Sync,
    /// A read fails.
    Read,
    /// The disk takes its time.
    SlowDisk,
    /// The relay's clock jumps, within what a message lives.
    Clock,
    /// It jumps by years.
    Years,
    /// The relay is put back to a backup.
    Restore,
    /// The relay is told to stop, and is started again.
    Drain,
}

impl Fault {
    const ALL: [Self; 18] = [
        Self::Loss,
        Self::Packets,
        Self::Partition,
        Self::Duplicate,
        Self::Client,
        Self::ClientClock,
        Self::SlowReader,
        Self::Kill,
        Self::Power,
        Self::Full,
        Self::Low,
        Self::Sync,
        Self::Read,
        Self::SlowDisk,
        Self::Clock,
        Self::Years,
        Self::Restore,
        Self::Drain,
    ];

    /// The kinds that a run knows, from all kinds to a few: what hides among many shows among few.
    pub(super) fn plan(network: &mut Network) -> Vec<Self> {
        let mut kinds: Vec<Self> = Vec::new();
        let keep = 1 + network.below(6);
        for kind in Self::ALL {
            // What makes the books lenient is rare, so that most runs are strict.
            let lenient = matches!(kind, Self::Years | Self::Restore);
            if network.below(if lenient { 12 } else { 6 }) < keep {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            kinds.push(Self::Power);
        }
        let count = 2 + network.below(12);
        (0..count).map(|_| kinds[network.below(kinds.len() as u64) as usize]).collect()
    }
}

/// At which instant of a commit a process dies.
pub(super) fn death(network: &mut Network) -> Trouble {
    match network.below(4) {
        0 => Trouble::DeathBefore,
        1 => Trouble::DeathWithin,
        2 => Trouble::DeathUnsynced,
        _ => Trouble::DeathAfter,
    }
}
