//! X25519 (RFC 7748) with every doubtful input refused (SPEC §1.2).
//!
//! A [`PublicKey`] exists only for a canonical u-coordinate that is not of low order, and an agreement whose result
//! does not depend on our secret is an error: two walls, either of which would do.

use core::fmt;
use std::sync::OnceLock;

use rand_core::TryCryptoRng;
use thiserror::Error;
use x25519_dalek::{PublicKey as Point, StaticSecret};

use crate::{
    codec::DecodeError,
    random::RandomnessError,
    secret::{Key, Secret},
};

/// The result of an agreement would not depend on our secret key. No shared secret exists; the peer misbehaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the peer's key makes the agreement non-contributory")]
pub struct NonContributory;

/// An X25519 public key: a canonical u-coordinate, 32 bytes little-endian, not of low order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Takes a peer's 32 bytes.
    ///
    /// # Errors
    /// [`DecodeError::InvalidKey`] for a coordinate of p or above, the high bit set, or a point of low order
    /// (SPEC §1.2 `[x25519-inputs-refused]`).
    pub fn parse(bytes: &[u8; 32]) -> Result<Self, DecodeError> {
        if !is_canonical(bytes) || LOW_ORDER.contains(bytes) {
            return Err(DecodeError::InvalidKey);
        }
        Ok(Self(*bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dh::PublicKey(..)")
    }
}

/// An X25519 secret key, wiped on drop and never printed.
pub struct SecretKey {
    secret: Secret,
    /// Computed when first asked for.
    public: OnceLock<PublicKey>,
}

impl SecretKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn generate(rng: &mut (impl TryCryptoRng + ?Sized)) -> Result<Self, RandomnessError> {
        Secret::random(rng).map(Self::from_secret)
    }

    /// The key of these 32 bytes; they are clamped when used.
    pub const fn from_secret(secret: Secret) -> Self {
        Self { secret, public: OnceLock::new() }
    }

    /// The 32 bytes, to be stored.
    pub const fn as_secret(&self) -> &Secret {
        &self.secret
    }

    /// The public key.
    pub fn public(&self) -> &PublicKey {
        self.public.get_or_init(|| public_of(self.secret.expose()))
    }

    /// Agrees on 32 bytes with the owner of `peer`. They are to be fed to a key derivation, not used as a key.
    ///
    /// # Errors
    /// [`NonContributory`] when the result is all zeros (SPEC §1.2 `[x25519-inputs-refused]`).
    pub fn diffie_hellman(&self, peer: &PublicKey) -> Result<Key, NonContributory> {
        agree(self.secret.expose(), peer)
    }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dh::SecretKey(..)")
    }
}

/// A secret key in its place, for one handshake or one chain: without allocation, and without a public half to keep.
pub(crate) struct EphemeralKey(Key);

impl EphemeralKey {
    pub(crate) fn generate(
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Self, RandomnessError> {
        Key::random(rng).map(Self)
    }

    pub(crate) const fn from_key(key: Key) -> Self {
        Self(key)
    }

    /// The key that a longer-lived one lends to the first chain.
    pub(crate) fn copy_of(key: &SecretKey) -> Self {
        Self(Key::new(*key.secret.expose()))
    }

    pub(crate) const fn as_key(&self) -> &Key {
        &self.0
    }

    /// The public key, computed at each call.
    pub(crate) fn public(&self) -> PublicKey {
        public_of(self.0.expose())
    }

    /// See [`SecretKey::diffie_hellman`].
    pub(crate) fn diffie_hellman(&self, peer: &PublicKey) -> Result<Key, NonContributory> {
        agree(self.0.expose(), peer)
    }
}

fn public_of(secret: &[u8; 32]) -> PublicKey {
    PublicKey(Point::from(&StaticSecret::from(*secret)).to_bytes())
}

fn agree(secret: &[u8; 32], peer: &PublicKey) -> Result<Key, NonContributory> {
    let shared = StaticSecret::from(*secret).diffie_hellman(&Point::from(peer.0));
    if !shared.was_contributory() {
        return Err(NonContributory);
    }
    Ok(Key::new(shared.to_bytes()))
}

/// Whether the little-endian coordinate is below p = 2^255 - 19; false when the high bit is set.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *high < 0x7f || (*high == 0x7f && (*low < 0xed || middle.iter().any(|byte| *byte != 0xff)))
}

/// The canonical coordinates of low order on the curve and its twist: 0, 1, two of order 8, and p - 1.
const LOW_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
];

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
        }
        bytes
    }

    // RFC 7748, section 6.1.
    #[test]
    fn the_example_of_the_standard_comes_out() {
        let secret = |text| SecretKey::from_secret(Secret::new(hex(text)));
        let alice = PublicKey::parse(&hex(
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        ))
        .unwrap();
        let bob = secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        assert_eq!(
            bob.public().as_bytes(),
            &hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        );
        assert_eq!(
            bob.diffie_hellman(&alice).unwrap(),
            Key::new(hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"))
        );
    }

    // Tests [x25519-inputs-refused].
    // Seen to fail with `LOW_ORDER` emptied, and with `is_canonical` answering true always.
    #[test]
    fn doubtful_coordinates_are_refused() {
        for low in LOW_ORDER {
            assert!(PublicKey::parse(&low).is_err());
            let mut high_bit = low;
            high_bit[31] |= 0x80;
            assert!(PublicKey::parse(&high_bit).is_err());
        }
        // p to 2^255 - 1 are second names of 0 to 18.
        for low in 0xed..=0xff {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = 0x7f;
            assert!(PublicKey::parse(&bytes).is_err());
        }
        let mut below_p = [0xff; 32];
        below_p[0] = 0xeb;
        below_p[31] = 0x7f;
        assert!(PublicKey::parse(&below_p).is_ok());
        let mut nine = [0; 32];
        nine[0] = 9;
        assert!(PublicKey::parse(&nine).is_ok());
        nine[31] = 0x80;
        assert!(PublicKey::parse(&nine).is_err());
    }

    // Tests [x25519-inputs-refused].
    // Seen to fail with the `was_contributory` check removed.
    #[test]
    fn the_second_wall_stands_without_the_first() {
        let ours = SecretKey::generate(&mut ChaCha20Rng::from_seed([1; 32])).unwrap();
        for low in LOW_ORDER {
            assert_eq!(ours.diffie_hellman(&PublicKey(low)), Err(NonContributory));
        }
    }

    #[test]
    fn both_sides_agree() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let (a, b) =
            (SecretKey::generate(&mut rng).unwrap(), SecretKey::generate(&mut rng).unwrap());
        assert_eq!(a.diffie_hellman(b.public()), b.diffie_hellman(a.public()));
        assert_eq!(PublicKey::parse(a.public().as_bytes()), Ok(*a.public()));
    }
}
