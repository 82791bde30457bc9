//! Bodies of the fuzz targets, as plain functions: `fuzz/` calls them with libFuzzer, the tests here with the corpora.
//!
//! A body panics when a door breaks a promise. The readers ([`envelope`], [`wire_frame`], [`content`], [`link`],
//! [`state_import`]) take any bytes: what they take can be written again and means the same. The others read a script of
//! operations, a byte each with its operands behind it, and drive the protocol with it as a hostile network or a
//! hostile peer would: [`handshake`], [`session_ops`], [`header`], [`kem_epoch`], [`chain_ops`], [`relay_session`];
//! or the relay's store as a failing disk would: [`store_ops`].
//!
//! Architecture invariant: no check of the product is switched off for a fuzzer, so what one reaches a stranger reaches.

mod alter;
mod chain_ops;
mod content;
mod definition;
mod device;
mod envelope;
mod handshake;
mod header;
mod kem_epoch;
mod link;
mod machine;
mod message;
mod peer;
mod relay_session;
mod scene;
mod script;
mod session_ops;
pub(crate) mod state_import;
mod store_ops;
mod wire_frame;

pub use chain_ops::chain_ops;
pub use content::content;
pub use envelope::envelope;
pub use handshake::handshake;
pub use header::header;
pub use kem_epoch::kem_epoch;
pub use link::link;
pub use relay_session::relay_session;
pub use session_ops::session_ops;
pub use state_import::state_import;
pub use store_ops::store_ops;
pub use wire_frame::wire_frame;

/// One target: its name, which is that of its corpus, and its body.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The folder in `fuzz/corpus/`.
    pub name: &'static str,
    /// Takes any bytes.
    pub body: fn(&[u8]),
    /// How many bent seeds an ordinary test tries: more where a try is cheap.
    pub tries: u64,
}

/// Every target of `fuzz/`.
pub const TARGETS: &[Target] = &[
    Target { name: "envelope", body: envelope, tries: 2_000 },
    Target { name: "wire_frame", body: wire_frame, tries: 2_000 },
    Target { name: "content", body: content, tries: 2_000 },
    Target { name: "link", body: link, tries: 2_000 },
    Target { name: "state_import", body: state_import, tries: 200 },
    Target { name: "handshake", body: handshake, tries: 12 },
    Target { name: "chain_ops", body: chain_ops, tries: 12 },
    Target { name: "header", body: header, tries: 12 },
    Target { name: "kem_epoch", body: kem_epoch, tries: 12 },
    Target { name: "session_ops", body: session_ops, tries: 12 },
    Target { name: "relay_session", body: relay_session, tries: 200 },
    Target { name: "store_ops", body: store_ops, tries: 200 },
];

#[cfg(test)]
mod tests;
