//! ChaCha20-Poly1305 (RFC 8439) in place, with its full tag apart from the text.
//!
//! A key is made for one purpose by a labelled derivation; the purpose is not repeated here.
//!
//! A text of a few blocks is sealed by [`short`], which is the same AEAD from another library.

pub(crate) mod short;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};

/// Bytes of an authentication tag. Nothing shorter is ever accepted.
pub(crate) const TAG: usize = 16;

/// The tag is wrong. What was in the buffer is not text and must be dropped.
#[derive(Debug)]
pub(crate) struct NotAuthentic;

/// Encrypts `text` in place and returns the tag over it and `associated`.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
) -> Result<[u8; TAG], NotAuthentic> {
    #[cfg(feature = "hazmat")]
    crate::hazmat::sealings::note(key, nonce, associated, text);
    ChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(nonce.into(), associated, text.into())
        .map(Into::into)
        .map_err(|_| NotAuthentic)
}

/// Checks `tag` in constant time and decrypts `text` in place; on an error `text` is unchanged or garbage.
pub(crate) fn open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG],
) -> Result<(), NotAuthentic> {
    ChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(nonce.into(), associated, text.into(), tag.into())
        .map_err(|_| NotAuthentic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does() {
        let mut text = *b"nobody else can read it";
        let tag = seal(&[1; 32], &[2; 12], b"ad", &mut text).unwrap();
        assert_ne!(&text, b"nobody else can read it");
        let mut forged = text;
        forged[3] ^= 1;
        assert!(open(&[1; 32], &[2; 12], b"ad", &mut forged, &tag).is_err());
        assert!(open(&[1; 32], &[2; 12], b"AD", &mut text.clone(), &tag).is_err());
        open(&[1; 32], &[2; 12], b"ad", &mut text, &tag).unwrap();
        assert_eq!(&text, b"nobody else can read it");
    }

    #[test]
    fn every_bit_of_a_tag_counts() {
        let mut text = [7; 100];
        let tag = seal(&[1; 32], &[2; 12], b"ad", &mut text).unwrap();
        for bit in 0..128 {
            let mut other = tag;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&[1; 32], &[2; 12], b"ad", &mut text.clone(), &other).is_err());
        }
    }
}
