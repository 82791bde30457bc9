//! What ties a proof to one connection, SPEC §6.3.

use chopmark_core::{
    label,
    signature::{InvalidSignature, Signature, SigningKey, VerifyingKey},
};

use super::{MailboxId, RelayId, opaque};
use crate::{generated::relay as pb, strict::DecodeError};

opaque! {
    /// Thirty-two bytes that only the two ends of one connection know and that no other connection repeats.
    ///
    /// The transport computes it; for QUIC it is the TLS exporter with [`EXPORTER_LABEL`] and an empty context.
    ChannelBinding(32);
}

/// The application protocol that a QUIC connection to a relay negotiates (SPEC §6.1).
pub const ALPN: &[u8] = b"chopmark/1";

/// The label of the TLS exporter (RFC 8446 §7.5) from which a QUIC connection's binding comes.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-chopmark/1 channel binding";

/// An owner's proof on one connection to one relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The mailbox's key.
    pub owner: VerifyingKey,
    /// By that key, over channel binding and relay id.
    pub signature: Signature,
}

impl Auth {
    /// Proves to `relay`, on the connection with this binding, that we hold `owner`.
    pub fn sign(owner: &SigningKey, binding: &ChannelBinding, relay: &RelayId) -> Self {
        let signature = owner.sign(label::RELAY_AUTH, &[&binding.0, &relay.0]);
        Self { owner: owner.verifying_key(), signature }
    }

    /// The mailbox that this proof opens.
    ///
    /// # Errors
    /// [`InvalidSignature`] when it was made for another connection, another relay or by another key
    /// (SPEC §6.4 `[auth-is-bound]`).
    pub fn verify(
        &self,
        binding: &ChannelBinding,
        relay: &RelayId,
    ) -> Result<MailboxId, InvalidSignature> {
        self.owner.verify(label::RELAY_AUTH, &[&binding.0, &relay.0], &self.signature)?;
        Ok(MailboxId::of(&self.owner))
    }
}

impl TryFrom<pb::Auth> for Auth {
    type Error = DecodeError;

    fn try_from(auth: pb::Auth) -> Result<Self, DecodeError> {
        let key = auth.owner_key.as_ref().try_into();
        let key = key.map_err(|_| DecodeError::Invalid("owner key"))?;
        let signature = auth.signature.as_ref().try_into();
        Ok(Self {
            owner: VerifyingKey::parse(key).map_err(|_| DecodeError::Invalid("owner key"))?,
            signature: Signature::from_bytes(
                signature.map_err(|_| DecodeError::Invalid("signature"))?,
            ),
        })
    }
}

impl From<&Auth> for pb::Auth {
    fn from(auth: &Auth) -> Self {
        Self {
            owner_key: auth.owner.as_bytes().to_vec().into(),
            signature: auth.signature.as_bytes().to_vec().into(),
        }
    }
}
