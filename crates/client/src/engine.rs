//! The engine: everything a client decides, as turns over one transaction. No socket, no clock, no thread.
//!
//! Start at [`turn::Turn`]; [`inbox`] is where messages come in, [`outbox`] where they leave, [`knock`] how two people
//! meet, [`money`] how they pay.

pub(crate) mod account;
mod blob;
pub(crate) mod contact;
pub(crate) mod duty;
pub(crate) mod inbox;
pub(crate) mod knock;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod money;
pub(crate) mod outbox;
mod prekey;
pub(crate) mod record;
mod session;
pub(crate) mod turn;

#[cfg(test)]
mod tests;
