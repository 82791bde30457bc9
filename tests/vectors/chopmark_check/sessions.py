"""The sessions between two devices: which one sends, which are kept (SPEC §5.8)."""

from dataclasses import dataclass, field

CONFIRMED_KEPT = 3
UNCONFIRMED_KEPT = 2


@dataclass
class Member:
    """A session as the selection sees it. The numbers count up over the set; 0 is not yet."""

    id: bytes
    ours: bool
    begun: int = 0
    answered: int = 0
    confirmed: int = 0
    took_over: bool = False

    def is_after(self, old: "Member") -> bool:
        """Whether who began this one had the other then."""
        since = old.begun if self.ours == old.ours else old.answered
        return 0 < since < self.begun


@dataclass
class Sessions:
    """Members in the order in which they came to be here."""

    members: list[Member] = field(default_factory=list)
    count: int = 0

    def next(self) -> int:
        self.count += 1
        return self.count

    def find(self, id: bytes) -> Member:
        return next(m for m in self.members if m.id == id)

    def begin(self, id: bytes, ours: bool) -> None:
        """A first message was sealed, or opened."""
        self.members.append(Member(id, ours, self.next()))
        self.drop_surplus()

    def answer(self, id: bytes) -> None:
        """The other side's part in the session began: our first message on the peer's, or the peer's on ours."""
        if not self.find(id).answered:
            self.find(id).answered = self.next()

    def confirm(self, id: bytes) -> None:
        new, current = self.find(id), self.current()
        if new.confirmed:
            return
        if not current or not current.confirmed or new.is_after(current):
            new.took_over = True
        elif not current.is_after(new):
            new.took_over = new.id < current.id  # [glare-by-lower-id]
        new.confirmed = self.next()
        self.drop_surplus()

    def drop_surplus(self) -> None:
        """[unconfirmed-evicts-no-confirmed]"""
        sends = self.current()
        kinds = (
            (CONFIRMED_KEPT, sorted((m for m in self.members if m.confirmed), key=lambda m: m.confirmed)),
            (UNCONFIRMED_KEPT, [m for m in self.members if m.ours and not m.confirmed]),
            (UNCONFIRMED_KEPT, [m for m in self.members if not m.ours and not m.confirmed]),
        )
        for kept, kind in kinds:
            goes = [m for m in kind if m is not sends]
            for m in goes[: max(len(kind) - kept, 0)]:
                self.members.remove(m)

    def current(self) -> Member | None:
        """[own-before-claimed]"""
        confirmed = [m for m in self.members if m.confirmed]
        if confirmed:
            return max(confirmed, key=lambda m: (m.took_over, m.confirmed))
        ours = [m for m in self.members if m.ours]
        return (ours[-1:] or self.members[:1] or [None])[0]

    def sending(self) -> bytes | None:
        current = self.current()
        return current.id if current else None

    def trial_order(self) -> list[bytes]:
        """Which session an envelope of version 1 is tried on: the one that sends, then the newest."""
        first = self.sending()
        return [first, *(m.id for m in reversed(self.members) if m.id != first)] if first else []
