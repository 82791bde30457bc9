//! One chain of message keys, with the nodes that it holds in view. SPEC §5.3.

use core::fmt;

use crate::{ratchet::chain, secret::Key};

/// A chain, for either direction.
#[derive(Clone)]
pub struct Chain(chain::Chain);

/// Why there is no key for an index. The chain is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// It was taken before.
    Taken,
    /// It lies below the watermark of what was given up.
    GivenUp,
    /// The chain ended before it, or it is 2^32 - 1.
    Beyond,
}

impl From<chain::NoKey> for NoKey {
    fn from(no_key: chain::NoKey) -> Self {
        match no_key {
            chain::NoKey::Taken => Self::Taken,
            chain::NoKey::Closed => Self::GivenUp,
            chain::NoKey::Beyond => Self::Beyond,
        }
    }
}

/// A subtree of `2^height` leaves that can still be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its first leaf.
    pub start: u32,
    /// Its height: 0 is a leaf.
    pub height: u8,
    /// Its key.
    pub key: [u8; 32],
}

impl Chain {
    /// The chain that grows from this chain key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(chain::Chain::new(Key::new(*key)))
    }

    /// Leaf `n`, without taking it.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn look(&self, n: u32) -> Result<[u8; 32], NoKey> {
        let (_, leaf) = self.0.look_ahead(n, &mut chain::Draft::default())?;
        Ok(*leaf.expose())
    }

    /// Takes leaf `n`.
    ///
    /// # Errors
    /// [`NoKey`]; the chain is as it was.
    pub fn take(&mut self, n: u32) -> Result<[u8; 32], NoKey> {
        Ok(self.0.take_now(n)?)
    }

    /// Ends the chain at `length`. False, and no change, if a leaf from there on was taken.
    pub fn end_at(&mut self, length: u32, day: u32) -> bool {
        self.0.end_at(length, day)
    }

    /// Notes the day, as the first message of a day does.
    pub fn mark(&mut self, day: u32) {
        self.0.mark(day);
    }

    /// Gives up gaps noted `days` ago or earlier; the new watermark if there were any.
    pub fn expire(&mut self, day: u32, days: u32) -> Option<u32> {
        self.0.expire(day, days)
    }

    /// Gives up the lowest gaps that hold `nodes` keys; the new watermark if there were any.
    pub fn close_lowest_gaps(&mut self, nodes: usize) -> Option<u32> {
        self.0.close_lowest_gaps(nodes)
    }

    /// One more than the highest leaf taken; the length of an ended chain.
    pub fn next(&self) -> u32 {
        self.0.next()
    }

    /// How many leaves from 0 on were all taken or given up.
    pub fn contiguous(&self) -> u32 {
        self.0.contiguous()
    }

    /// The next segment and its spine; none once the chain ended.
    pub fn spine(&self) -> Option<(u8, [u8; 32])> {
        self.0.expose_spine()
    }

    /// The subtrees held, in order.
    pub fn nodes(&self) -> Vec<Node> {
        let node = |(start, height, key)| Node { start, height, key };
        self.0.expose_nodes().into_iter().map(node).collect()
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("next", &self.next()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, height, key: _ } = self;
        f.debug_struct("Node").field("start", start).field("height", height).finish_non_exhaustive()
    }
}
