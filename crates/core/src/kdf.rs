//! Key derivation with labels: the one place where the handshake and the ratchet call HMAC and HKDF.
//!
//! Every input begins with `label | 0x00`: no label holds a zero byte, so no input made for one purpose is a prefix of
//! one made for another (SPEC §1.3).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// Thirty-two secret bytes on the stack, wiped on drop: the short-lived sibling of [`crate::secret::Secret`].
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// `HMAC(key, label | 0x00 | parts…)`.
pub(crate) fn mac(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> Key {
    let mut mac = keyed(key);
    mac.update(label.as_bytes());
    mac.update(&[0]);
    for part in parts {
        mac.update(part);
    }
    finished(mac)
}

/// `Extract(salt, parts…)` of HKDF-SHA-256 with a 32-byte salt.
pub(crate) fn extract(salt: &[u8; 32], parts: &[&[u8]]) -> Key {
    let mut mac = keyed(salt);
    for part in parts {
        mac.update(part);
    }
    finished(mac)
}

/// `Extract(label, ikm)` of HKDF-SHA-256: the first step from a secret that is not yet a key.
pub(crate) fn extract_labelled(label: &[u8], ikm: &[u8]) -> Key {
    let (mut prk, _) = Hkdf::<Sha256>::extract(Some(label), ikm);
    let key = Zeroizing::new(prk.into());
    prk.zeroize();
    key
}

/// `Expand(key, label | 0x00 | parts…)` of HKDF-SHA-256, `N` keys of 32 bytes each.
pub(crate) fn expand<const N: usize>(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> [Key; N] {
    expand_info(key, &[label.as_bytes(), &[0]], parts)
}

/// `Expand(key, frame… | parts…)` of HKDF-SHA-256.
pub(crate) fn expand_info<const N: usize>(
    key: &[u8; 32],
    frame: &[&[u8]],
    parts: &[&[u8]],
) -> [Key; N] {
    const { assert!(N > 0 && N < 256, "HKDF has 255 blocks") };
    let mut previous: Option<Key> = None;
    let mut counter = 0_u8;
    core::array::from_fn(|_| {
        counter = counter.wrapping_add(1);
        let mut mac = keyed(key);
        if let Some(previous) = &previous {
            mac.update(&previous[..]);
        }
        for part in frame.iter().chain(parts) {
            mac.update(part);
        }
        mac.update(&[counter]);
        let block = finished(mac);
        previous = Some(block.clone());
        block
    })
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    #[cfg(test)]
    tests::DERIVATIONS.with(|count| count.set(count.get() + 1));
    let mut block = Zeroizing::new([0_u8; 64]);
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    Hmac::<Sha256>::new((&*block).into())
}

fn finished(mac: Hmac<Sha256>) -> Key {
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
pub(crate) use tests::derivations;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    std::thread_local! {
        pub(super) static DERIVATIONS: Cell<u64> = const { Cell::new(0) };
    }

    /// How many HMACs this thread has computed.
    pub(crate) fn derivations() -> u64 {
        DERIVATIONS.get()
    }

    #[test]
    fn extract_and_expand_are_hkdf() {
        let salt = [7; 32];
        let prk = extract(&salt, &[b"one", b"two"]);
        let theirs = hkdf::Hkdf::<Sha256>::new(Some(&salt), b"onetwo");
        let mut okm = [0; 96];
        theirs.expand(b"chopmark/1 root plain step\0context", &mut okm).unwrap();
        let ours: [Key; 3] = expand(&prk, crate::label::ROOT_PLAIN, &[b"con", b"text"]);
        assert_eq!(ours.concat_all(), okm);
    }

    trait ConcatAll {
        fn concat_all(&self) -> [u8; 96];
    }
    impl ConcatAll for [Key; 3] {
        fn concat_all(&self) -> [u8; 96] {
            let mut all = [0; 96];
            for (slot, key) in all.chunks_mut(32).zip(self) {
                slot.copy_from_slice(&key[..]);
            }
            all
        }
    }
}
