//! The bounds of what is kept for messages that may still come. SPEC §5.3.

use super::{Acknowledged, GAP_DAYS, MAX_GAPPED, MAX_NODES, Ratchet};
use crate::session::Event;

impl Ratchet {
    /// Gives up gaps that are older than anything a relay still holds.
    pub(super) fn expire(&mut self, day: u32, events: &mut Vec<Event>) {
        for receiving in self.gapped.iter_mut().chain(&mut self.receiving) {
            let (number, count) = (receiving.number, receiving.chain.contiguous());
            if let Some(below) = receiving.chain.expire(day, GAP_DAYS) {
                give_up(&mut self.stuck, number, count, below, events);
            }
        }
        self.gapped.retain(|gapped| !gapped.chain.is_spent());
    }

    /// Holds the session to its bounds: the lowest gaps of the oldest chain go first.
    pub(super) fn bound(&mut self, events: &mut Vec<Event>) {
        while self.gapped.len() > MAX_GAPPED {
            let mut oldest = self.gapped.remove(0);
            let (number, count) = (oldest.number, oldest.chain.contiguous());
            if let Some(below) = oldest.chain.close_lowest_gaps(usize::MAX) {
                give_up(&mut self.stuck, number, count, below, events);
            }
        }
        while let surplus @ 1.. = self.nodes().saturating_sub(MAX_NODES) {
            let Some(oldest) =
                self.gapped.iter_mut().chain(&mut self.receiving).find(|r| r.chain.has_gaps())
            else {
                break;
            };
            let (number, count) = (oldest.number, oldest.chain.contiguous());
            if let Some(below) = oldest.chain.close_lowest_gaps(surplus) {
                give_up(&mut self.stuck, number, count, below, events);
            }
            self.gapped.retain(|gapped| !gapped.chain.is_spent());
        }
    }
}

/// Messages were given up: acknowledgement stops before the first of them, so that nothing is lost silently.
fn give_up(
    stuck: &mut Option<Acknowledged>,
    chain: u64,
    count: u32,
    below: u32,
    events: &mut Vec<Event>,
) {
    let here = Acknowledged { chain, count };
    *stuck = Some(stuck.map_or(here, |before| before.min(here)));
    events.push(Event::Evicted { chain, below });
}
