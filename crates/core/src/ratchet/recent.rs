//! The tags of the messages opened last, by which a peer that fell back to an older state is recognised. SPEC §5.8.

use std::collections::VecDeque;

use super::acknowledgement::Position;
use crate::{
    aead::TAG,
    codec::{DecodeError, Reader, Writer},
};

/// How many are remembered.
const REMEMBERED: usize = 64;

/// A ring of positions and the beginnings of their tags.
pub(crate) struct Recent(VecDeque<(Position, [u8; 8])>);

/// What is remembered of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Same,
    Different,
    Forgotten,
}

impl Recent {
    /// Nothing yet, with room for all that will be remembered.
    pub(crate) fn new() -> Self {
        Self(VecDeque::with_capacity(REMEMBERED))
    }

    pub(crate) fn push(&mut self, position: Position, tag: &[u8; TAG]) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((position, beginning(tag)));
    }

    pub(crate) fn find(&self, position: Position, tag: &[u8; TAG]) -> Seen {
        match self.0.iter().rev().find(|(at, _)| *at == position) {
            Some((_, seen)) if *seen == beginning(tag) => Seen::Same,
            Some(_) => Seen::Different,
            None => Seen::Forgotten,
        }
    }

    /// What follows its predecessor in the usual way is written as that: nine bytes a message.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.u8(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        let mut before = None;
        for (position, tag) in &self.0 {
            if Some(*position) == before.and_then(next_in_chain) {
                to.u8(NEXT_IN_CHAIN);
            } else if Some(*position) == before.and_then(next_chain) {
                to.u8(NEXT_CHAIN);
            } else {
                to.u8(ELSEWHERE).u64(position.chain).u32(position.n);
            }
            to.bytes(tag);
            before = Some(*position);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = usize::from(from.u8()?);
        if count > REMEMBERED {
            return Err(DecodeError::OutOfRange);
        }
        let mut recent = Self::new();
        let mut before = None;
        for _ in 0..count {
            let (follows, begins) = (before.and_then(next_in_chain), before.and_then(next_chain));
            let position = match from.u8()? {
                NEXT_IN_CHAIN => follows.ok_or(DecodeError::OutOfRange)?,
                NEXT_CHAIN => begins.ok_or(DecodeError::OutOfRange)?,
                ELSEWHERE => {
                    let position = Position { chain: from.u64()?, n: from.u32()? };
                    // SPEC §1.3 [one-encoding].
                    if [follows, begins].contains(&Some(position)) {
                        return Err(DecodeError::OutOfRange);
                    }
                    position
                }
                other => return Err(DecodeError::Unknown(other)),
            };
            recent.0.push_back((position, *from.array()?));
            before = Some(position);
        }
        Ok(recent)
    }
}

const NEXT_IN_CHAIN: u8 = 0;
const NEXT_CHAIN: u8 = 1;
const ELSEWHERE: u8 = 2;

fn next_in_chain(before: Position) -> Option<Position> {
    Some(Position { n: before.n.checked_add(1)?, ..before })
}

fn next_chain(before: Position) -> Option<Position> {
    Some(Position { chain: before.chain.checked_add(1)?, n: 0 })
}

/// The part of the tag under which the header was sealed, which nobody without the header key can exchange.
fn beginning(tag: &[u8; TAG]) -> [u8; 8] {
    let [beginning @ .., _, _, _, _, _, _, _, _] = *tag;
    beginning
}
