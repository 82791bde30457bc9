//! A message that was opened, and the step with which it counts as received.

use core::fmt;

use zeroize::Zeroizing;

use super::{Acknowledged, Event, Position, Session, SessionId, stored::Stored};
use crate::{ratchet::opening::Ahead, secret::on_wiped_stack, time::Timestamp};

/// An authentic message that is not part of the state yet.
///
/// `S` is a [`Session`] or a [`Sessions`](crate::sessions::Sessions). While this lives nothing else is done with the
/// state, so the message can be applied to no other. Dropping it changes nothing: the envelope opens again.
#[must_use = "nothing is received before `commit`"]
pub struct Opened<'a, S> {
    state: &'a mut S,
    session: SessionId,
    ahead: Ahead,
    now: Timestamp,
}

/// A message of the peer's.
#[non_exhaustive]
pub struct Incoming {
    /// Which session opened it.
    pub session: SessionId,
    /// Which message of the peer this is: in one session, never the same twice.
    pub position: Position,
    /// What the peer sealed; empty for a probe.
    pub content: Zeroizing<Vec<u8>>,
    /// What the peer says that it received of ours. Cumulative; a late message says less than an earlier one.
    pub acknowledged: Option<Acknowledged>,
    /// What else happened.
    pub events: Vec<Event>,
    /// In a set of sessions, sending moved to another one: content that is not acknowledged is to be sealed again there.
    pub moved: bool,
    /// In a set of sessions, those that had to go because there were too many. Their first messages are replays from
    /// now on.
    pub dropped: Vec<SessionId>,
}

/// A first message that was opened, and the session that it began. Nothing of it is stored yet.
#[non_exhaustive]
pub struct Answered {
    /// The session after the message.
    pub session: Session,
    /// The message.
    pub message: Incoming,
}

impl<'a, S> Opened<'a, S> {
    pub(crate) fn new(state: &'a mut S, session: SessionId, ahead: Ahead, now: Timestamp) -> Self {
        Self { state, session, ahead, now }
    }

    /// Which session opened it.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Which message of the peer it is.
    pub fn position(&self) -> Position {
        self.ahead.position
    }

    /// What the peer sealed; empty for a probe.
    pub fn content(&self) -> &[u8] {
        self.ahead.body.content()
    }
}

#[allow(private_bounds, reason = "only a session and a set of them are ever a state")]
impl<S: Stored> Opened<'_, S> {
    /// Applies the message to the state, hands both to `store`, which returns once they are durable, and gives the
    /// message out. The relay may forget the envelope then.
    ///
    /// # Errors
    /// Those of `store`. Whether it has the state is not known, so the one in memory is stale: it answers
    /// [`SealError::Stale`](super::SealError::Stale) and [`OpenError::Stale`](super::OpenError::Stale) from then on.
    /// Load it again; the envelope opens again if the store had not taken it.
    pub fn commit<E>(
        self,
        store: impl FnOnce(&S, &Incoming) -> Result<(), E>,
    ) -> Result<Incoming, E> {
        let Self { state, session, ahead, now } = self;
        // SPEC §5.10 [stale-until-loaded]: from here on, as a store that panics has failed too.
        *state.stale() = true;
        // SPEC §5.5 [open-then-commit]: the message is authentic.
        let incoming = on_wiped_stack(|| state.apply_opened(session, ahead, now));
        store(state, &incoming)?;
        *state.stale() = false;
        Ok(incoming)
    }
}

impl<S> fmt::Debug for Opened<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("length", &self.content().len())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session: _, position, content, acknowledged, events, moved, dropped } = self;
        f.debug_struct("Incoming")
            .field("position", position)
            .field("length", &content.len())
            .field("acknowledged", acknowledged)
            .field("events", events)
            .field("moved", moved)
            .field("dropped", dropped)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, message } = self;
        f.debug_struct("Answered").field("session", session).field("message", message).finish()
    }
}
