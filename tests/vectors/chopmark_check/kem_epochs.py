"""KEM epochs: the machine that renews the post-quantum half of the root (SPEC §5.7)."""

from dataclasses import dataclass

from .encoding import LH, label, u32
from .errors import Refused
from .message import CIPHERTEXT, ENCAPSULATION_KEY, NOTHING
from .primitives import (
    HMAC,
    kem_checked,
    kem_decapsulate,
    kem_encapsulate,
    kem_public,
)
from .root import Mixed

PACE_MESSAGES = 8
OVERDUE_MESSAGES = 50
OVERDUE_MS = 7 * 86_400_000


class BadEpoch(Refused):
    """A chain says an epoch that it cannot have begun with. [epoch-of-chain]"""

    expect = "bad epoch"


class WrongConfirmation(Refused):
    """The confirmation is not that of the encapsulation. The session goes on."""

    expect = "wrong confirmation"


class KeyInMessage(Refused):
    """A key for epoch 1 in a message: that one is A's device key. [ek-of-epoch-1-from-manifest]"""


def confirmation(secret: bytes, epoch: int, ek: bytes, ct: bytes) -> bytes:
    bound = u32(epoch) + LH("kem encapsulation key", ek) + LH("kem ciphertext", ct)
    return HMAC(secret, label("kem confirmation") + b"\0" + bound)


def receive(seed: bytes, epoch: int, ct: bytes, claimed: bytes) -> Mixed:
    """A ciphertext at I, for that epoch. [wrong-confirmation-dropped]"""
    secret, ek = kem_decapsulate(seed, ct), kem_public(seed)
    if confirmation(secret, epoch, ek, ct) != claimed:
        raise WrongConfirmation(f"epoch {epoch}")
    return Mixed(secret, ek, ct)


@dataclass(frozen=True)
class Pause:
    """I: the key is made when the pace allows it."""


@dataclass(frozen=True)
class SendEk:
    """I: the key is made and unanswered."""

    seed: bytes
    sent: bool = True


@dataclass(frozen=True)
class Ready:
    """I: decapsulated; the next step of our own mixes."""

    mixed: Mixed


@dataclass(frozen=True)
class AwaitEntry:
    """E, B's first state: waits for A's device entry, whose key is that of epoch 1."""


@dataclass(frozen=True)
class RecvEk:
    """E: waits for a key."""


@dataclass(frozen=True)
class Encapsulate:
    """E: has a key, and encapsulates with the next message of its own."""

    ek: bytes


@dataclass(frozen=True)
class SendCt:
    """E: encapsulated; keeps the secret until the peer's chain says e + 1. [secret-until-activation]"""

    mixed: Mixed


@dataclass
class Machine:
    """The machine of one side ("A" or "B"). `events` is the session's."""

    side: str
    state: object
    events: list[tuple[str, object]]
    epoch: int = 0
    messages: int = 0
    mixed_at: int = 0
    carried: bool = False

    @classmethod
    def of_a(cls, device_kem_seed: bytes) -> "Machine":
        return cls("A", SendEk(device_kem_seed, sent=False), [])

    @classmethod
    def of_b(cls) -> "Machine":
        return cls("B", AwaitEntry(), [])

    def introduce(self, ek: bytes) -> None:
        """B learned A's device entry: its key is that of epoch 1. [ek-of-epoch-1-from-manifest]"""
        if isinstance(self.state, AwaitEntry):
            self.state = Encapsulate(kem_checked(ek))

    def mixes_when_stepping(self) -> Mixed | None:
        """What our own step takes in. [whoever-steps-mixes]"""
        return self.state.mixed if isinstance(self.state, Ready) else None

    def stepped(self, now: int) -> None:
        """Our own step began a chain."""
        self.carried = False
        if isinstance(self.state, Ready):
            self.activate(RecvEk(), now)

    def mixes_when_peer_says(self, epoch: int) -> Mixed | None:
        """What the peer's step took in, by the epoch of its new chain. [epoch-of-chain]"""
        if epoch == self.epoch:
            return None
        if epoch == self.epoch + 1 and isinstance(self.state, SendCt):
            return self.state.mixed
        raise BadEpoch(f"epoch {epoch} after {self.epoch}")

    def peer_stepped(self, epoch: int, now: int) -> None:
        if epoch != self.epoch:
            self.activate(Pause(), now)

    def activate(self, state: object, now: int) -> None:
        self.epoch, self.state, self.messages, self.mixed_at = self.epoch + 1, state, 0, now
        self.events.append(("mixed", self.epoch))
        if self.epoch == 1:
            self.events.append(("event", "confirmed"))  # [ct3-confirms]

    def prepare(self, draws) -> None:
        """Before a message of our own: makes the key or the encapsulation that is due. [epoch-pace]"""
        if isinstance(self.state, Pause) and self.messages + 1 >= PACE_MESSAGES:
            self.state, self.carried = SendEk(draws.take("kem seed", 64)), False
        elif isinstance(self.state, Encapsulate):
            ek = self.state.ek
            ct, secret = kem_encapsulate(ek, draws.take("encapsulation", 32))
            self.state, self.carried = SendCt(Mixed(secret, ek, ct)), False

    def pending(self) -> tuple[int, bytes]:
        """The object for the chain we are in, unless it rode already. [once-per-chain]"""
        if self.carried:
            return NOTHING, b""
        match self.state:
            case SendEk(seed, sent=True):
                return ENCAPSULATION_KEY, kem_public(seed)
            case SendCt(mixed):
                return CIPHERTEXT, mixed.ct + confirmation(mixed.secret, self.epoch + 1, mixed.ek, mixed.ct)
        return NOTHING, b""

    def is_overdue(self, now: int) -> bool:
        """[overdue-lifts]"""
        return self.epoch == 0 or self.messages + 1 >= OVERDUE_MESSAGES or now - self.mixed_at >= OVERDUE_MS

    def take_in(self, chain_epoch: int, kind: int, object: bytes) -> None:
        """An object of an authentic message, for the epoch after that of its chain. [late-object-ignored]"""
        if kind == NOTHING or chain_epoch != self.epoch:
            return
        try:
            if kind == ENCAPSULATION_KEY:
                self.take_key(object)
            elif isinstance(self.state, SendEk):
                seed, epoch = self.state.seed, self.epoch + 1
                self.state = Ready(receive(seed, epoch, object[:1088], object[1088:]))
        except Refused:
            self.events.append(("event", "object refused"))

    def take_key(self, ek: bytes) -> None:
        if self.epoch == 0:
            raise KeyInMessage("a key for epoch 1")
        if isinstance(self.state, RecvEk):
            self.state = Encapsulate(kem_checked(ek))
