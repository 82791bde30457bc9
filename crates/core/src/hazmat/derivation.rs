//! Derivations with labels. SPEC §1.3.

use crate::{kdf, link::LinkSecret, secret::Key};

/// `HMAC(key, label | 0x00 | parts…)`.
pub fn mac(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    *kdf::mac(key, label, parts).expose()
}

/// `Extract(salt, parts…)` with a salt of 32 bytes.
pub fn extract(salt: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    *kdf::extract(salt, parts).expose()
}

/// `Derive(prk, label, parts…)`.
pub fn derive(prk: &[u8; 32], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let [key]: [Key; 1] = kdf::expand(prk, label, parts);
    *key.expose()
}

/// `Expand(prk, label | 0x00 | parts…, 32 N)`, as N keys.
pub fn expand<const N: usize>(prk: &[u8; 32], label: &str, parts: &[&[u8]]) -> [[u8; 32]; N] {
    kdf::expand::<N>(prk, label, parts).map(|key| *key.expose())
}

/// A link's bundle key (SPEC §2.7).
pub fn bundle_key(link: &LinkSecret) -> [u8; 32] {
    *link.bundle_key().expose()
}
