"""The sessions between two devices: which one sends, which are kept (SPEC §5.8)."""

from dataclasses import dataclass, field

CONFIRMED_KEPT = 3
UNCONFIRMED_KEPT = 2


@dataclass
class Member:
    """A session as the selection sees it. `confirmed` counts up over the set; 0 is not yet."""

    id: bytes
    ours: bool
    confirmed: int = 0


@dataclass
class Sessions:
    """Members in the order in which they came to be here."""

    members: list[Member] = field(default_factory=list)
    confirmations: int = 0

    def begin(self, id: bytes, ours: bool) -> None:
        self.members.append(Member(id, ours))
        unconfirmed = [m for m in self.members if not m.confirmed]
        for m in unconfirmed[:-UNCONFIRMED_KEPT]:
            self.members.remove(m)

    def confirm(self, id: bytes) -> None:
        self.confirmations += 1
        next(m for m in self.members if m.id == id).confirmed = self.confirmations
        confirmed = sorted((m for m in self.members if m.confirmed), key=lambda m: m.confirmed)
        for m in confirmed[:-CONFIRMED_KEPT]:
            self.members.remove(m)

    def sending(self) -> bytes | None:
        """[glare-by-lower-id]"""
        confirmed = [m for m in self.members if m.confirmed]
        if confirmed:
            return max(confirmed, key=lambda m: m.confirmed).id
        ours = [m for m in self.members if m.ours]
        theirs = [m for m in self.members if not m.ours]
        if ours and theirs:
            return min(ours[-1].id, theirs[-1].id)
        return (theirs or ours)[-1].id if self.members else None

    def trial_order(self) -> list[bytes]:
        """Which session an envelope of version 1 is tried on: the one that sends, then the newest."""
        first = self.sending()
        return [first, *(m.id for m in reversed(self.members) if m.id != first)] if first else []
