//! The client's halves: one connection that owns a mailbox, one that deposits into others (SPEC §6.4).
//!
//! Requests may be made at any time. Nothing leaves before the relay has proved its identity on this connection
//! (SPEC §6.2 `[verify-relay-first]`); an owner's proof then goes first, by itself.

mod connection;
mod owner;
mod sender;

pub use connection::{ConnectionError, Input, Output};
pub use owner::{OwnerConnection, OwnerEvent};
pub use sender::{SenderConnection, SenderEvent};
