//! The root keys of an account: made from the words, used, wiped (SPEC §2.2).

use core::fmt;

use super::{AccountId, Purpose, Seed};
use crate::{
    hash, label,
    signature::{
        Signature, SigningKey, VerifyingKey,
        root::{RootSignature, RootSigningKey, RootVerifyingKey, SigningFailed},
    },
};

/// Both root key pairs of an account. There is no way to store them: they come from a [`Seed`] each time.
pub struct RootKeys {
    ed25519: SigningKey,
    ml_dsa: RootSigningKey,
}

impl RootKeys {
    /// The root of this phrase: the account's own, or that of a recovery card.
    pub fn from_seed(seed: &Seed) -> Self {
        Self {
            ed25519: SigningKey::from_secret(&seed.derive(Purpose::RootEd25519)),
            ml_dsa: RootSigningKey::from_secret(seed.derive(Purpose::RootMlDsa)),
        }
    }

    /// The public halves.
    pub fn public(&self) -> RootPublicKeys {
        RootPublicKeys {
            ed25519: self.ed25519.verifying_key(),
            ml_dsa: self.ml_dsa.verifying_key().clone(),
        }
    }

    /// Signs with both keys.
    pub(super) fn sign(
        &self,
        label: &str,
        message: &[u8],
    ) -> Result<(Signature, RootSignature), SigningFailed> {
        Ok((self.ed25519.sign(label, &[message]), self.ml_dsa.sign(label, &[message])?))
    }
}

impl fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKeys(..)")
    }
}

/// The public halves of an account's root keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPublicKeys {
    /// The Ed25519 half.
    pub ed25519: VerifyingKey,
    /// The ML-DSA-65 half.
    pub ml_dsa: RootVerifyingKey,
}

impl RootPublicKeys {
    /// The commitment to these keys as an account's next root (SPEC §2.2).
    pub fn commitment(&self) -> NextRoot {
        let parts: [&[u8]; 2] = [self.ed25519.as_bytes(), self.ml_dsa.as_bytes()];
        NextRoot(hash::sha256(label::NEXT_ROOT, &parts))
    }

    /// The id of the account with this root and this next root (SPEC §2.2).
    pub fn account_id(&self, next: &NextRoot) -> AccountId {
        let parts: [&[u8]; 3] = [self.ed25519.as_bytes(), self.ml_dsa.as_bytes(), &next.0];
        AccountId(hash::sha256(label::ACCOUNT_ID, &parts))
    }
}

/// The commitment of an account to its next root keys: 32 bytes, public.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NextRoot([u8; 32]);

impl fmt::Debug for NextRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextRoot(..)")
    }
}

impl NextRoot {
    /// The commitment with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
