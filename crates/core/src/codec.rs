//! The fixed-layout encoding of everything that this crate signs, hashes or stores (SPEC §1.3).
//!
//! Big-endian integers, exact arrays and length-prefixed strings, read once from front to back. There is one encoding
//! of each value: a reader takes nothing else, and [`Reader::finish`] refuses what is left over.

use core::fmt;

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::{Key, Secret};

/// Bytes that are not an encoding of what was asked for. Nothing was taken from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("input ends too early")]
    Truncated,
    /// Bytes are left after the value.
    #[error("input is too long")]
    TrailingBytes,
    /// A version or kind byte that this version of the protocol does not know.
    #[error("version or kind {0} is unknown")]
    Unknown(u8),
    /// A number or length outside the limits that the specification sets for it.
    #[error("a value is outside its limits")]
    OutOfRange,
    /// A key that is not one: not on the curve, not canonical, of low order, or above the modulus.
    #[error("a key is not valid")]
    InvalidKey,
}

/// Reads a fixed layout from front to back.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// How much is left, never what: it may be secret.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("remaining", &self.rest.len()).finish()
    }
}

impl<'a> Reader<'a> {
    /// A reader at the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next 32 bytes as a secret.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn secret(&mut self) -> Result<Secret, DecodeError> {
        let bytes = self.array::<32>()?;
        Ok(Secret::written(|secret| secret.copy_from_slice(bytes)))
    }

    /// The next 32 bytes as a key, in its place.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn key(&mut self) -> Result<Key, DecodeError> {
        self.array().map(|bytes| Key::new(*bytes))
    }

    /// A `u8`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|bytes| u8::from_be_bytes(*bytes))
    }

    /// A big-endian `u16`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// A big-endian `u32`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A big-endian `u64`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// A flag: a byte that is 0 or 1 and nothing else.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], or [`DecodeError::OutOfRange`] for another byte.
    pub fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::OutOfRange),
        }
    }

    /// `var16`: a `u16` length and that many bytes, at most `limit`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], or [`DecodeError::OutOfRange`] when the length is above `limit`.
    pub fn var16(&mut self, limit: usize) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(self.u16()?);
        if length > limit {
            return Err(DecodeError::OutOfRange);
        }
        self.bytes(length)
    }

    /// `var32`: a `u32` length and that many bytes, at most `limit`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], or [`DecodeError::OutOfRange`] when the length is above `limit`.
    pub fn var32(&mut self, limit: usize) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.u32()?).map_err(|_| DecodeError::OutOfRange)?;
        if length > limit {
            return Err(DecodeError::OutOfRange);
        }
        self.bytes(length)
    }

    /// Everything that is left; the reader is at its end then.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The end.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] when anything is left (SPEC §1.3 `[no-trailing-bytes]`).
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }
}

/// Lays `parts` one behind another into the front of `bytes`. Returns how many bytes they took, or 0 and nothing laid if
/// there is no room.
pub(crate) fn lay(bytes: &mut [u8], parts: &[&[u8]]) -> usize {
    let length = parts.iter().map(|part| part.len()).sum();
    let Some(mut rest) = bytes.get_mut(..length) else { return 0 };
    for part in parts {
        let Some((slot, behind)) = rest.split_at_mut_checked(part.len()) else { return 0 };
        slot.copy_from_slice(part);
        rest = behind;
    }
    length
}

/// A string too long for its length prefix. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a string is too long for its length prefix")]
pub struct TooLong;

/// Writes a fixed layout from front to back.
///
/// What it holds may be secret: growing wipes the smaller buffer, and so does dropping.
#[derive(Default)]
pub struct Writer {
    written: Zeroizing<Vec<u8>>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { written: Zeroizing::new(Vec::with_capacity(capacity)) }
    }

    /// The bytes as they are; the length is known to the reader.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let needed = self.written.len().saturating_add(bytes.len());
        if needed > self.written.capacity() {
            let mut larger = Vec::with_capacity(needed.saturating_mul(2).max(64));
            larger.extend_from_slice(&self.written);
            // The old buffer is wiped as it is dropped.
            self.written = Zeroizing::new(larger);
        }
        self.written.extend_from_slice(bytes);
        self
    }

    /// The 32 bytes of a key.
    pub fn key(&mut self, key: &Key) -> &mut Self {
        self.bytes(key.expose())
    }

    /// The 32 bytes of a secret.
    pub fn secret(&mut self, secret: &Secret) -> &mut Self {
        self.bytes(secret.expose())
    }

    /// A `u8`.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    /// A big-endian `u16`.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A big-endian `u32`.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A big-endian `u64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A flag: 0 or 1.
    pub fn flag(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// `var16`: a `u16` length and the bytes.
    ///
    /// # Errors
    /// [`TooLong`] above 65,535 bytes.
    pub fn var16(&mut self, bytes: &[u8]) -> Result<&mut Self, TooLong> {
        let length = u16::try_from(bytes.len()).map_err(|_| TooLong)?;
        Ok(self.u16(length).bytes(bytes))
    }

    /// `var32`: a `u32` length and the bytes.
    ///
    /// # Errors
    /// [`TooLong`] above 4,294,967,295 bytes.
    pub fn var32(&mut self, bytes: &[u8]) -> Result<&mut Self, TooLong> {
        let length = u32::try_from(bytes.len()).map_err(|_| TooLong)?;
        Ok(self.u32(length).bytes(bytes))
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// What was written, for bytes that are public.
    pub fn finish(mut self) -> Vec<u8> {
        core::mem::take(&mut *self.written)
    }

    /// What was written, for bytes that are secret: wiped when dropped.
    pub fn finish_secret(self) -> Zeroizing<Vec<u8>> {
        self.written
    }
}

impl Zeroize for Writer {
    fn zeroize(&mut self) {
        self.written.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Tests [no-trailing-bytes].
    // Seen to fail with `finish` answering Ok always.
    #[test]
    fn what_is_left_over_is_refused() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.finish(), Err(DecodeError::TrailingBytes));
    }

    #[test]
    fn a_length_beyond_the_input_or_the_limit_takes_nothing() {
        let huge = [0xff; 8];
        assert_eq!(Reader::new(&huge).var32(1 << 20), Err(DecodeError::OutOfRange));
        assert_eq!(Reader::new(&huge).var16(usize::MAX), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[2]).flag(), Err(DecodeError::OutOfRange));
        assert_eq!(Reader::new(&[]).u64(), Err(DecodeError::Truncated));
    }

    #[test]
    fn a_string_too_long_for_its_prefix_writes_nothing() {
        let mut writer = Writer::new();
        assert!(writer.var16(&[0; 65536]).is_err());
        assert!(writer.is_empty());
    }

    proptest! {
        // Tests [one-encoding].
        #[test]
        fn what_is_written_is_read_back(a: u8, b: u16, c: u32, d: u64, e: bool, f: Vec<u8>, g: [u8; 32]) {
            let mut writer = Writer::new();
            writer.u8(a).u16(b).u32(c).u64(d).flag(e).bytes(&g);
            writer.var16(&f).unwrap().var32(&f).unwrap();
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u8(), Ok(a));
            prop_assert_eq!(reader.u16(), Ok(b));
            prop_assert_eq!(reader.u32(), Ok(c));
            prop_assert_eq!(reader.u64(), Ok(d));
            prop_assert_eq!(reader.flag(), Ok(e));
            prop_assert_eq!(reader.array(), Ok(&g));
            prop_assert_eq!(reader.var16(1 << 16), Ok(f.as_slice()));
            prop_assert_eq!(reader.var32(1 << 16), Ok(f.as_slice()));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }
}
