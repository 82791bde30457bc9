//! Keys, handshake and ratchet.
//!
//! Bytes and randomness come in, bytes come out. This crate opens no socket, reads no clock and spawns no task;
//! every function is a pure step of the protocol in `SPEC §2` to `SPEC §5`.

pub mod hash;
