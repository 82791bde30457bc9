//! The issuer: an operator's own coin by the Cashu protocol, with a ledger that answers only from disk.
//!
//! It knows blinded messages, spent coins and totals; no name, no account, no payment. It is the standard Cashu HTTP
//! interface (NUT-00 to 07, 09 to 12, 14, 19, 20) over one closed loop: the treasury issues, a melt redeems.
//! `SPEC §8.11` is the interface, `SPEC §8.12` the ledger, `SPEC §8.13` the treasury.
//!
//! Start at [`cli::run`].

pub mod cli;
mod curve;
mod desk;
mod door;
mod http;
mod issuer;
mod keyset;
mod ledger;
mod quote;
mod refusal;
mod settings;
mod treasury;
