//! A message that was sealed, and the step without which it cannot be sent.

use core::fmt;

use super::{Envelope, Event, Position, SessionId};
use crate::ratchet::SealedMessage;

/// A sealed message and the state that follows it: the envelope comes out only once the state is stored.
///
/// `S` is a [`Session`](super::Session) or a [`Sessions`](crate::sessions::Sessions). Dropping it is safe: the state
/// before it was never used.
#[must_use = "nothing is sent before `commit`"]
pub struct Sealed<S> {
    state: S,
    session: SessionId,
    message: SealedMessage,
    events: Vec<Event>,
}

/// What the store takes: the next state and the envelope, to be written in one transaction.
pub struct Unsent<'a, S> {
    /// The state to store in place of the one that sealed.
    pub state: &'a S,
    /// The envelope, for the outbox. It must not leave the device before the transaction is durable.
    pub envelope: &'a Envelope,
    /// Which session sealed it.
    pub session: SessionId,
    /// Which message it is, to be matched with [`Acknowledged::covers`](super::Acknowledged::covers).
    pub position: Position,
}

/// A sealed message whose state is stored.
#[non_exhaustive]
pub struct Sent<S, T> {
    /// The state that was stored.
    pub state: S,
    /// The envelope, free to go.
    pub envelope: Envelope,
    /// What the store returned.
    pub stored: T,
}

impl<S> Sealed<S> {
    pub(crate) fn new(
        state: S,
        session: SessionId,
        message: SealedMessage,
        events: Vec<Event>,
    ) -> Self {
        Self { state, session, message, events }
    }

    pub(crate) fn map<R>(self, wrap: impl FnOnce(S) -> R) -> Sealed<R> {
        let Self { state, session, message, events } = self;
        Sealed { state: wrap(state), session, message, events }
    }

    /// Which session sealed it.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Which message it is.
    pub fn position(&self) -> Position {
        self.message.position
    }

    /// What else happened.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Hands state and envelope to `store`, which returns once both are durable, and gives the envelope out.
    ///
    /// # Errors
    /// Those of `store`: nothing may be sent then, and the old state stays in use.
    pub fn commit<T, E>(
        self,
        store: impl FnOnce(&Unsent<'_, S>) -> Result<T, E>,
    ) -> Result<Sent<S, T>, E> {
        // SPEC §5.10 [persist-before-send].
        let stored = store(&Unsent {
            state: &self.state,
            envelope: &self.message.envelope,
            session: self.session,
            position: self.message.position,
        })?;
        Ok(Sent { state: self.state, envelope: self.message.envelope, stored })
    }
}

impl<S> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("position", &self.message.position)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Unsent<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent").field("position", &self.position).finish_non_exhaustive()
    }
}

impl<S, T> fmt::Debug for Sent<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("envelope", &self.envelope).finish_non_exhaustive()
    }
}
