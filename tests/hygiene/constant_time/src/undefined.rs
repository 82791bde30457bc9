//! Runs what touches secrets with the secrets marked undefined, so that memcheck reports each branch and each address
//! that depends on them.
//!
//! A case says how many reports are right: those are decisions whose outcome everybody sees, and each is named.
//! The first case compares in variable time and must be reported, or the run proves nothing.

#[path = "../../../../crates/mint/src/curve.rs"]
#[allow(dead_code)]
mod curve;
mod memcheck;

use core::{convert::Infallible, hint::black_box};
use std::process::ExitCode;

use chopmark_core::{
    dh,
    hazmat::{chain::Chain, derivation, header::Header, primitives, root},
    kem, label,
    secret::Secret,
    signature::SigningKey,
};
use libcrux_ml_kem::mlkem768::{self, MlKem768PrivateKey};
use rand_core::{TryCryptoRng, TryRng};

/// One thing that is done with secrets.
struct Case {
    name: &'static str,
    /// The decisions in it that are public: how many reports each makes.
    public: &'static [(usize, &'static str)],
    run: fn(),
}

const CASES: &[Case] = &[
    Case { name: "two secrets are compared", public: &[], run: comparison },
    Case {
        name: "a header key is tried, rightly",
        public: &[(1, "the tag is right")],
        run: right_header,
    },
    Case {
        name: "a header key is tried, wrongly",
        public: &[(1, "the tag is wrong")],
        run: wrong_header,
    },
    Case { name: "a body is opened", public: &[(1, "the tag is right")], run: body },
    Case { name: "a body is sealed", public: &[], run: seal },
    Case { name: "a chain gives leaves", public: &[], run: chain },
    Case { name: "a root step is made", public: &[], run: root_step },
    Case { name: "a key is derived", public: &[], run: derive },
    Case { name: "X25519 makes a public key", public: &[], run: x25519_public },
    Case { name: "X25519 agrees", public: &[(1, "the result is not zero")], run: x25519_agreement },
    Case { name: "Ed25519 signs", public: &[], run: ed25519 },
    Case {
        name: "ML-KEM encapsulates",
        public: &[(1, "the randomness is not zero")],
        run: encapsulation,
    },
    Case { name: "ML-KEM decapsulates", public: &[], run: decapsulation },
    Case { name: "ML-KEM rejects implicitly", public: &[], run: implicit_rejection },
    Case { name: "the issuer signs with its proof", public: ISSUER, run: issuer_signs },
    Case { name: "the issuer verifies", public: &[], run: issuer_verifies },
];

/// What the issuer answers goes out to whoever asked: the signature, the proof's commitments and its two scalars. To be
/// encoded they are read as points and as scalars in range, by code that may branch on what is public.
const ISSUER: &[(usize, &str)] = &[
    (18, "the signature and the commitments are points, read and written"),
    (4, "the nonce, e and s are in range, but for 2^-128"),
];

fn main() -> ExitCode {
    if !memcheck::is_watching() {
        eprintln!("error: this runs under valgrind only, see tests/hygiene/constant_time/run");
        return ExitCode::FAILURE;
    }
    let before = memcheck::errors();
    planted();
    let planted = memcheck::errors() - before;
    let verdict = if planted > 0 { "found, as expected" } else { "NOT FOUND" };
    println!("{:40} {planted:5} reports, {verdict}", "planted: bytes compared one by one");
    let mut failed = planted == 0;
    for Case { name, public, run } in CASES {
        eprintln!("== {name}");
        let before = memcheck::errors();
        run();
        let reports = memcheck::errors() - before;
        let expected: usize = public.iter().map(|(count, _)| count).sum();
        let verdict = if reports == expected { "as expected" } else { "NOT AS EXPECTED" };
        failed |= reports != expected;
        println!("{name:40} {reports:5} reports, {verdict}");
        for (count, decision) in *public {
            println!("{:40} {count:5} public: {decision}", "");
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The control: what a comparison must not be.
fn planted() {
    let one = undefined(7);
    let equal = one.iter().all(|byte| black_box(*byte) == 7);
    memcheck::public(&black_box(equal));
}

fn undefined(byte: u8) -> [u8; 32] {
    let bytes = black_box([byte; 32]);
    memcheck::secret(&bytes);
    bytes
}

fn comparison() {
    for byte in [7, 8] {
        let (one, other) = (Secret::new(undefined(7)), Secret::new([byte; 32]));
        let equal = black_box(one == other);
        memcheck::public(&equal);
        assert_eq!(equal, byte == 7);
    }
}

fn sealed_header() -> ([u8; 72], [u8; 16]) {
    let header = Header { ratchet_key: [9; 32], n: 3, pn: 2, epoch: 1, nonce: [5; 12] };
    (header.seal(&[7; 32], &[1; 16]).unwrap(), [1; 16])
}

fn right_header() {
    let (sealed, tag) = sealed_header();
    let opened = Header::open(&undefined(7), &sealed, &tag);
    memcheck::public(&opened);
    assert_eq!(opened.unwrap().n, 3);
}

fn wrong_header() {
    let (sealed, tag) = sealed_header();
    let opened = Header::open(&undefined(8), &sealed, &tag);
    memcheck::public(&opened);
    assert!(opened.is_none());
}

fn body() {
    let mut text = vec![1; 2000];
    let tag = primitives::chacha20_poly1305_seal(&[7; 32], &[5; 12], b"header", &mut text).unwrap();
    let opened =
        primitives::chacha20_poly1305_open(&undefined(7), &[5; 12], b"header", &mut text, &tag);
    memcheck::public(&opened);
    assert!(opened);
}

fn seal() {
    let mut text = vec![1; 2000];
    memcheck::secret(&text[..]);
    let tag = primitives::chacha20_poly1305_seal(&undefined(7), &[5; 12], b"header", &mut text);
    black_box(tag.is_some());
}

fn chain() {
    let mut chain = Chain::new(&undefined(7));
    for n in [0, 1, 5, 1000, 3] {
        black_box(chain.take(n).unwrap());
    }
    chain.end_at(5000, 0);
}

fn root_step() {
    let mix = (&undefined(3), &[4; 32]);
    black_box(root::step(&undefined(1), &undefined(2), 7, Some(mix)));
    black_box(root::step(&undefined(1), &undefined(2), 7, None));
}

fn derive() {
    black_box(derivation::expand::<4>(&undefined(1), label::ROOT_PLAIN, &[b"context"]));
    black_box(derivation::mac(&undefined(1), label::CHAIN_LEFT, &[]));
}

fn x25519_public() {
    let key = dh::SecretKey::from_secret(Secret::new(undefined(7)));
    black_box(key.public());
}

fn x25519_agreement() {
    let peer = *dh::SecretKey::from_secret(Secret::new([9; 32])).public();
    let key = dh::SecretKey::from_secret(Secret::new(undefined(7)));
    black_box(key.diffie_hellman(&peer).is_ok());
}

fn ed25519() {
    let key = SigningKey::from_secret(&Secret::new(undefined(7)));
    black_box(key.sign(label::STAMP, &[b"message"]));
}

/// A source of undefined bytes.
struct Undefined;

impl TryRng for Undefined {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(7);
        memcheck::secret(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Undefined {}

fn encapsulation() {
    let key = kem::DecapsulationKey::from_seed(&[7; 64]);
    black_box(key.encapsulation_key().encapsulate(&mut Undefined).is_ok());
}

/// With the private vector and z undefined. The encapsulation key is inside the private one, and public.
fn private_key() -> MlKem768PrivateKey {
    let (private, _) = mlkem768::generate_key_pair([7; 64]).into_parts();
    let bytes: &[u8; 2400] = private.as_slice();
    memcheck::secret(&bytes[..1152]);
    memcheck::secret(&bytes[1152 + 1184 + 32..]);
    private
}

fn decapsulation() {
    let key = kem::DecapsulationKey::from_seed(&[7; 64]);
    let (ciphertext, _) = key.encapsulation_key().encapsulate(&mut Defined).unwrap();
    black_box(mlkem768::decapsulate(&private_key(), &ciphertext.as_bytes().into()));
}

fn implicit_rejection() {
    let key = kem::DecapsulationKey::from_seed(&[7; 64]);
    let (ciphertext, _) = key.encapsulation_key().encapsulate(&mut Defined).unwrap();
    let mut mauled = *ciphertext.as_bytes();
    mauled[500] ^= 1;
    black_box(mlkem768::decapsulate(&private_key(), &(&mauled).into()));
}

/// A source of bytes that are as good as any.
struct Defined;

impl TryRng for Defined {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(7);
        Ok(())
    }
}

impl TryCryptoRng for Defined {}

/// The key of one amount, its secret half undefined.
fn pair() -> curve::KeyPair {
    let pair = curve::KeyPair::new(cashu::SecretKey::from_slice(&[7; 32]).unwrap());
    memcheck::secret(&pair);
    memcheck::public(&pair.public);
    pair
}

fn issuer_signs() {
    let blinded = cashu::SecretKey::from_slice(&[5; 32]).unwrap().public_key();
    let pair = pair();
    black_box(pair.sign(&blinded).is_ok());
}

fn issuer_verifies() {
    let y = cashu::SecretKey::from_slice(&[5; 32]).unwrap().public_key();
    let pair = pair();
    let right = pair.verifies(&y, &y);
    memcheck::public(&right);
    assert!(!right);
}
