//! Which session sends and which ones are kept. SPEC §5.8.

use super::{Entry, Role, SessionId};

/// Confirmed sessions that are kept: the current one and two others.
const CONFIRMED: usize = 3;

/// Sessions that each side began and that are kept while they are not confirmed.
const UNCONFIRMED: usize = 2;

/// The session on which content goes out.
///
/// Of the confirmed ones that to which sending moved last. Without any: our newest, which only the contact can read; if
/// we began none, the first that the peer began, so that nobody who begins another one draws content to it. A session
/// that waits for the peer's device entry cannot send.
pub(super) fn sending(entries: &[Entry]) -> Option<&Entry> {
    let confirmed = entries.iter().filter(|entry| entry.is_confirmed());
    if let Some(entry) = confirmed.max_by_key(|entry| (entry.took_over, entry.confirmed)) {
        return Some(entry);
    }
    let of = |role| move |entry: &&Entry| entry.session.role() == role;
    let able = |entry: &&Entry| !entry.session.awaits_introduction();
    // SPEC §5.8 [own-before-claimed].
    let ours = entries.iter().rev().find(of(Role::Initiator));
    ours.or_else(|| entries.iter().filter(able).find(of(Role::Responder)))
}

/// Whether sending moves to the session with this name, now that it is confirmed.
pub(super) fn takes_over(entries: &[Entry], id: SessionId) -> bool {
    let current = sending(entries).filter(|current| current.is_confirmed());
    let new = entries.iter().find(|entry| entry.session.id() == id);
    let (Some(current), Some(new)) = (current, new) else { return true };
    match (is_after(new, current), is_after(current, new)) {
        (true, _) => true,
        (false, true) => false,
        // SPEC §5.8 [glare-by-lower-id].
        (false, false) => new.session.id() < current.session.id(),
    }
}

/// Whether `new` was begun by one who had `old` then: had begun it too, or was told or had told the other one that it is
/// answered. Both sides see that alike, but where messages overtake each other.
fn is_after(new: &Entry, old: &Entry) -> bool {
    let same = new.session.role() == old.session.role();
    let since = if same { old.begun } else { old.answered };
    since > 0 && new.begun > since
}

/// The name of a session that is one too many: the oldest of a kind, and never the one that sends.
pub(super) fn surplus(entries: &[Entry]) -> Option<SessionId> {
    let sending = sending(entries).map(|entry| entry.session.id());
    let surplus = |entry: &&Entry| Some(entry.session.id()) != sending;
    let confirmed = || entries.iter().filter(|entry| entry.is_confirmed());
    let oldest = confirmed().filter(surplus).min_by_key(|entry| entry.confirmed);
    let oldest = oldest.filter(|_| confirmed().count() > CONFIRMED);
    // SPEC §5.8 [unconfirmed-evicts-no-confirmed]: each kind has places of its own.
    let unconfirmed = |role| {
        let of = move |entry: &&Entry| !entry.is_confirmed() && entry.session.role() == role;
        let oldest = entries.iter().filter(of).find(surplus);
        oldest.filter(|_| entries.iter().filter(of).count() > UNCONFIRMED)
    };
    oldest
        .or_else(|| unconfirmed(Role::Initiator))
        .or_else(|| unconfirmed(Role::Responder))
        .map(|entry| entry.session.id())
}
