//! The relay node: mailboxes on disk, served over QUIC (SPEC §6).
//!
//! The protocol is `chopmark-mailbox`'s, which knows no socket, clock or disk; this crate is those three, and thin. A
//! connection task moves bytes between quinn and a [`RelayConnection`](chopmark_mailbox::RelayConnection); one writer
//! thread groups what all connections ask of the store, syncs once a batch, and answers after it ([`store`]).
//!
//! Architecture invariants: nothing is logged that names an address, a mailbox, a capability or a message; nothing is
//! answered that depends on a batch before that batch is on disk.
//!
//! Start at [`cli::run`] for the program, at [`node::Node`] for a relay inside another one.

pub mod certificate;
pub mod cli;
pub mod endpoint;
pub mod home;
pub mod limits;
pub mod metrics;
pub mod node;
pub mod settings;
pub mod store;

mod access;
mod admin;
mod command;
mod confine;
mod log;
mod prefix;
mod running;
mod subscribers;
mod task;
