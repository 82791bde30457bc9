//! A session that has sent more than anyone wants to seal. SPEC §5.3.

use crate::session::Session;

/// The session goes on at index `n` of the chain that sends, as if the messages before it had been sealed and lost.
///
/// False, and no change, if no chain sends or its next index is `n` or above.
pub fn skip_to(session: &mut Session, n: u32) -> bool {
    session.skip_to(n)
}
