//! A message that was opened.

use core::fmt;

use zeroize::Zeroizing;

use super::{Acknowledged, Event, Position, Session};

/// An authentic message with the state that follows it.
///
/// Store the content and the state in one transaction, then let the relay forget the envelope.
#[non_exhaustive]
pub struct Opened {
    /// The session after this message.
    pub session: Session,
    /// What the peer sealed; empty for a probe.
    pub content: Zeroizing<Vec<u8>>,
    /// What the peer says that it received of ours. Cumulative; a late message says less than an earlier one.
    pub acknowledged: Option<Acknowledged>,
    /// Which message of the peer this is: in one session, never the same twice.
    pub position: Position,
    /// What else happened.
    pub events: Vec<Event>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, content, acknowledged: _, position, events } = self;
        f.debug_struct("Opened")
            .field("session", session)
            .field("length", &content.len())
            .field("position", position)
            .field("events", events)
            .finish_non_exhaustive()
    }
}
