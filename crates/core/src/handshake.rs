//! The handshake: how two devices that never met share a root key, one of them being away.
//!
//! Asynchronous, deniable, and authenticated on both sides in the classical and the post-quantum world: three or four
//! X25519 agreements, two encapsulations to the responder here, and a third one back to the initiator as the ratchet's
//! first KEM epoch. SPEC §4.
//!
//! Start at [`Session::initiate`](crate::session::Session::initiate) and
//! [`Session::respond`](crate::session::Session::respond); at [`InitBlock::peek`] to find the private prekeys that an
//! envelope asks for.

mod init_block;
mod initiator;
mod peer;
mod responder;
pub(crate) mod schedule;

use thiserror::Error;

pub use init_block::{InitBlock, InitId, Peeked};
pub use peer::{Own, PeerIdentity, WrongEntry};

pub(crate) use initiator::initiate;
pub(crate) use responder::{PrekeySecret, respond};
pub(crate) use schedule::Prekey;

use crate::random::RandomnessError;

/// No session was begun. Nothing was sent, nothing has to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InitiateError {
    /// The source of randomness failed. Try again later; a device on which this persists must not send.
    #[error("the source of randomness failed")]
    Randomness,
    /// A key of the bundle makes an agreement that does not depend on ours: the peer misbehaved. Fetch another bundle.
    #[error("a key of the peer's bundle makes the agreement non-contributory")]
    NonContributory,
    /// A bug of ours: nothing that a caller or a peer does leads here.
    #[error("internal error")]
    Internal,
}

impl From<RandomnessError> for InitiateError {
    fn from(_: RandomnessError) -> Self {
        Self::Randomness
    }
}

/// A first message that was not opened. No session exists, nothing has to be stored, the prekeys are as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RespondError {
    /// The length is no bucket or the version unknown. Drop it.
    #[error("not an envelope")]
    NotAnEnvelope,
    /// It carries no init block, or one that does not decode. Drop it.
    #[error("no init block")]
    NoInitBlock,
    /// The prekeys given are not those that the init block names: see [`InitBlock::peek`].
    #[error("the prekeys are not those that the message asks for")]
    WrongPrekey,
    /// A key makes an agreement that does not depend on ours: the sender misbehaved. Drop it.
    #[error("a key of the peer makes the agreement non-contributory")]
    NonContributory,
    /// Not authentic: altered, or made for other keys. A mauled ciphertext ends here too. Drop it.
    #[error("message is not authentic")]
    Forged,
    /// Authentic and against the protocol. Drop it.
    #[error("the peer misbehaved")]
    PeerMisbehaved,
}
