//! How a row is sealed: XChaCha20-Poly1305 with a random nonce, bound to its place and version. SPEC §9.2.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use chopmark_core::hash;
use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::StoreError;

/// A key that seals rows or names.
pub(super) struct RowKey(Zeroizing<[u8; 32]>);

impl RowKey {
    pub(super) fn derive(key: &[u8; 32], label: &str) -> Self {
        Self(Zeroizing::new(hash::hmac_sha256(key, label, &[])))
    }

    /// `nonce (24) | ciphertext | tag (16)`.
    pub(super) fn seal(
        &self,
        context: &[u8],
        plaintext: &[u8],
        rng: &mut impl TryCryptoRng,
    ) -> Result<Vec<u8>, StoreError> {
        let nonce = random::<24>(rng)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(*nonce), Payload { msg: plaintext, aad: context })
            .map_err(|_| StoreError::Damaged)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(super) fn open(
        &self,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (nonce, body) = sealed.split_first_chunk::<24>().ok_or(StoreError::Damaged)?;
        let opened = self
            .cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: context })
            .map_err(|_| StoreError::Damaged)?;
        Ok(Zeroizing::new(opened))
    }

    /// A name that only this key can compute: 16 bytes.
    pub(super) fn hide(&self, space: u8, name: &[u8]) -> [u8; 16] {
        let full = hash::hmac_sha256(&self.0, chopmark_core::label::STORE_NAME, &[&[space], name]);
        let (short, _) = full.split_at(16);
        short.try_into().unwrap_or([0; 16])
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

/// Random bytes, or an error: never zeros that nobody drew.
pub(super) fn random<const N: usize>(
    rng: &mut impl TryCryptoRng,
) -> Result<Zeroizing<[u8; N]>, StoreError> {
    let mut bytes = Zeroizing::new([0; N]);
    rng.try_fill_bytes(bytes.as_mut_slice()).map_err(|_| StoreError::Randomness)?;
    Ok(bytes)
}
