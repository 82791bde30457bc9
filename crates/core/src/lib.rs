//! Identity, prekeys, handshake and ratchet.
//!
//! Bytes, time and randomness come in; bytes come out. This crate opens no socket, reads no clock and spawns no
//! task: every function is a pure step of the protocol in `SPEC §1` to `SPEC §5`. It knows nothing of protobuf either:
//! what it signs and hashes has a fixed layout of its own ([`codec`]).
//!
//! Start at [`identity`] for who an account is and [`prekey`] for how it is first reached; [`dh`], [`signature`] and
//! [`kem`] hold the primitives, behind one door each.

pub mod codec;
pub mod dh;
pub mod hash;
pub mod identity;
pub mod kem;
pub mod label;
pub mod link;
pub mod prekey;
pub mod random;
pub mod secret;
pub mod signature;
pub mod time;
