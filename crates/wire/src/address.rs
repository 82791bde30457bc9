//! Where a relay is: `chop-relay:host:port#hash`.
//!
//! The hash names the relay's own identity key, not its certificate, so that a printed address outlives certificates
//! (SPEC §6.2).

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use data_encoding::HEXLOWER;
use thiserror::Error;

use crate::limits;

/// A relay: host, UDP port and the first 16 bytes of the hash of its identity key (SPEC §6.2).
///
/// ```
/// use chopmark_wire::address::RelayAddress;
/// let text = "chop-relay:relay.example.org:4433#000102030405060708090a0b0c0d0e0f";
/// let relay: RelayAddress = text.parse()?;
/// assert_eq!((relay.host(), relay.port()), ("relay.example.org", 4433));
/// assert_eq!(relay.to_string(), text);
/// # Ok::<(), chopmark_wire::address::RelayAddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayAddress {
    host: String,
    port: u16,
    hash: [u8; 16],
}

/// Text that is not the address of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RelayAddressError {
    /// It does not begin with `chop-relay:`.
    #[error("a relay's address begins with chop-relay:")]
    Scheme,
    /// No `#hash`, or not 32 lower-case hexadecimal digits.
    #[error("a relay's address ends with # and the 32 hexadecimal digits that the relay prints")]
    Hash,
    /// No name, or one with characters that no host has.
    #[error("the host of a relay's address is not a name or number of a host")]
    Host,
    /// No port, or not one from 1 to 65535.
    #[error("the port of a relay's address is not a number from 1 to 65535")]
    Port,
}

impl RelayAddress {
    /// The relay at `host` (a name, an IPv4 address, or an IPv6 address in brackets; upper case is lowered) and `port`
    /// with the identity hash `hash`.
    ///
    /// # Errors
    /// `Host` or `Port` if one of them is not allowed.
    pub fn new(host: &str, port: u16, hash: [u8; 16]) -> Result<Self, RelayAddressError> {
        let host = host.to_ascii_lowercase();
        if !is_host(&host) {
            return Err(RelayAddressError::Host);
        }
        if port == 0 {
            return Err(RelayAddressError::Port);
        }
        Ok(Self { host, port, hash })
    }

    /// `host:port` and a hash that stands elsewhere, as in a link (SPEC §2.7).
    ///
    /// # Errors
    /// `Host` or `Port` if one of them is not allowed.
    pub fn from_host_port(host_port: &str, hash: [u8; 16]) -> Result<Self, RelayAddressError> {
        let (host, port) = host_port.rsplit_once(':').ok_or(RelayAddressError::Port)?;
        // `+80` and `080` are numbers to the parser and would be two texts for one address.
        if port.starts_with(['+', '0']) {
            return Err(RelayAddressError::Port);
        }
        Self::new(host, port.parse().map_err(|_| RelayAddressError::Port)?, hash)
    }

    /// A DNS name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, what a resolver takes.
    pub fn host_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The first 16 bytes of the hash of the relay's identity key (SPEC §6.2).
    pub fn hash(&self) -> &[u8; 16] {
        &self.hash
    }
}

fn is_host(host: &str) -> bool {
    if host.is_empty() || host.len() > limits::HOST_MAX {
        return false;
    }
    if let Some(inner) = host.strip_prefix('[') {
        // RFC 5952: every address has one text.
        let canonical = |ip: &str| ip.parse::<Ipv6Addr>().is_ok_and(|read| read.to_string() == ip);
        return inner.strip_suffix(']').is_some_and(canonical);
    }
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    host.split('.').all(|part| {
        let edges = !part.starts_with('-') && !part.ends_with('-');
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&part.len()) && edges && part.bytes().all(letters)
    })
}

impl FromStr for RelayAddress {
    type Err = RelayAddressError;

    fn from_str(text: &str) -> Result<Self, RelayAddressError> {
        let rest = text.strip_prefix("chop-relay:").ok_or(RelayAddressError::Scheme)?;
        let (host_port, hash) = rest.rsplit_once('#').ok_or(RelayAddressError::Hash)?;
        let hash = HEXLOWER.decode(hash.as_bytes()).map_err(|_| RelayAddressError::Hash)?;
        let hash = hash.try_into().map_err(|_| RelayAddressError::Hash)?;
        Self::from_host_port(host_port, hash)
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, hash } = self;
        write!(f, "chop-relay:{host}:{port}#{}", HEXLOWER.encode(hash))
    }
}

/// An address tells where someone is reached: it is not for logs.
impl fmt::Debug for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayAddress(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "000102030405060708090a0b0c0d0e0f";

    fn parse(host_port: &str) -> Result<RelayAddress, RelayAddressError> {
        format!("chop-relay:{host_port}#{HASH}").parse()
    }

    #[test]
    fn names_and_numbers_of_hosts_come_back_as_they_were() {
        for host in ["localhost", "127.0.0.1", "[::1]", "a-b.example.org"] {
            let text = format!("chop-relay:{host}:4433#{HASH}");
            assert_eq!(text.parse::<RelayAddress>().unwrap().to_string(), text);
        }
        assert_eq!(parse("Relay.EXAMPLE:1").unwrap().host(), "relay.example");
    }

    #[test]
    fn every_wrong_part_has_its_own_error() {
        assert_eq!("relay:a:1#00".parse::<RelayAddress>(), Err(RelayAddressError::Scheme));
        assert_eq!("chop-relay:a:1#00".parse::<RelayAddress>(), Err(RelayAddressError::Hash));
        assert_eq!("chop-relay:a:1".parse::<RelayAddress>(), Err(RelayAddressError::Hash));
        for host in ["", "a b", "-a", "a..b", "[::1", "[z]", "a/b", "ü", &"a".repeat(64)] {
            assert_eq!(parse(&format!("{host}:1")), Err(RelayAddressError::Host), "{host}");
        }
        for port in ["", "0", "65536", "+1", "01", "x"] {
            assert_eq!(parse(&format!("a:{port}")), Err(RelayAddressError::Port), "{port}");
        }
    }

    // Tests [link-is-whole].
    #[test]
    fn an_address_in_numbers_has_one_text() {
        for host in ["127.0.0.01", "127.1", "1", "1.2.3.4.5", "[0:0:0:0:0:0:0:1]", "[::0001]"] {
            assert_eq!(parse(&format!("{host}:1")), Err(RelayAddressError::Host), "{host}");
        }
    }

    #[test]
    fn debug_does_not_say_where_someone_is_reached() {
        assert_eq!(format!("{:?}", parse("hidden.example:1").unwrap()), "RelayAddress(..)");
    }
}
