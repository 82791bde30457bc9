//! Labelled hashing: every use of SHA-256 and HMAC-SHA-256 outside the ratchet has a label of its own. SPEC §1.3.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// `H(var16(label) | var32(part) | …)`: 32 bytes. The length prefixes keep two lists of parts from meeting.
pub fn sha256(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    framed(label, parts, |bytes| hash.update(bytes));
    hash.finalize().into()
}

/// `HMAC(key, var16(label) | var32(part) | …)`: 32 bytes.
///
/// The result is secret if the key is; the caller puts it into a [`Secret`](crate::secret::Secret) or wipes it.
pub fn hmac_sha256(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    // RFC 2104: a key shorter than the block is padded with zeros; taking the block keeps a wrong length out of the type.
    let mut block = Zeroizing::new([0u8; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    framed(label, parts, |bytes| mac.update(bytes));
    mac.finalize().into_bytes().into()
}

fn framed(label: &str, parts: &[&[u8]], mut update: impl FnMut(&[u8])) {
    let length = u16::try_from(label.len()).unwrap_or(u16::MAX);
    update(&length.to_be_bytes());
    update(label.as_bytes());
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        update(&length.to_be_bytes());
        update(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(sha256("a", &[b"bc", b"d"]), sha256("a", &[b"b", b"cd"]));
        assert_ne!(sha256("a", &[b"b"]), sha256("ab", &[]));
        assert_ne!(hmac_sha256(&[1; 32], "a", &[b"b"]), hmac_sha256(&[2; 32], "a", &[b"b"]));
    }
}
