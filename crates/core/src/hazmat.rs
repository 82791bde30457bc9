//! The parts of the protocol by themselves: bytes in, bytes out, nothing checked that a session would check.
//!
//! For vectors, fuzz targets and explorers, behind the cargo feature `hazmat`, which is off by default; never for
//! applications. Secrets are plain arrays here and randomness is whatever is handed in: misuse compiles.
//!
//! Each module is a thin door to the code that a [`Session`](crate::session::Session) runs, so that what is shown about
//! a part is shown about the product.

pub mod chain;
pub mod derivation;
pub mod envelope;
pub mod handshake;
pub mod header;
pub mod kem_epoch;
pub mod primitives;
pub mod root;
pub mod sealings;
pub mod sending;
