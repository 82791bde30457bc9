//! The chain of message keys, beside one that keeps every leaf in a set.

use std::collections::BTreeSet;

use chopmark_core::hazmat::chain::{Chain, NoKey};

use super::{definition::leaf, script::Script};

const OPERATIONS: usize = 200;

/// The key from which all of it grows.
const KEY: [u8; 32] = [0x6b; 32];

/// What a chain is, without a tree: which leaves are gone, and the definition for all others.
#[derive(Clone, Default)]
struct Naive {
    taken: BTreeSet<u32>,
    /// Everything below was taken or given up.
    closed_below: u32,
    next: u32,
    end: Option<u32>,
    /// Day, and `next` at its beginning.
    marks: Vec<(u32, u32)>,
}

/// Leaves in any order, ends, bounds and days: the tree gives each leaf once, as the definition has it, holds no node
/// from which one that is gone could be derived, and stays small.
pub fn chain_ops(data: &[u8]) {
    let mut script = Script::new(data);
    let (mut chain, mut naive) = (Chain::new(&KEY), Naive::default());
    let mut day = 100_u32;
    for _ in 0..OPERATIONS {
        let Some(operation) = script.operation() else { break };
        match operation % 16 {
            0..=3 => {
                let n = naive.next;
                take(&mut chain, &mut naive, n);
            }
            4..=7 => {
                let n = script.index(naive.next);
                take(&mut chain, &mut naive, n);
            }
            8 | 9 => {
                let missing = naive.missing(usize::from(script.u8()));
                if let Some(n) = missing {
                    take(&mut chain, &mut naive, n);
                }
            }
            10 => {
                // To look is not to take.
                let n = script.index(naive.next);
                assert_eq!(chain.look(n), naive.key(n));
            }
            11 => {
                chain.mark(day);
                naive.mark(day);
            }
            12 => {
                day = day.wrapping_add(u32::from(script.u8() % 40));
                expire(&mut chain, &mut naive, day);
            }
            13 => bound(&mut chain, &mut naive, usize::from(script.u8() % 9)),
            14 if naive.end.is_none() && script.u8().is_multiple_of(4) => {
                let length = script.index(naive.next);
                let ends = chain.end_at(length, day);
                assert_eq!(ends, length >= naive.next, "an end at {length}");
                if ends {
                    naive.end = Some(length);
                    naive.next = length;
                    naive.marks.push((day, length));
                }
            }
            _ => {
                let copy = chain.clone();
                assert!(copy.nodes() == chain.nodes());
            }
        }
        check(&chain, &naive);
    }
}

fn take(chain: &mut Chain, naive: &mut Naive, n: u32) {
    let before = chain.nodes().len();
    let expected = naive.key(n);
    assert_eq!(chain.take(n), expected, "leaf {n}");
    // A jump costs a path and the spine's segments, whatever its length.
    assert!(
        chain.nodes().len() <= before + 64,
        "a leaf cost {} nodes",
        chain.nodes().len() - before
    );
    if expected.is_ok() {
        naive.taken.insert(n);
        naive.next = naive.next.max(n + 1);
    }
}

fn expire(chain: &mut Chain, naive: &mut Naive, day: u32) {
    let told = chain.expire(day, 30);
    let Some(at) = naive.marks.iter().rposition(|mark| mark.0.saturating_add(30) <= day) else {
        assert_eq!(told, None, "nothing is that old");
        return;
    };
    let below = naive.marks[at].1;
    naive.marks.drain(..at);
    let expected = naive.missing_below(below).then(|| below.max(naive.closed_below));
    assert_eq!(told, expected, "gaps below {below}");
    naive.closed_below = told.unwrap_or(naive.closed_below);
}

fn bound(chain: &mut Chain, naive: &mut Naive, nodes: usize) {
    let before = chain.nodes().len();
    let gaps = chain.nodes().iter().filter(|node| node.start < naive.next).count();
    let told = chain.close_lowest_gaps(nodes);
    assert_eq!(chain.nodes().len(), before - nodes.min(gaps), "as many as were asked for");
    assert_eq!(told.is_some(), nodes.min(gaps) > 0);
    if let Some(below) = told {
        naive.closed_below = naive.closed_below.max(below);
    }
}

impl Naive {
    fn key(&self, n: u32) -> Result<[u8; 32], NoKey> {
        match n {
            u32::MAX => Err(NoKey::Beyond),
            n if n < self.closed_below => Err(NoKey::GivenUp),
            n if self.taken.contains(&n) => Err(NoKey::Taken),
            n if self.end.is_some_and(|end| n >= end) => Err(NoKey::Beyond),
            n => Ok(leaf(&KEY, n)),
        }
    }

    /// The leaf that was skipped `at`-th.
    fn missing(&self, at: usize) -> Option<u32> {
        let near = (self.closed_below..self.next).take(4_096);
        near.filter(|n| !self.taken.contains(n)).nth(at)
    }

    fn missing_below(&self, below: u32) -> bool {
        let gone = self.taken.range(self.closed_below..below.max(self.closed_below)).count();
        below > self.closed_below && gone < (below - self.closed_below) as usize
    }

    fn mark(&mut self, day: u32) {
        let last = self.marks.last().copied().unwrap_or_default();
        if last.1 < self.next && (self.marks.is_empty() || last.0 < day) {
            self.marks.push((day, self.next));
        }
    }
}

/// What holds of every tree.
fn check(chain: &Chain, naive: &Naive) {
    assert_eq!(chain.next(), naive.next);
    let nodes = chain.nodes();
    let mut free = 0_u64;
    for node in &nodes {
        let end = u64::from(node.start) + (1 << node.height);
        assert!(u64::from(node.start) >= free, "nodes lie in each other");
        free = end;
        // Nothing that is gone can be derived again.
        let gone = naive.taken.range(node.start..).next().is_some_and(|n| u64::from(*n) < end);
        assert!(!gone, "the key of an opened message is still there");
        assert!(node.start >= naive.closed_below, "what was given up is still there");
        assert!(naive.end.is_none_or(|length| end <= u64::from(length)), "behind the end");
        if node.height == 0 {
            assert!(node.key == leaf(&KEY, node.start));
        }
    }
    let contiguous = chain.contiguous();
    assert!(!naive.missing_below(contiguous), "something is missing below {contiguous}");
    assert!(contiguous == naive.next || naive.key(contiguous).is_ok());
    match chain.spine() {
        Some((segment, _)) => {
            let start = (1_u64 << segment) - 1;
            assert!(start >= free, "the spine lies in a node");
            assert!(naive.end.is_none() && start >= u64::from(naive.next));
        }
        None => assert!(naive.end.is_some()),
    }
}
