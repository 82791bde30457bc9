//! What a peer has received, as every body says it. SPEC §5.9.

/// Everything that the receiver of this value sent in this session before chain `chain`, and the first `count`
/// messages of that chain, has arrived and was committed.
///
/// Cumulative: it is never taken back, and a later one that says less is a late one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acknowledged {
    /// Number of a chain, counted from 0 in the order in which its sender began them.
    pub chain: u64,
    /// How many messages of that chain, from its beginning.
    pub count: u32,
}

impl Acknowledged {
    /// Nothing yet.
    pub const NOTHING: Self = Self { chain: 0, count: 0 };

    /// Whether this covers the message at `position`.
    pub fn covers(&self, position: Position) -> bool {
        position.chain < self.chain || (position.chain == self.chain && position.n < self.count)
    }
}

/// Which message of one direction of a session: the name of its key, which is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of the chain, counted from 0 in the order in which the sender began them.
    pub chain: u64,
    /// Index in the chain, from 0.
    pub n: u32,
}
