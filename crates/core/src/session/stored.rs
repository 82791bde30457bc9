//! What seals and opens and is stored whole: a session, or a set of them.

use super::{Incoming, Outgoing, SessionId};
use crate::{
    ratchet::{opening, sealing},
    time::Timestamp,
};

/// The in-place half of sealing and opening. Only the guards call it, which hold the state that they were made from.
pub(crate) trait Stored {
    /// Whether the state in memory may be ahead of the stored one. It is never used then.
    fn stale(&mut self) -> &mut bool;

    /// Applies a message that was sealed by the session with this name.
    fn apply_sealed(&mut self, session: SessionId, ahead: sealing::Ahead) -> Outgoing;

    /// Applies a message that was opened by the session with this name.
    fn apply_opened(
        &mut self,
        session: SessionId,
        ahead: opening::Ahead,
        now: Timestamp,
    ) -> Incoming;
}
