//! Which session sends and which ones are kept. SPEC §5.8.

use super::{Entry, Role, SessionId, Status};

/// Confirmed sessions that are kept: the current one and two older ones.
const CONFIRMED: usize = 3;

/// Sessions that are kept while they are not confirmed.
const UNCONFIRMED: usize = 2;

/// The session on which content goes out.
///
/// The one confirmed last. Without any: the newest that the peer began, unless one of ours crosses it; of two that
/// cross, the lower name, which both sides see alike. A session that waits for the peer's device entry cannot send.
pub(super) fn sending(entries: &[Entry]) -> Option<&Entry> {
    let confirmed = entries.iter().filter(|entry| entry.confirmed > 0);
    if let Some(entry) = confirmed.max_by_key(|entry| entry.confirmed) {
        return Some(entry);
    }
    let newest = |role| {
        entries
            .iter()
            .rev()
            .find(|entry| entry.session.role() == role && !entry.session.awaits_introduction())
    };
    match (newest(Role::Initiator), newest(Role::Responder)) {
        // SPEC §5.8 [glare-by-lower-id].
        (Some(ours), Some(theirs)) if theirs.session.id() < ours.session.id() => Some(theirs),
        (Some(ours), _) => Some(ours),
        (None, theirs) => theirs,
    }
}

/// The name of a session that is one too many.
pub(super) fn surplus(entries: &[Entry]) -> Option<SessionId> {
    // SPEC §5.8 [unconfirmed-evicts-no-confirmed]: each kind has slots of its own.
    let confirmed = || entries.iter().filter(|entry| entry.confirmed > 0);
    let unconfirmed = || entries.iter().filter(|entry| entry.session.status() != Status::Confirmed);
    let oldest_confirmed = confirmed().min_by_key(|entry| entry.confirmed);
    let oldest_unconfirmed = unconfirmed().next();
    oldest_confirmed
        .filter(|_| confirmed().count() > CONFIRMED)
        .or(oldest_unconfirmed.filter(|_| unconfirmed().count() > UNCONFIRMED))
        .map(|entry| entry.session.id())
}
