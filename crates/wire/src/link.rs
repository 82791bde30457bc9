//! The contact link: what one person shows another so that they can meet (SPEC §2.7).
//!
//! One binary form, two texts of it: `chop:` and base64url to copy, `CHOP:` and base32 for a QR code, whose
//! alphanumeric mode then packs it densely.

use std::{fmt, str::FromStr};

use chopmark_core::codec::Reader;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    address::{RelayAddress, RelayAddressError},
    limits,
};

/// How often a link may be used (SPEC §2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkUse {
    /// Made for one person; spent by the first.
    OneTime,
    /// May be printed; revocable.
    Reusable,
}

/// Who is met, at which relay, and the secret that opens the bundle there (SPEC §2.7).
///
/// Whoever holds the link can knock: it is shown to the people it is for, and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactLink {
    uses: LinkUse,
    account_id: [u8; 32],
    relay: RelayAddress,
    secret: Zeroizing<[u8; 16]>,
}

/// Text or bytes that are not a contact link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It does not begin with `chop:`.
    #[error("a contact link begins with chop:")]
    Scheme,
    /// Characters that do not belong to a link.
    #[error("the contact link has characters that do not belong there: copy it whole")]
    Alphabet,
    /// The end is missing.
    #[error("the contact link is cut short: copy it whole")]
    Truncated,
    /// Something stands after the end.
    #[error("something stands after the end of the contact link")]
    TrailingBytes,
    /// Made by a version of the protocol that this one does not know.
    #[error("the contact link is of version {0}, which needs a newer program")]
    Version(u8),
    /// A flag that this version does not know.
    #[error("the contact link has flags that need a newer program")]
    Flags,
    /// The relay in it is not one.
    #[error("the contact link is damaged: {0}")]
    Relay(#[from] RelayAddressError),
}

impl ContactLink {
    /// A link to the account `account_id` whose bundle lies at `relay` under the 16 secret bytes `secret`.
    pub fn new(uses: LinkUse, account_id: [u8; 32], relay: RelayAddress, secret: [u8; 16]) -> Self {
        Self { uses, account_id, relay, secret: Zeroizing::new(secret) }
    }

    /// Whether the link is spent by its first use.
    pub fn uses(&self) -> LinkUse {
        self.uses
    }

    /// The account that is met: what was fetched is checked against it (SPEC §2.2).
    pub fn account_id(&self) -> &[u8; 32] {
        &self.account_id
    }

    /// The relay that keeps the bundle and takes the knock.
    pub fn relay(&self) -> &RelayAddress {
        &self.relay
    }

    /// The link secret, from which the knock capability and the bundle key come (SPEC §2.7).
    pub fn expose_secret(&self) -> &[u8; 16] {
        &self.secret
    }

    /// The text for a QR code: `CHOP:` and base32, only characters of its alphanumeric mode.
    pub fn to_qr_text(&self) -> String {
        format!("CHOP:{}", BASE32_NOPAD.encode(&self.encode()))
    }

    /// The binary form of SPEC §2.7.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let Self { uses, account_id, relay, secret } = self;
        let host_port = relay.host_port();
        let mut out = Zeroizing::new(Vec::with_capacity(limits::LINK_MAX));
        out.push(VERSION);
        out.push(if *uses == LinkUse::OneTime { ONE_TIME } else { 0 });
        out.extend_from_slice(account_id);
        out.extend_from_slice(relay.hash());
        out.extend_from_slice(secret.as_slice());
        // A host has at most HOST_MAX bytes: the length fits.
        out.push(u8::try_from(host_port.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(host_port.as_bytes());
        out
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// `Version` and `Flags` for links of a later version, `Truncated` and `TrailingBytes` for a wrong length, `Relay`
    /// for an address that is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut reader = Reader::new(bytes);
        let cut = |_| LinkError::Truncated;
        let version = reader.u8().map_err(cut)?;
        if version != VERSION {
            return Err(LinkError::Version(version));
        }
        let uses = match reader.u8().map_err(cut)? {
            0 => LinkUse::Reusable,
            ONE_TIME => LinkUse::OneTime,
            _ => return Err(LinkError::Flags),
        };
        let account_id = *reader.array().map_err(cut)?;
        let hash = *reader.array().map_err(cut)?;
        let secret = Zeroizing::new(*reader.array().map_err(cut)?);
        let length = reader.u8().map_err(cut)?;
        let host_port = reader.bytes(usize::from(length)).map_err(cut)?;
        reader.finish().map_err(|_| LinkError::TrailingBytes)?;
        let host_port = std::str::from_utf8(host_port).map_err(|_| RelayAddressError::Host)?;
        let relay = RelayAddress::from_host_port(host_port, hash)?;
        // One link has one form: a host in upper case would be a second.
        if relay.host_port() != host_port {
            return Err(RelayAddressError::Host.into());
        }
        Ok(Self { uses, account_id, relay, secret })
    }
}

/// The first byte of every link of this version.
const VERSION: u8 = 1;

/// Whether a text without its scheme is base32: `A`, then one of `E` to `P`, both in one case. So begin the versions 1, 2
/// and 3; in base64url it would be version 0, or one above 100 (SPEC §2.7).
fn is_base32(text: &str) -> bool {
    matches!(text.as_bytes(), [b'A', b'E'..=b'P', ..] | [b'a', b'e'..=b'p', ..])
}

const ONE_TIME: u8 = 1;

impl FromStr for ContactLink {
    type Err = LinkError;

    /// Takes both texts; the scheme in either case, base32 in either case.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (scheme, rest) = text.split_at_checked(5).ok_or(LinkError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("chop:") {
            return Err(LinkError::Scheme);
        }
        if rest.len() > limits::LINK_TEXT_MAX {
            return Err(LinkError::TrailingBytes);
        }
        let bytes = Zeroizing::new(
            if is_base32(rest) {
                let upper = Zeroizing::new(rest.to_ascii_uppercase());
                BASE32_NOPAD.decode(upper.as_bytes())
            } else {
                BASE64URL_NOPAD.decode(rest.as_bytes())
            }
            .map_err(|error| match error.kind {
                data_encoding::DecodeKind::Symbol => LinkError::Alphabet,
                _ => LinkError::Truncated,
            })?,
        );
        Self::decode(&bytes)
    }
}

impl fmt::Display for ContactLink {
    /// The text to copy: `chop:` and base64url, about 120 characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chop:{}", BASE64URL_NOPAD.encode(&self.encode()))
    }
}

/// Says nothing: whoever reads the link can knock.
impl fmt::Debug for ContactLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uses, account_id: _, relay: _, secret: _ } = self;
        f.debug_struct("ContactLink").field("uses", uses).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(uses: LinkUse) -> ContactLink {
        let relay = RelayAddress::new("relay.example.org", 4433, [7; 16]).unwrap();
        ContactLink::new(uses, [1; 32], relay, [0xA5; 16])
    }

    #[test]
    fn both_texts_are_the_same_link() {
        for uses in [LinkUse::OneTime, LinkUse::Reusable] {
            let link = link(uses);
            let (copied, scanned) = (link.to_string(), link.to_qr_text());
            assert_eq!(copied.parse::<ContactLink>().unwrap(), link);
            assert_eq!(scanned.parse::<ContactLink>().unwrap(), link);
            assert_eq!(scanned.to_lowercase().parse::<ContactLink>().unwrap(), link);
            assert!(copied.len() < 125, "{}", copied.len());
            let alphanumeric = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ':';
            assert!(scanned.chars().all(alphanumeric));
        }
    }

    // Tests [link-is-whole]. Seen to fail with the length byte of the address removed from the layout.
    #[test]
    fn a_link_cut_short_anywhere_is_refused() {
        for text in [link(LinkUse::OneTime).to_string(), link(LinkUse::OneTime).to_qr_text()] {
            for end in 0..text.len() {
                assert!(text[..end].parse::<ContactLink>().is_err(), "{end}");
            }
            assert!(format!("{text}A").parse::<ContactLink>().is_err());
            assert!(format!("{text}AAAAAAAA").parse::<ContactLink>().is_err());
        }
    }

    // Tests [link-version].
    #[test]
    fn later_versions_and_flags_say_so() {
        let mut bytes = link(LinkUse::OneTime).encode().to_vec();
        bytes[0] = 2;
        assert_eq!(ContactLink::decode(&bytes), Err(LinkError::Version(2)));
        bytes[0] = 1;
        bytes[1] = 2;
        assert_eq!(ContactLink::decode(&bytes), Err(LinkError::Flags));
    }

    // Tests [link-is-whole].
    #[test]
    fn a_second_form_of_the_same_link_is_refused() {
        let mut bytes = link(LinkUse::OneTime).encode().to_vec();
        let host = bytes.len() - "relay.example.org:4433".len();
        bytes[host] = b'R';
        assert_eq!(ContactLink::decode(&bytes), Err(LinkError::Relay(RelayAddressError::Host)));
    }

    #[test]
    fn debug_says_nothing() {
        let shown = format!("{:?}", link(LinkUse::OneTime));
        assert_eq!(shown, "ContactLink { uses: OneTime, .. }");
    }
}
