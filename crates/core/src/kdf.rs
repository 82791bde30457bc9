//! Key derivation with labels: the one place where the handshake and the ratchet call HMAC and HKDF.
//!
//! Every input begins with `label | 0x00`: no label holds a zero byte, so no input made for one purpose is a prefix of
//! one made for another (SPEC §1.3).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Key;

/// `HMAC(key, label | 0x00 | parts…)`.
pub(crate) fn mac(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> Key {
    Keyed::with(key).feed(&[&[label.as_bytes(), &[0]], parts])
}

/// `HMAC(key, label | 0x00)` for each of two labels, at three quarters of the price of two [`mac`]s.
pub(crate) fn pair(key: &[u8; 32], labels: [&str; 2]) -> [Key; 2] {
    let keyed = Keyed::with(key);
    labels.map(|label| keyed.feed(&[&[label.as_bytes(), &[0]]]))
}

/// `Extract(salt, parts…)` of HKDF-SHA-256 with a 32-byte salt.
pub(crate) fn extract(salt: &[u8; 32], parts: &[&[u8]]) -> Key {
    Keyed::with(salt).feed(&[parts])
}

/// `Extract(label, ikm)` of HKDF-SHA-256: the first step from a secret that is not yet a key.
pub(crate) fn extract_labelled(label: &[u8], ikm: &[u8]) -> Key {
    let (mut prk, _) = Hkdf::<Sha256>::extract(Some(label), ikm);
    let key = Key::new(prk.into());
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
    let keyed = Keyed::with(key);
    let mut blocks = [const { Key::new([0; 32]) }; N];
    let mut previous: &[u8] = &[];
    for (block, counter) in blocks.iter_mut().zip(1..=u8::MAX) {
        *block = keyed.feed(&[&[previous], frame, parts, &[&[counter]]]);
        previous = block.expose();
    }
    blocks
}

/// HMAC with its key taken in: the two blocks of the padded key are hashed once, however often it is used.
struct Keyed(Hmac<Sha256>);

impl Keyed {
    fn with(key: &[u8; 32]) -> Self {
        #[cfg(test)]
        tests::DERIVATIONS.with(|count| count.set(count.get() + 1));
        // RFC 2104 pads a short key with zeros; taking the whole block keeps a wrong length out of the type.
        let mut block = Zeroizing::new([0_u8; 64]);
        let (front, _) = block.split_at_mut(key.len());
        front.copy_from_slice(key);
        Self(Hmac::new((&*block).into()))
    }

    /// The MAC of all parts of all lists, one after another.
    fn feed(&self, lists: &[&[&[u8]]]) -> Key {
        let mut mac = self.0.clone();
        lists.iter().copied().flatten().for_each(|part| mac.update(part));
        Key::new(mac.finalize().into_bytes().into())
    }
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
        let ours: [Key; 3] = expand(prk.expose(), crate::label::ROOT_PLAIN, &[b"con", b"text"]);
        assert_eq!(ours.concat_all(), okm);
    }

    trait ConcatAll {
        fn concat_all(&self) -> [u8; 96];
    }
    impl ConcatAll for [Key; 3] {
        fn concat_all(&self) -> [u8; 96] {
            let mut all = [0; 96];
            for (slot, key) in all.chunks_mut(32).zip(self) {
                slot.copy_from_slice(key.expose());
            }
            all
        }
    }
}
