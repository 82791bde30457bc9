//! Randomness that stands in a vector: each draw is given, in order.

use std::{collections::VecDeque, convert::Infallible};

use rand_core::{TryCryptoRng, TryRng};

/// A source that answers what it was given, and panics when it is asked for something else.
#[derive(Debug, Default)]
pub(crate) struct Draws(VecDeque<u8>);

impl Draws {
    pub(crate) fn of(draws: &[&[u8]]) -> Self {
        Self(draws.concat().into())
    }

    /// Whether all of it was drawn.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("every draw of the protocol is of bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("every draw of the protocol is of bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.0.pop_front().expect("a draw that the vector gives");
        }
        Ok(())
    }
}

impl TryCryptoRng for Draws {}
