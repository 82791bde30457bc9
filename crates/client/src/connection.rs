//! Sockets: QUIC to relays, HTTP to issuers. Thin, and the only part of the SDK that touches the network.

pub(crate) mod issuer;
pub(crate) mod quic;
pub(crate) mod talk;
