//! X25519: agreements, and what is refused. SPEC §1.2.

use chopmark_core::{
    dh::{PublicKey, SecretKey},
    secret::Secret,
};

use super::{Outcome, Outputs, Vector, drawn, unhex};

pub(super) fn cases() -> Vec<Vector> {
    let private: [u8; 32] = drawn("dh: ours");
    let theirs = SecretKey::from_secret(Secret::new(drawn("dh: theirs")));
    let case = |name: &str, comment: &str, expect: &str, private: &[u8], public: &[u8]| {
        Vector::new(name, comment, expect)
            .with_bytes("private key", private)
            .with_bytes("public key of the peer", public)
    };
    let ff = |low: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, 0x7f);
        bytes
    };
    let small = |low: u8| {
        let mut bytes = [0; 32];
        bytes[0] = low;
        bytes
    };
    let high = |mut bytes: [u8; 32]| {
        bytes[31] |= 0x80;
        bytes
    };
    let constant = |text: &str| unhex(text).expect("a constant");
    let one = constant("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    let other = constant("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157");
    let mut unclamped = private;
    (unclamped[0], unclamped[31]) = (private[0] | 7, private[31] | 0x80);
    let key = *theirs.public().as_bytes();
    let refused = [
        ("zero", "The coordinate 0, of low order.", small(0).to_vec()),
        ("one", "The coordinate 1, of low order.", small(1).to_vec()),
        ("order-8-one", "A coordinate of a point of order 8.", one),
        ("order-8-other", "The other coordinate of a point of order 8.", other),
        ("p-minus-1", "p - 1, of low order.", ff(0xec).to_vec()),
        ("p", "p, a second name of 0.", ff(0xed).to_vec()),
        ("p-plus-1", "p + 1, a second name of 1.", ff(0xee).to_vec()),
        ("p-plus-9", "p + 9, a second name of the base point.", ff(0xf6).to_vec()),
        ("p-plus-18", "2^255 - 1, the last second name.", ff(0xff).to_vec()),
        ("high-bit", "A good coordinate with its high bit set.", high(key).to_vec()),
        ("high-bit-of-zero", "Zero with its high bit set.", high(small(0)).to_vec()),
        ("all-ones", "All bits set.", vec![0xff; 32]),
    ];
    let mut cases = vec![
        case("agree", "An agreement.", "ok", &private, &key),
        case("agree-unclamped", "Bits that clamping sets are given.", "ok", &unclamped, &key),
        case("agree-base-point", "The base point as the peer's key.", "ok", &private, &small(9)),
        case("agree-p-minus-2", "p - 2 is the highest that is taken.", "ok", &private, &ff(0xeb)),
        case("agree-two", "2, a point of the twist.", "ok", &private, &small(2)),
    ];
    cases.extend(refused.map(|(name, comment, public)| {
        case(&format!("refused-{name}"), comment, "invalid key", &private, &public)
    }));
    cases
}

pub(super) fn evaluate(vector: &Vector) -> Outcome {
    let ours = SecretKey::from_secret(Secret::new(vector.array("private key")));
    let theirs = PublicKey::parse(&vector.array("public key of the peer"));
    let theirs = theirs.map_err(|_| "invalid key")?;
    let agreed = ours.diffie_hellman(&theirs).map_err(|_| "invalid key")?;
    Ok(Outputs::new()
        .with_bytes("public key", ours.public().as_bytes())
        .with_bytes("agreed", agreed.expose()))
}
