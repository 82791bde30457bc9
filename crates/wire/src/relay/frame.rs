//! Cutting a stream of bytes into frames, SPEC §6.5.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use thiserror::Error;

use super::limits;
use crate::strict::DecodeError;

/// A stream that is not one of frames. The connection it came on is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame of no bytes.
    #[error("a frame is empty")]
    Empty,
    /// A frame longer than any may be.
    #[error("a frame is longer than {} bytes", limits::FRAME_BYTES_MAX)]
    TooLong,
    /// Bytes that are no frame of this protocol.
    #[error("a frame cannot be read: {0}")]
    Decode(#[from] DecodeError),
}

/// Collects bytes as they arrive and hands out whole frames, in order.
///
/// It holds at most what was pushed since the last frame was taken: whoever pushes bounds that by taking all frames
/// that there are before pushing more.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: BytesMut,
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// More of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes of the next whole frame, without its length, or `None` until more has arrived.
    ///
    /// # Errors
    /// [`FrameError::Empty`] and [`FrameError::TooLong`] as soon as the length says so (SPEC §6.5 `[frame-length]`).
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some((length, _)) = self.buffer.split_first_chunk::<{ limits::FRAME_LENGTH_BYTES }>()
        else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length > limits::FRAME_BYTES_MAX {
            return Err(FrameError::TooLong);
        }
        if self.buffer.len().saturating_sub(limits::FRAME_LENGTH_BYTES) < length {
            return Ok(None);
        }
        self.buffer.advance(limits::FRAME_LENGTH_BYTES);
        let frame = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() {
            // An idle connection holds no buffer.
            self.buffer = BytesMut::new();
        }
        Ok(Some(frame))
    }

    /// Bytes waiting for the rest of their frame.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

/// A frame's bytes behind their length.
pub(super) fn with_length(frame: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(limits::FRAME_LENGTH_BYTES.saturating_add(frame.len()));
    out.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
    out.put_slice(frame);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests [frame-length]. Seen to fail with the check against FRAME_BYTES_MAX removed.
    #[test]
    fn a_length_out_of_bounds_is_refused_before_its_bytes_arrive() {
        let mut reader = FrameReader::new();
        reader.push(&[0, 0, 0, 0]);
        assert_eq!(reader.next_frame(), Err(FrameError::Empty));
        let mut reader = FrameReader::new();
        reader.push(&u32::MAX.to_be_bytes());
        assert_eq!(reader.next_frame(), Err(FrameError::TooLong));
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut() {
        let stream = [with_length(b"one"), with_length(b"three")].concat();
        for cut in 0..=stream.len() {
            let mut reader = FrameReader::new();
            let mut frames = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                reader.push(part);
                while let Some(frame) = reader.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"one"[..], b"three"]);
            assert_eq!(reader.buffered(), 0);
        }
    }
}
