//! The relay protocol, both halves, without a socket, a clock or a disk.
//!
//! Three machines speak [`chopmark_wire::relay`]'s frames: [`RelayConnection`] for a relay, [`OwnerConnection`] and
//! [`SenderConnection`] for a client. Each takes bytes and the time and hands out bytes, events and store requests:
//! `handle(now, Input)`, then `poll()` until it answers `None`, then again no later than `wake_at()`. What a relay
//! keeps stands behind [`store::MailboxStore`]; that `Stored` means "on disk" is therefore a unit test here.
//!
//! Architecture invariants: nothing of this crate asks TLS for anything, the [`ChannelBinding`] is an input; nothing
//! knows what an envelope holds.
//!
//! Start at [`OwnerConnection`] to receive, at [`SenderConnection`] to send, at [`RelayConnection`] to serve.

pub mod client;
pub mod relay;
pub mod store;

pub use chopmark_wire::relay::ChannelBinding;
pub use client::{
    ConnectionError, Input, Output, OwnerConnection, OwnerEvent, SenderConnection, SenderEvent,
};
pub use relay::RelayConnection;

#[cfg(test)]
mod tests;
