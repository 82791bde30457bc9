//! Where an account is reached. Keys, manifests and bundles are binary objects of the core and pass through as bytes.

use std::fmt;

use bytes::Bytes;

use crate::{address::RelayAddress, generated::identity as pb, strict::DecodeError};

/// One place where an account takes messages from the contact that this was sent to (SPEC §6.9).
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The relay that keeps the mailbox.
    pub relay: RelayAddress,
    /// What allows to deposit there (SPEC §6.6).
    pub capability: [u8; 32],
    /// Lower is tried first.
    pub priority: u32,
    /// A higher version for the same relay replaces a lower one.
    pub version: u32,
    /// The link secret under which the account's bundle is published there for this contact alone (SPEC §6.10).
    pub renewal: Option<[u8; 16]>,
}

/// A capability is a secret and an address is nobody's business: says neither.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { relay: _, capability: _, priority, version, renewal: _ } = self;
        f.debug_struct("Endpoint")
            .field("priority", priority)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

impl TryFrom<pb::Endpoint> for Endpoint {
    type Error = DecodeError;

    fn try_from(endpoint: pb::Endpoint) -> Result<Self, DecodeError> {
        let pb::Endpoint { relay, capability, priority, version, renewal } = endpoint;
        Ok(Self {
            relay: relay.parse().map_err(|_| DecodeError::Invalid("relay address"))?,
            capability: array(&capability, "capability")?,
            priority,
            version,
            renewal: renewal.map(|secret| array(&secret, "renewal secret")).transpose()?,
        })
    }
}

impl From<&Endpoint> for pb::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint { relay, capability, priority, version, renewal } = endpoint;
        Self {
            relay: relay.to_string(),
            capability: Bytes::copy_from_slice(capability),
            priority: *priority,
            version: *version,
            renewal: renewal.map(|secret| Bytes::copy_from_slice(&secret)),
        }
    }
}

/// Exactly `N` bytes, or the error that names the part.
pub(crate) fn array<const N: usize>(
    bytes: &[u8],
    what: &'static str,
) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Invalid(what))
}
