//! What lies beneath the labels: for published test vectors, which know none. SPEC §1.2.

use crate::{
    aead::{self, short},
    kdf,
    link::BundleKey,
    secret::Secret,
    signature::{Signature, VerifyingKey},
};

/// `HMAC-SHA-256(key, message)` with a key of 32 bytes, which is what every key of the protocol has.
pub fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    *kdf::extract(key, &[message]).expose()
}

/// HKDF's `Extract(salt, ikm)`, the salt of any length; it is also HMAC with a key of any length.
pub fn hkdf_extract(salt: &[u8], ikm: &[u8]) -> [u8; 32] {
    *kdf::extract_labelled(salt, ikm).expose()
}

/// HKDF's `Expand(prk, info)`, `N` times 32 bytes.
pub fn hkdf_expand<const N: usize>(prk: &[u8; 32], info: &[u8]) -> [[u8; 32]; N] {
    kdf::expand_info::<N>(prk, &[info], &[]).map(|key| *key.expose())
}

/// ChaCha20-Poly1305: encrypts `text` in place and returns the tag; `None` only beyond 256 GiB.
pub fn chacha20_poly1305_seal(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
) -> Option<[u8; 16]> {
    aead::seal(key, nonce, associated, text).ok()
}

/// ChaCha20-Poly1305: decrypts `text` in place; false if the tag is wrong.
pub fn chacha20_poly1305_open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; 16],
) -> bool {
    aead::open(key, nonce, associated, text, tag).is_ok()
}

/// ChaCha20-Poly1305 as it seals a header: encrypts `text` in place and returns the tag; `None` only beyond 4 GiB.
pub fn chacha20_poly1305_seal_short(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
) -> Option<[u8; 16]> {
    let plain = text.to_vec();
    short::seal(key, nonce, associated, &plain, text).ok()
}

/// ChaCha20-Poly1305 as it opens a header: decrypts `text` in place; false if the tag is wrong.
pub fn chacha20_poly1305_open_short(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    text: &mut [u8],
    tag: &[u8; 16],
) -> bool {
    let sealed = text.to_vec();
    short::open(key, nonce, associated, &sealed, text, tag).is_ok()
}

/// XChaCha20-Poly1305: `nonce | ciphertext | tag`; `None` only beyond 256 GiB.
pub fn xchacha20_poly1305_seal(
    key: &[u8; 32],
    nonce: &[u8; 24],
    associated: &[u8],
    text: &[u8],
) -> Option<Vec<u8>> {
    BundleKey::of(Secret::new(*key)).seal_under(nonce, associated, text).ok()
}

/// XChaCha20-Poly1305: what `nonce | ciphertext | tag` holds; `None` if it is not authentic.
pub fn xchacha20_poly1305_open(
    key: &[u8; 32],
    associated: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    BundleKey::of(Secret::new(*key)).open_under(associated, sealed).ok()
}

/// Whether `signature` is the key owner's over `message`, without a label; strict (SPEC §1.2 `[ed25519-strict]`).
pub fn ed25519_verify(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
    key.verify_framed(message, signature).is_ok()
}
