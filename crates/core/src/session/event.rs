//! What a session noticed besides the message itself.

/// Something that happened with a message, for the client to act upon or to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The session is `Confirmed` now: the peer is authenticated post-quantum too. In a set of sessions sending may have
    /// moved to it, with sealing as with opening: content that is not acknowledged is to be sealed again there.
    Confirmed,
    /// A KEM epoch was mixed in: whoever copied an older state can no longer follow.
    EpochMixed {
        /// Its number, from 1.
        epoch: u32,
    },
    /// Keys of messages that never came were given up, because there were too many gaps or they were too old. This
    /// session's acknowledgements stay where they are: begin a new session and have the peer send again.
    Evicted {
        /// Number of the peer's chain.
        chain: u64,
        /// Nothing below this index of that chain can be opened any more.
        below: u32,
    },
    /// The peer sent a KEM object that no honest peer sends. It was dropped; the session goes on without healing.
    KemObjectRefused,
    /// The peer acknowledged what this state never sent: our own state is older than what the peer saw, restored or
    /// copied. Begin a new session.
    AcknowledgedBeyondSent,
}
