//! The chain: a seekable, puncturable tree of message keys.
//!
//! ```text
//! chain key ── spine 0 ─── spine 1 ─────── spine 2 ──────────── …
//!                │            │               │
//!              leaf 0        ┌┴┐           ┌──┴──┐      segment k is a binary tree of 2^k leaves
//!                            1 2          ┌┴┐   ┌┴┐
//!                                         3 4   5 6
//! ```
//! A chain holds the keys of subtrees that were never opened, in order, and the rest of the spine. Taking a leaf
//! deletes everything from which it could be derived again and keeps what covers the others: one loss costs one
//! node, a gap of any length O(log n), and so does a jump. SPEC §5.3.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    codec::{DecodeError, Reader, Writer},
    kdf, label,
    ratchet::GAP_DAYS,
    secret::Key,
};

/// A chain of message keys, for either direction. The default one has no leaf.
#[derive(Default)]
pub(crate) struct Chain {
    spine: Spine,
    nodes: Nodes,
    /// One more than the highest leaf that was taken; the length once the chain ended.
    next: u32,
    /// Leaves below were given up before they were taken, or were taken.
    closed_below: u32,
    /// Days, and what `next` was when each began.
    marks: Vec<Mark>,
}

/// Why there is no key for an index. The chain is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// It was taken before.
    Taken,
    /// It lies below the watermark of what was given up; it may have been taken before.
    Closed,
    /// The chain ended before this index, or the index is the last of 32 bits, which is never used.
    Beyond,
}

/// What taking one leaf would change, computed without touching the chain; the keys lie in a [`Draft`].
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    n: u32,
    at: usize,
    replaces: bool,
}

/// The keys that would remain beside a leaf. It is kept from one message to the next for the sake of its room.
#[derive(Default)]
pub(crate) struct Draft {
    fresh: Nodes,
    spine: Spine,
}

/// At the start of `day` every leaf below `n` had been taken or passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    day: u32,
    n: u32,
}

impl Chain {
    /// The first leaf to be taken of the chain that would grow from `key`, for [`Self::begin`].
    pub(crate) fn look_ahead_from(
        key: Key,
        n: u32,
        draft: &mut Draft,
    ) -> Result<(Ahead, Key), NoKey> {
        if n == u32::MAX {
            return Err(NoKey::Beyond);
        }
        Ok(Spine { segment: 0, key }.look_ahead(n, 0, draft))
    }

    /// Begins anew with a first leaf taken. Nothing of the chain before is left but the room that it took.
    pub(crate) fn begin(&mut self, ahead: Ahead, draft: &mut Draft) {
        self.retire();
        self.marks.clear();
        (self.next, self.closed_below) = (0, 0);
        self.take(ahead, draft);
    }

    /// Deletes every key; the length stays.
    pub(crate) fn retire(&mut self) {
        self.spine = Spine::default();
        self.nodes.clear();
    }

    /// One more than the highest leaf taken: the length so far.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// How many keys of subtrees are held, the spine not counted.
    pub(crate) fn size(&self) -> usize {
        self.nodes.0.len()
    }

    /// Leaves `0..contiguous()` were all taken or given up.
    pub(crate) fn contiguous(&self) -> u32 {
        self.nodes.0.first().map_or(self.next, |node| node.start.min(self.next))
    }

    /// Whether a leaf below `next` is still to come.
    pub(crate) fn has_gaps(&self) -> bool {
        self.contiguous() < self.next
    }

    /// Whether anything can still be taken.
    pub(crate) fn is_spent(&self) -> bool {
        self.spine.is_over() && self.nodes.0.is_empty()
    }

    /// Derives leaf `n`, and into `draft` what would remain without it. At most 130 HMACs.
    pub(crate) fn look_ahead(&self, n: u32, draft: &mut Draft) -> Result<(Ahead, Key), NoKey> {
        if n == u32::MAX {
            return Err(NoKey::Beyond);
        }
        if n >= self.spine.start() {
            return Ok(self.spine.look_ahead(n, self.nodes.0.len(), draft));
        }
        self.look_ahead_in_a_node(n, draft)
    }

    /// Commits to having taken a leaf. `ahead` and `draft` must come from this very state.
    pub(crate) fn take(&mut self, ahead: Ahead, draft: &mut Draft) {
        self.nodes.splice(ahead.at, usize::from(ahead.replaces), &draft.fresh.0);
        if !draft.spine.is_over() {
            core::mem::swap(&mut self.spine, &mut draft.spine);
        }
        draft.clear();
        self.next = self.next.max(ahead.n.saturating_add(1));
    }

    /// Remembers that today every leaf below `next` had been taken or passed over before, for [`Self::expire`].
    pub(crate) fn mark(&mut self, day: u32) {
        let last = self.marks.last().copied().unwrap_or_default();
        if last.n < self.next && (self.marks.is_empty() || last.day < day) {
            self.marks.push(Mark { day, n: self.next });
        }
    }

    /// Ends the chain at `length`: nothing from there on can be taken. False, and no change, if a leaf at or beyond
    /// `length` was taken already.
    pub(crate) fn end_at(&mut self, length: u32, day: u32) -> bool {
        if length < self.next {
            return false;
        }
        while self.spine.start() < length {
            let (root, rest) = self.spine.split();
            self.nodes.push(root);
            self.spine = rest;
        }
        self.spine = Spine::default();
        while let Some(last) = self.nodes.0.last()
            && last.end() > u64::from(length)
        {
            let Some(last) = self.nodes.pop() else { break };
            if last.start < length {
                for kept in &last.below(length).0 {
                    self.nodes.push(*kept);
                }
                break;
            }
        }
        self.next = length;
        if !self.is_spent() {
            self.marks.push(Mark { day, n: length });
        }
        true
    }

    /// Gives up the lowest gaps, as many as hold `nodes` keys. Returns the new watermark, or `None` if there is no gap.
    pub(crate) fn close_lowest_gaps(&mut self, nodes: usize) -> Option<u32> {
        let gaps = self.nodes.0.iter().take(nodes).take_while(|node| node.start < self.next);
        let (count, last) = gaps.enumerate().last()?;
        let end = u32::try_from(last.end()).unwrap_or(u32::MAX);
        self.nodes.splice(0, count.saturating_add(1), &[]);
        self.closed_below = self.closed_below.max(end);
        Some(self.closed_below)
    }

    /// Gives up the gaps that are at least `days` old. Returns the new watermark if there were any.
    pub(crate) fn expire(&mut self, day: u32, days: u32) -> Option<u32> {
        let old = self.marks.iter().rposition(|mark| mark.day.saturating_add(days) <= day)?;
        let below = self.marks.get(old).map_or(0, |mark| mark.n);
        // The mark itself stays: it is what says that everything below is at least that old.
        self.marks.drain(..old);
        let gone = self.nodes.0.iter().take_while(|node| node.start < below).count();
        if gone == 0 {
            return None;
        }
        self.nodes.splice(0, gone, &[]);
        self.closed_below = self.closed_below.max(below);
        Some(self.closed_below)
    }

    fn look_ahead_in_a_node(&self, n: u32, draft: &mut Draft) -> Result<(Ahead, Key), NoKey> {
        let at = self.nodes.0.partition_point(|node| node.end() <= u64::from(n));
        match self.nodes.0.get(at).filter(|node| node.start <= n) {
            Some(node) => {
                draft.clear();
                let leaf = node.descend(n, &mut draft.fresh);
                Ok((Ahead { n, at, replaces: true }, leaf))
            }
            None if n < self.closed_below => Err(NoKey::Closed),
            None if n < self.next => Err(NoKey::Taken),
            None => Err(NoKey::Beyond),
        }
    }

    pub(crate) fn write(&self, to: &mut Writer) {
        to.flag(!self.spine.is_over());
        if !self.spine.is_over() {
            to.u8(self.spine.segment).key(&self.spine.key);
        }
        to.u32(self.next).u32(self.closed_below);
        to.u32(u32::try_from(self.nodes.0.len()).unwrap_or(u32::MAX));
        for node in &self.nodes.0 {
            to.u32(node.start).u8(node.height).bytes(&node.key);
        }
        to.u8(u8::try_from(self.marks.len()).unwrap_or(u8::MAX));
        for mark in &self.marks {
            to.u32(mark.day).u32(mark.n);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let spine = match from.flag()? {
            true => match (from.u8()?, from.key()?) {
                (segment @ 0..=32, key) => Spine { segment, key },
                _ => return Err(DecodeError::OutOfRange),
            },
            false => Spine::default(),
        };
        let (next, closed_below) = (from.u32()?, from.u32()?);
        let count = usize::try_from(from.u32()?).unwrap_or(usize::MAX);
        if count > from.remaining() / 37 {
            return Err(DecodeError::Truncated);
        }
        let mut nodes = Nodes::with_room(count.saturating_add(4));
        let mut free = 0;
        for _ in 0..count {
            let node = Node { start: from.u32()?, height: from.u8()?, key: *from.array()? };
            // The look-up relies on the order.
            if u64::from(node.start) < free || node.height > 31 {
                return Err(DecodeError::OutOfRange);
            }
            free = node.end();
            nodes.push(node);
        }
        let count = from.u8()?;
        if u32::from(count) > MAX_MARKS {
            return Err(DecodeError::OutOfRange);
        }
        let mut marks = Vec::with_capacity(usize::from(count).saturating_add(1));
        for _ in 0..count {
            marks.push(Mark { day: from.u32()?, n: from.u32()? });
        }
        Ok(Self { spine, nodes, next, closed_below, marks })
    }
}

/// More than a chain ever has: one for each day before a gap is given up, one that is older, and that of its end.
const MAX_MARKS: u32 = 2 * GAP_DAYS;

#[cfg(any(test, feature = "hazmat"))]
impl Chain {
    /// The chain that grows from `key`, nothing taken yet.
    pub(crate) fn new(key: Key) -> Self {
        Self { spine: Spine { segment: 0, key }, ..Self::default() }
    }

    /// Looks ahead and commits in one step.
    pub(crate) fn take_now(&mut self, n: u32) -> Result<[u8; 32], NoKey> {
        let mut draft = Draft::default();
        let (ahead, leaf) = self.look_ahead(n, &mut draft)?;
        self.take(ahead, &mut draft);
        Ok(*leaf.expose())
    }
}

#[cfg(feature = "hazmat")]
impl Chain {
    /// The segment at which the spine stands and its key; none once the chain ended.
    pub(crate) fn expose_spine(&self) -> Option<(u8, [u8; 32])> {
        (!self.spine.is_over()).then(|| (self.spine.segment, *self.spine.key.expose()))
    }

    /// The first leaf, the height and the key of each subtree, in order.
    pub(crate) fn expose_nodes(&self) -> Vec<(u32, u8, [u8; 32])> {
        self.nodes.0.iter().map(|node| (node.start, node.height, node.key)).collect()
    }
}

#[cfg(feature = "hazmat")]
impl Clone for Chain {
    fn clone(&self) -> Self {
        let mut nodes = Nodes::default();
        nodes.splice(0, 0, &self.nodes.0);
        let Spine { segment, ref key } = self.spine;
        let spine = Spine { segment, key: Key::new(*key.expose()) };
        let Self { spine: _, nodes: _, next, closed_below, ref marks } = *self;
        Self { spine, nodes, next, closed_below, marks: marks.clone() }
    }
}

impl Draft {
    /// Wipes what a look ahead left that nobody committed.
    pub(crate) fn clear(&mut self) {
        self.fresh.clear();
        self.spine = Spine::default();
    }
}

/// The rest of the exponential spine: everything from leaf `2^segment - 1` on.
struct Spine {
    segment: u8,
    key: Key,
}

/// The spine of a chain that ended. Its key is zeros, and not what lay there by chance, as in an option that is none.
impl Default for Spine {
    fn default() -> Self {
        Self { segment: OVER, key: Key::new([0; 32]) }
    }
}

const OVER: u8 = u8::MAX;

impl Spine {
    fn is_over(&self) -> bool {
        self.segment == OVER
    }

    /// The first leaf from here on; beyond them all once the chain ended.
    fn start(&self) -> u32 {
        1_u32.checked_shl(u32::from(self.segment)).map_or(u32::MAX, |leaves| leaves - 1)
    }

    /// The root of this segment's tree, and the spine after it.
    fn split(&self) -> (Node, Spine) {
        let [root, rest] = kdf::pair(self.key.expose(), [label::CHAIN_SEGMENT, label::CHAIN_SPINE]);
        (
            Node { start: self.start(), height: self.segment, key: *root.expose() },
            Spine { segment: self.segment.saturating_add(1), key: rest },
        )
    }

    /// Leaf `n`, at or beyond the start, for a chain that holds `held` nodes.
    fn look_ahead(&self, n: u32, held: usize, draft: &mut Draft) -> (Ahead, Key) {
        draft.clear();
        let (mut root, mut rest) = self.split();
        while root.end() <= u64::from(n) {
            draft.fresh.push(root);
            (root, rest) = rest.split();
        }
        let leaf = root.descend(n, &mut draft.fresh);
        root.zeroize();
        draft.spine = rest;
        (Ahead { n, at: held, replaces: false }, leaf)
    }
}

/// A subtree of `2^height` leaves that begins at leaf `start`.
#[derive(Clone, Copy, Zeroize)]
struct Node {
    start: u32,
    height: u8,
    key: [u8; 32],
}

impl Node {
    fn end(&self) -> u64 {
        u64::from(self.start).saturating_add(1_u64 << self.height.min(32))
    }

    fn children(&self) -> (Node, Node) {
        let height = self.height.saturating_sub(1);
        let [left, right] = kdf::pair(&self.key, [label::CHAIN_LEFT, label::CHAIN_RIGHT]);
        let middle = self.start.saturating_add(1_u32 << height.min(31));
        (
            Node { start: self.start, height, key: *left.expose() },
            Node { start: middle, height, key: *right.expose() },
        )
    }

    /// The leaf `n` of this subtree; the subtrees beside the path go to `fresh`, in order.
    fn descend(&self, n: u32, fresh: &mut Nodes) -> Key {
        let mut node = *self;
        let mut at = fresh.0.len();
        while node.height > 0 {
            let (left, right) = node.children();
            node.zeroize();
            // Right siblings come nearer and nearer, so each goes before those already there.
            if n < right.start {
                fresh.insert(at, right);
                node = left;
            } else {
                fresh.insert(at, left);
                at += 1;
                node = right;
            }
        }
        let leaf = Key::new(node.key);
        node.zeroize();
        leaf
    }

    /// The subtrees that cover the leaves below `length`, in order.
    fn below(mut self, length: u32) -> Nodes {
        let mut kept = Nodes::with_room(usize::from(self.height).saturating_add(1));
        while self.start < length && self.height > 0 && self.end() > u64::from(length) {
            let (left, right) = self.children();
            if right.start <= length {
                kept.push(left);
                self = right;
            } else {
                self = left;
            }
        }
        if self.end() <= u64::from(length) {
            kept.push(self);
        }
        self.zeroize();
        kept
    }
}

/// Nodes in order of `start`. Growing and shrinking leave no stale key behind.
#[derive(Default, ZeroizeOnDrop)]
struct Nodes(Vec<Node>);

/// Room that is taken at once, so that a chain without gaps seldom asks for more: one of 2^32 leaves holds 62 nodes.
const ROOM: usize = 32;

impl Nodes {
    fn with_room(room: usize) -> Self {
        Self(Vec::with_capacity(room))
    }

    fn grow(&mut self, more: usize) {
        let needed = self.0.len().saturating_add(more);
        if needed > self.0.capacity() {
            let mut grown = Vec::with_capacity(needed.next_power_of_two().max(ROOM));
            grown.extend_from_slice(&self.0);
            core::mem::swap(&mut self.0, &mut grown);
            grown.zeroize();
        }
    }

    fn clear(&mut self) {
        self.0.iter_mut().zeroize();
        self.0.clear();
    }

    fn push(&mut self, node: Node) {
        self.grow(1);
        self.0.push(node);
    }

    fn insert(&mut self, at: usize, node: Node) {
        self.grow(1);
        self.0.insert(at.min(self.0.len()), node);
    }

    fn pop(&mut self) -> Option<Node> {
        let node = self.0.pop();
        self.0.spare_capacity_mut().zeroize();
        node
    }

    fn splice(&mut self, at: usize, removed: usize, fresh: &[Node]) {
        self.grow(fresh.len());
        let at = at.min(self.0.len());
        let end = at.saturating_add(removed).min(self.0.len());
        self.0.splice(at..end, fresh.iter().copied());
        if removed > fresh.len() {
            self.0.spare_capacity_mut().zeroize();
        }
    }
}

#[cfg(test)]
mod tests;
