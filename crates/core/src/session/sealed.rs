//! A message that was sealed, and the step without which it cannot be sent.

use core::fmt;

use super::{Envelope, Event, Position, SessionId, stored::Stored};
use crate::{ratchet::sealing::Ahead, secret::on_wiped_stack};

/// A sealed message that is not part of the state yet: the envelope comes out only once the state is stored.
///
/// `S` is a [`Session`](super::Session) or a [`Sessions`](crate::sessions::Sessions). While this lives nothing else is
/// done with the state, so the message can be applied to no other. Dropping it changes nothing: the index of the message
/// is used by the next one, whose nonce is another one.
#[must_use = "nothing is sent before `commit`"]
pub struct Sealed<'a, S> {
    state: &'a mut S,
    session: SessionId,
    ahead: Ahead,
}

/// A message of ours: what the store takes beside the state, and what is sent when it has taken both.
#[non_exhaustive]
pub struct Outgoing {
    /// For the outbox. It must not leave the device before it is stored, with the state, durably.
    pub envelope: Envelope,
    /// Which session sealed it.
    pub session: SessionId,
    /// Which message it is, to be matched with [`Acknowledged::covers`](super::Acknowledged::covers).
    pub position: Position,
    /// What else happened.
    pub events: Vec<Event>,
}

impl<'a, S> Sealed<'a, S> {
    pub(crate) fn new(state: &'a mut S, session: SessionId, ahead: Ahead) -> Self {
        Self { state, session, ahead }
    }

    /// Which session sealed it.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Which message it is.
    pub fn position(&self) -> Position {
        self.ahead.position
    }
}

#[allow(private_bounds, reason = "only a session and a set of them are ever a state")]
impl<S: Stored> Sealed<'_, S> {
    /// Applies the message to the state, hands both to `store`, which returns once they are durable, and gives the
    /// message out.
    ///
    /// # Errors
    /// Those of `store`: nothing may be sent then. Whether the store has the state is not known, so the one in memory
    /// is stale: it answers [`SealError::Stale`](super::SealError::Stale) and
    /// [`OpenError::Stale`](super::OpenError::Stale) from then on. Load it again.
    pub fn commit<E>(
        self,
        store: impl FnOnce(&S, &Outgoing) -> Result<(), E>,
    ) -> Result<Outgoing, E> {
        let Self { state, session, ahead } = self;
        // SPEC §5.10 [persist-before-send], [stale-until-loaded]: from here on, as a store that panics has failed too.
        *state.stale() = true;
        let outgoing = on_wiped_stack(|| state.apply_sealed(session, ahead));
        store(state, &outgoing)?;
        *state.stale() = false;
        Ok(outgoing)
    }
}

impl<S> fmt::Debug for Sealed<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { envelope, session: _, position, events } = self;
        f.debug_struct("Outgoing")
            .field("envelope", envelope)
            .field("position", position)
            .field("events", events)
            .finish_non_exhaustive()
    }
}
