//! What a contact link opens: the capability to knock and the key to a published bundle (SPEC §2.7, §3.3).
//!
//! A relay stores bundles sealed, under the hash of the knock capability, and so learns neither whose they are nor what
//! is in them. Whoever holds the link reads them.

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    kdf,
    label::{self, framed},
    random::{self, RandomnessError},
    secret::Secret,
};

/// The 16 secret bytes of a contact link, drawn for it alone. Wiped on drop, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct LinkSecret(Box<[u8; 16]>);

impl LinkSecret {
    /// Length in bytes.
    pub const LENGTH: usize = 16;

    /// Draws a new link secret.
    ///
    /// # Errors
    /// [`RandomnessError`] when the source fails.
    pub fn generate(rng: &mut (impl TryCryptoRng + ?Sized)) -> Result<Self, RandomnessError> {
        let mut secret = Self(Box::new([0; 16]));
        random::fill(rng, secret.0.as_mut_slice())?;
        Ok(secret)
    }

    /// The link secret of a link that was read.
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(Box::new(*bytes))
    }

    /// The 16 bytes, to be written into a link.
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// The capability to fetch the bundle and to deposit a first message. The relay is given its hash.
    pub fn knock_capability(&self) -> Secret {
        self.derive(label::LINK_KNOCK)
    }

    /// The key under which the bundle is published.
    pub fn bundle_key(&self) -> BundleKey {
        BundleKey(self.derive(label::LINK_BUNDLE_KEY))
    }

    fn derive(&self, label: &str) -> Secret {
        let prk = kdf::extract_labelled(label::LINK_EXTRACT.as_bytes(), self.0.as_slice());
        let [child] = kdf::expand(prk.expose(), label, &[]);
        child.into()
    }
}

impl PartialEq for LinkSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for LinkSecret {}

impl core::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("LinkSecret(..)")
    }
}

/// The key that seals what is published under a link.
#[derive(Debug, PartialEq, Eq)]
pub struct BundleKey(Secret);

/// Which piece of a bundle is sealed. A piece of one kind does not open as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The signed part: manifest, stamp, signed prekey.
    SignedPart,
    /// One one-time prekey.
    OneTimePrekey,
}

impl Published {
    const fn label(self) -> &'static str {
        match self {
            Self::SignedPart => label::BUNDLE_SIGNED_PART,
            Self::OneTimePrekey => label::BUNDLE_ONE_TIME,
        }
    }
}

impl BundleKey {
    /// Bytes that sealing adds: nonce and tag.
    pub const OVERHEAD: usize = NONCE + TAG;

    /// Seals a piece for the relay: `nonce 24 | ciphertext | tag 16`, XChaCha20-Poly1305 (SPEC §3.3).
    ///
    /// # Errors
    /// [`RandomnessError`] when the source of the nonce fails; nothing was sealed.
    pub fn seal_published(
        &self,
        kind: Published,
        piece: &[u8],
        rng: &mut (impl TryCryptoRng + ?Sized),
    ) -> Result<Vec<u8>, RandomnessError> {
        let nonce = random::array::<NONCE>(rng)?;
        // Only beyond 256 GiB.
        self.seal_under(&nonce, &framed(kind.label(), &[]), piece).map_err(|_| RandomnessError)
    }

    /// Opens a piece that a relay returned.
    ///
    /// # Errors
    /// [`NotAuthentic`]; nothing was opened.
    pub fn open_published(&self, kind: Published, blob: &[u8]) -> Result<Vec<u8>, NotAuthentic> {
        self.open_under(&framed(kind.label(), &[]), blob)
    }

    #[cfg(feature = "hazmat")]
    pub(crate) fn of(key: Secret) -> Self {
        Self(key)
    }

    pub(crate) fn seal_under(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        piece: &[u8],
    ) -> Result<Vec<u8>, NotAuthentic> {
        let sealed = self
            .cipher()
            .encrypt(nonce.into(), Payload { msg: piece, aad: associated })
            .map_err(|_| NotAuthentic)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(crate) fn open_under(
        &self,
        associated: &[u8],
        blob: &[u8],
    ) -> Result<Vec<u8>, NotAuthentic> {
        let (nonce, sealed) = blob.split_first_chunk::<NONCE>().ok_or(NotAuthentic)?;
        self.cipher()
            .decrypt(nonce.into(), Payload { msg: sealed, aad: associated })
            .map_err(|_| NotAuthentic)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

#[cfg(feature = "hazmat")]
impl BundleKey {
    /// The 32 bytes.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

const NONCE: usize = 24;
const TAG: usize = 16;

/// The blob is not what the link's owner published, or not of this kind. Nothing was opened; the relay or the link is
/// wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("what the relay returned was not published under this link")]
pub struct NotAuthentic;

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::random::tests::{Failing, Zeros};

    fn link(byte: u8) -> LinkSecret {
        LinkSecret::from_bytes(&[byte; 16])
    }

    // Tests [link-children-are-apart].
    #[test]
    fn knocking_and_reading_are_different_secrets() {
        assert_ne!(link(1).knock_capability(), link(1).bundle_key().0);
        assert_ne!(link(1).knock_capability(), link(2).knock_capability());
        assert_ne!(link(1).bundle_key(), link(2).bundle_key());
    }

    // Tests [published-pieces-are-sealed]. Seen to fail with the label left out of the associated data.
    #[test]
    fn a_piece_opens_as_its_kind_under_its_link_only() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let key = link(1).bundle_key();
        let blob = key.seal_published(Published::SignedPart, b"piece", &mut rng).unwrap();
        assert_eq!(blob.len(), 5 + BundleKey::OVERHEAD);
        assert_eq!(key.open_published(Published::SignedPart, &blob).unwrap(), b"piece");
        assert!(key.open_published(Published::OneTimePrekey, &blob).is_err());
        assert!(link(2).bundle_key().open_published(Published::SignedPart, &blob).is_err());
        for position in 0..blob.len() {
            let mut mutated = blob.clone();
            mutated[position] ^= 1;
            assert!(key.open_published(Published::SignedPart, &mutated).is_err());
            assert!(key.open_published(Published::SignedPart, &blob[..position]).is_err());
        }
        let again = key.seal_published(Published::SignedPart, b"piece", &mut rng).unwrap();
        assert_ne!(blob, again);
    }

    // Tests [randomness-fails-loudly].
    #[test]
    fn no_nonce_no_blob() {
        let key = link(1).bundle_key();
        assert!(key.seal_published(Published::SignedPart, b"", &mut Failing).is_err());
        assert!(key.seal_published(Published::SignedPart, b"", &mut Zeros).is_err());
        assert!(LinkSecret::generate(&mut Failing).is_err());
    }

    #[test]
    fn a_link_secret_is_not_printed() {
        assert_eq!(format!("{:?}", link(0x41)), "LinkSecret(..)");
        assert_eq!(format!("{:?}", link(0x41).bundle_key()), "BundleKey(Secret(..))");
    }
}
