//! Identity, prekeys, handshake and ratchet.
//!
//! Bytes, time and randomness come in; bytes come out. This crate opens no socket, reads no clock and spawns no
//! task: every function is a pure step of the protocol in `SPEC §1` to `SPEC §5`. It knows nothing of protobuf either:
//! what it signs and hashes has a fixed layout of its own ([`codec`]).
//!
//! Start at [`identity`] for who an account is, [`prekey`] for how it is first reached, and [`session`] for what is
//! said then; [`dh`], [`signature`] and [`kem`] hold the primitives, behind one door each.

mod aead;
pub mod codec;
pub mod dh;
pub mod handshake;
pub mod hash;
#[cfg(feature = "hazmat")]
pub mod hazmat;
pub mod identity;
mod kdf;
pub mod kem;
pub mod label;
pub mod link;
pub mod prekey;
pub mod random;
mod ratchet;
pub mod secret;
pub mod session;
pub mod sessions;
pub mod signature;
pub mod time;
