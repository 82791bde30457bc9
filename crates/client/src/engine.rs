//! The engine: everything a client decides, as turns over one transaction. No socket, no clock, no thread.
//!
//! Start at [`turn::Turn`]; [`inbox`] is where messages come in, [`outbox`] where they leave, [`knock`] how two people
//! meet, [`money`] how they pay.

pub(crate) mod account;
mod agenda;
mod blob;
mod claim;
pub(crate) mod contact;
mod debt;
pub(crate) mod duty;
pub(crate) mod fetch;
pub(crate) mod inbox;
mod introduction;
pub(crate) mod knock;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod money;
pub(crate) mod outbox;
mod prekey;
pub(crate) mod record;
mod renewal;
mod revision;
mod seen;
mod session;
mod standing;
pub(crate) mod turn;
mod upkeep;

#[cfg(test)]
mod tests;
