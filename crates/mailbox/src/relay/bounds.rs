//! What one connection may have under way, and for how long it may be silent (SPEC §6.8).

use core::time::Duration;

use chopmark_wire::relay::{AccessToken, AccessTokenHash, limits};

/// Who may make a mailbox that is not there yet. Whoever has one opens it in every mode.
///
/// It fails closed: whoever may not is told so and nothing is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Everyone, within the share of an address prefix.
    #[default]
    Open,
    /// Who shows one of these tokens. The relay keeps their hashes.
    Tokens(Vec<AccessTokenHash>),
    /// Nobody.
    Closed,
}

impl Access {
    /// May this connection make a mailbox? Every token is compared, whichever it is.
    pub(super) fn allows(&self, token: Option<&AccessToken>) -> bool {
        match self {
            Self::Open => true,
            Self::Tokens(good) => token.is_some_and(|token| {
                let hash = token.hash();
                good.iter().filter(|good| **good == hash).count() > 0
            }),
            Self::Closed => false,
        }
    }
}

/// The bounds of one connection. The defaults are SPEC §6.8's.
///
/// All of them make the connection itself wait or end, and no other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests that may be with the store. Beyond, no more is read.
    pub requests: usize,
    /// Bytes of content that may be with the store. Beyond, no more is read.
    pub request_bytes: usize,
    /// Frames that are read without a pause.
    pub frames_burst: u32,
    /// Frames a second behind that. Beyond, no more is read for a while.
    pub frames_per_second: u32,
    /// Messages that may be delivered and not yet acked, 1 to 64. Beyond, they stay in the store.
    pub window_messages: usize,
    /// Bytes of envelopes that may be delivered and not yet acked, 65,536 to 262,144. Beyond, they stay in the store.
    pub window_bytes: usize,
    /// Time that a client has for its first frame. Beyond, the connection is closed.
    pub first_frame_time: Duration,
    /// Silence of a sender with nothing under way. Beyond, the connection is closed.
    pub sender_idle_time: Duration,
    /// Time between `GoAway{draining}` and the end, for what is under way.
    pub drain_time: Duration,
    /// Who may make a mailbox.
    pub access: Access,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            requests: limits::REQUESTS_IN_FLIGHT_MAX,
            request_bytes: limits::REQUEST_BYTES_IN_FLIGHT_MAX,
            frames_burst: limits::FRAMES_BURST,
            frames_per_second: limits::FRAMES_PER_SECOND,
            window_messages: limits::WINDOW_MESSAGES,
            window_bytes: limits::WINDOW_BYTES,
            first_frame_time: limits::FIRST_FRAME_TIME,
            sender_idle_time: limits::SENDER_IDLE_TIME,
            drain_time: limits::DRAIN_TIME,
            access: Access::Open,
        }
    }
}

/// A bound that held a connection back: to be counted, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limited {
    /// As much as may be is with the store.
    Requests,
    /// Frames came faster than they are read.
    Frames,
    /// The window is full, and more waits in the mailbox.
    Window,
    /// The first frame did not come.
    FirstFrame,
    /// A sender was silent.
    SenderIdle,
    /// A mailbox was not made because of [`Bounds::access`].
    Access,
}
