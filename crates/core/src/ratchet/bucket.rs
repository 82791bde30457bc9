//! The lengths that exist on the wire, and the layout of an envelope. SPEC §5.1, §5.6.

use core::fmt;

use super::header;
use crate::{
    aead::TAG,
    handshake::{InitBlock, InitId},
};

/// The lengths in bytes that an envelope may have. Nothing on the wire has another.
pub const BUCKETS: [usize; 6] = [2048, 4096, 8192, 16384, 32768, 65536];

/// The bucket after the smallest.
pub(crate) const SECOND: usize = 4096;

/// Bytes of an envelope that are not body when no init block rides along.
pub const OVERHEAD: usize = 1 + header::SEALED + TAG;

/// The version byte of an envelope without an init block.
pub(crate) const MESSAGE: u8 = 1;

/// The version byte of an envelope that carries the init block.
pub(crate) const FIRST_MESSAGE: u8 = 2;

/// The smallest bucket that holds `length` bytes.
pub(crate) fn smallest(length: usize) -> Option<usize> {
    BUCKETS.into_iter().find(|bucket| *bucket >= length)
}

/// A sealed message as the relay stores it: an opaque string of one of the [`BUCKETS`].
///
/// One that was sealed here comes out of [`Sealed::commit`](crate::session::Sealed::commit) only, when the store has
/// taken the state that goes with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope(Vec<u8>);

impl Envelope {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({} bytes)", self.0.len())
    }
}

/// An envelope taken apart, nothing of it authentic yet.
pub(crate) struct Parts<'a> {
    pub(crate) version: u8,
    pub(crate) init: Option<&'a [u8; InitBlock::LENGTH]>,
    pub(crate) header: &'a [u8; header::SEALED],
    pub(crate) body: &'a [u8],
    pub(crate) tag: &'a [u8; TAG],
}

impl<'a> Parts<'a> {
    /// Takes an envelope apart. `None` if its length is no bucket or its version unknown: before anything else.
    pub(crate) fn of(envelope: &'a [u8]) -> Option<Self> {
        // SPEC §5.6 [bucket-before-anything].
        if !BUCKETS.contains(&envelope.len()) {
            return None;
        }
        let (version, rest) = envelope.split_first()?;
        let (init, rest) = match *version {
            MESSAGE => (None, rest),
            FIRST_MESSAGE => {
                let (init, rest) = rest.split_first_chunk()?;
                (Some(init), rest)
            }
            _ => return None,
        };
        let (header, rest) = rest.split_first_chunk()?;
        let (body, tag) = rest.split_last_chunk()?;
        Some(Self { version: *version, init, header, body, tag })
    }
    /// The name of the handshake in front, if there is one that decodes.
    pub(crate) fn init_id(&self) -> Option<InitId> {
        InitBlock::decode(self.init?).ok().map(|block| block.id())
    }
}
