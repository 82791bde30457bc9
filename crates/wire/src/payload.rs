//! What a sealed body holds: the sender's manifest number, and mostly a content (SPEC §7.1).

use core::fmt;

use bytes::Bytes;
use prost::Message as _;

use crate::{
    generated::{envelope as pb, shapes},
    identity::array,
    limits,
    strict::{self, DecodeError, EncodeError},
};

/// The inside of a sealed body (SPEC §7.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// Which manifest of the sender is the newest, so that a withheld update shows.
    pub manifest: ManifestMark,
    /// The manifest itself, in message 0 and every 8th until the first reply: a binary object of SPEC §2.4.
    pub manifest_bytes: Option<Bytes>,
    /// A content as it is hashed (SPEC §7.2). None in a probe.
    pub content: Option<Bytes>,
    /// Messages were lost: seal them again (SPEC §5.9).
    pub resend_after: Option<ResendAfter>,
}

/// Nothing of what is said.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manifest: _, manifest_bytes, content, resend_after: _ } = self;
        f.debug_struct("Payload")
            .field("manifest", &manifest_bytes.is_some())
            .field("content", &content.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// The number of a manifest, and enough of its hash to notice another with the same number (SPEC §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ManifestMark {
    /// Counts restores from the seed.
    pub recovery_epoch: u32,
    /// Counts manifests within a recovery epoch.
    pub version: u32,
    /// The first 16 bytes of its hash.
    pub hash: [u8; 16],
}

/// From where on a chain is to be sealed again (SPEC §5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResendAfter {
    /// The chain id.
    pub chain: [u8; 8],
    /// How many messages of the chain arrived without a gap.
    pub count: u32,
}

impl Payload {
    /// Does it carry nothing for a person? A probe moves a session and is not shown (SPEC §5.8).
    pub fn is_probe(&self) -> bool {
        self.content.is_none()
    }

    /// The bytes to seal: the same for the same payload.
    ///
    /// # Errors
    /// [`EncodeError`] if the other side would refuse it.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let Self { manifest, manifest_bytes, content, resend_after } = self;
        let message = pb::Payload {
            recovery_epoch: manifest.recovery_epoch,
            manifest_version: manifest.version,
            manifest_hash: Bytes::copy_from_slice(&manifest.hash),
            manifest: manifest_bytes.clone(),
            content: content.clone(),
            resend_after: resend_after.map(|ResendAfter { chain, count }| pb::ResendAfter {
                chain: Bytes::copy_from_slice(&chain),
                count,
            }),
        };
        let bytes = Bytes::from(message.encode_to_vec());
        Self::decode(&bytes).map(|_| bytes).map_err(EncodeError)
    }

    /// Reads what a body held. The content inside is not looked at: [`Content::decode`](crate::content::Content::decode)
    /// does.
    ///
    /// # Errors
    /// Which rule of SPEC §7.1 the bytes break.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let message: pb::Payload =
            strict::decode(bytes, &shapes::ENVELOPE_PAYLOAD, limits::PAYLOAD_MAX)?;
        let pb::Payload {
            recovery_epoch,
            manifest_version: version,
            manifest_hash,
            manifest: manifest_bytes,
            content,
            resend_after,
        } = message;
        within(manifest_bytes.as_ref(), limits::MANIFEST_MAX, "manifest")?;
        within(content.as_ref(), limits::CONTENT_MAX, "content")?;
        let resend_after = resend_after
            .map(|pb::ResendAfter { chain, count }| {
                Ok(ResendAfter { chain: array(&chain, "chain id")?, count })
            })
            .transpose()?;
        let hash = array(&manifest_hash, "manifest hash")?;
        let manifest = ManifestMark { recovery_epoch, version, hash };
        Ok(Self { manifest, manifest_bytes, content, resend_after })
    }
}

/// Present and empty says nothing that absent does not: refused with what is too long.
fn within(part: Option<&Bytes>, max: usize, what: &'static str) -> Result<(), DecodeError> {
    match part {
        Some(part) if part.is_empty() || part.len() > max => Err(DecodeError::Invalid(what)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Payload {
        Payload {
            manifest: ManifestMark { recovery_epoch: 1, version: 2, hash: [3; 16] },
            manifest_bytes: Some(Bytes::from_static(b"manifest")),
            content: Some(Bytes::from_static(b"content")),
            resend_after: Some(ResendAfter { chain: [4; 8], count: 5 }),
        }
    }

    #[test]
    fn every_part_comes_back() {
        let full = payload();
        assert_eq!(Payload::decode(&full.encode().unwrap()).unwrap(), full);
        let probe = Payload { manifest_bytes: None, content: None, resend_after: None, ..full };
        let back = Payload::decode(&probe.encode().unwrap()).unwrap();
        assert!(back.is_probe());
        assert_eq!(back, probe);
    }

    // Tests [payload-parts]. Seen to fail with `within` returning Ok.
    #[test]
    fn what_would_be_refused_is_not_sent() {
        let long = Payload { content: Some(vec![0; limits::CONTENT_MAX + 1].into()), ..payload() };
        assert_eq!(long.encode(), Err(EncodeError(DecodeError::Invalid("content"))));
        let empty = Payload { content: Some(Bytes::new()), ..payload() };
        assert_eq!(empty.encode(), Err(EncodeError(DecodeError::Invalid("content"))));
        assert_eq!(Payload::decode(&Bytes::new()), Err(DecodeError::Invalid("manifest hash")));
    }
}
