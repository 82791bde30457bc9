//! Why a message was not sealed or not opened.

use thiserror::Error;

/// Nothing was sealed, the session is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The peer began this session and its device entry was not given yet: call
    /// [`introduce`](crate::session::Session::introduce) once its manifest is verified.
    #[error("the peer's device is not verified yet")]
    PeerUnknown,
    /// The content is longer than one message takes: split it or shorten it.
    #[error("content is longer than {limit} bytes")]
    TooLong {
        /// The most bytes that this session's next message takes.
        limit: usize,
    },
    /// There is no session on which content may be sent: begin one.
    #[error("there is no session to send on")]
    NoSession,
    /// The chain has no index left, after 4 billion messages without an answer: begin a new session.
    #[error("the chain is exhausted")]
    Exhausted,
    /// A responder cannot send before it opened something; the API does not lead here.
    #[error("nothing was received yet")]
    CannotSendFirst,
    /// The source of randomness failed. Try again later; a device on which this persists must not send.
    #[error("the source of randomness failed")]
    Randomness,
    /// A message before this one was not stored, so what is in memory may be ahead of the store: drop it and load it
    /// again from there.
    #[error("the state in memory is not the stored one")]
    Stale,
    /// A bug of ours: nothing that a caller or a peer does leads here.
    #[error("internal error")]
    Internal,
}

/// A message that was not opened. The session is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The length is no bucket or the version unknown. Drop it.
    #[error("not an envelope")]
    NotAnEnvelope,
    /// A message before this one was not stored, so what is in memory may be ahead of the store: drop it and load it
    /// again from there. The envelope was not looked at.
    #[error("the state in memory is not the stored one")]
    Stale,
    /// No header key of this session opens the header: another session's, or noise. Try the contact's other sessions.
    #[error("not for this session")]
    NotForThisSession,
    /// This very message was opened before. Drop it and acknowledge it to the relay.
    #[error("message was already opened")]
    AlreadyOpened {
        /// Whether its tag is still remembered. If not, and the client never stored this envelope, the peer may have
        /// fallen back to an older state: treat it as [`OpenError::PeerRolledBack`].
        remembered: bool,
    },
    /// It came after its key was given up, because there were too many gaps or they were too old.
    #[error("the message's key was given up")]
    GivenUp,
    /// The header is genuine and the body is not: the message was altered on its way.
    #[error("message is not authentic")]
    Forged,
    /// A key of the peer makes an agreement that does not depend on ours: the peer misbehaved.
    #[error("the peer's key makes the agreement non-contributory")]
    NonContributory,
    /// Authentic and against the protocol. Drop it.
    #[error("the peer misbehaved")]
    PeerMisbehaved,
    /// Another message came at an index that was opened before: the peer uses an older state of this session, restored
    /// or copied. Tell the user and begin a new session.
    #[error("the peer fell back to an older state")]
    PeerRolledBack,
    /// Another key came in a chain that has one: two devices use copies of the peer's state. Tell the user and begin a
    /// new session.
    #[error("the peer's state is in use twice")]
    PeerForked,
    /// The peer answers a step that this state never made: our own state is an older one, or a copy of it is in use. Tell
    /// the user and begin a new session.
    #[error("our own state is an older one, or in use twice")]
    OwnRolledBack,
}
