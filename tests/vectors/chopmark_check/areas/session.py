"""Whole conversations of two devices, step by step (SPEC §4, §5)."""

import re
from copy import deepcopy
from dataclasses import dataclass, field

from ..case import BadFile, Came, Given
from ..chain import BadPrevious, BeyondEnd
from ..errors import EndsEarly, Mismatch, OutsideLimits, Refused, UnknownVersion
from ..handshake import initiate, respond
from ..identity import DeviceSecrets, Entry
from ..kem_epochs import BadEpoch
from ..message import BadPadding, Envelope, NotABucket
from ..prekeys import Bundle, PrekeySecret
from ..primitives import H
from ..session import Session
from .handshake import decode_block, device, prekeys

DRAWS = {
    "ratchet key": "ratchet private key",
    "kem seed": "ML-KEM seed",
    "encapsulation": "m",
    "body nonce": "hedge",
}
MISBEHAVED = (BadEpoch, BadPrevious, BeyondEnd, BadPadding, EndsEarly, UnknownVersion, OutsideLimits)


@dataclass
class Draws:
    """What a step draws, as it is given with the step."""

    given: Given
    step: str

    def take(self, what: str, length: int) -> bytes:
        drawn = self.given.bytes(f"{self.step} {DRAWS[what]}")
        if len(drawn) != length:
            raise BadFile(f"`{self.step} {DRAWS[what]}` has another length")
        return drawn


@dataclass
class Side:
    """A device: what it is made of, its session if there is one, and a copy of its session."""

    account: bytes
    id: int
    secrets: DeviceSecrets
    session: Session | None = None
    copy: Session | None = None

    @property
    def entry(self) -> Entry:
        return self.secrets.entry(self.id)


@dataclass
class Play:
    """The two sides, the time, and every envelope by the step that sealed it."""

    given: Given
    a: Side
    b: Side
    signed: PrekeySecret
    one_time: PrekeySecret | None
    now: int
    envelopes: dict[str, bytes] = field(default_factory=dict)

    def side(self, name: str) -> Side:
        return self.a if name == "A" else self.b

    def begin(self) -> Came:
        """A begins, before the first step."""
        seed, account, id = self.b.secrets.ed25519_seed, self.b.account, self.b.id
        signed, once = (s and s.public(seed, account, id) for s in (self.signed, self.one_time))
        bundle = Bundle(account, self.b.entry, signed, once, fresh=True)
        drawn = (self.given.bytes(name) for name in ("EK private key", "m of ct1", "m of ct2"))
        secrets = self.a.secrets
        block, keys = initiate(self.a.account, self.a.entry, secrets.x25519, bundle, *drawn)
        self.a.session = Session.of_a(keys, block.encode(), signed.x25519, secrets.kem_seed)
        return [("session id", keys.session_id), ("init id", block.init_id())]

    def step(self, number: str) -> Came:
        does = self.given.text(f"{number} do")
        match does.split(" "):
            case ["seal", ("A" | "B") as name]:
                return self.seal(self.side(name), number)
            case ["open", ("A" | "B") as name, sealed, *altered]:
                return self.open(self.side(name), self.altered(sealed, " ".join(altered)))
            case ["introduce", "B"]:
                self.introduce(number)
            case ["wait", time] if time.isdigit():
                self.now += int(time)
            case ["keep", ("A" | "B") as name]:
                self.side(name).copy = deepcopy(self.side(name).session)
            case ["swap", ("A" | "B") as name]:
                side = self.side(name)
                side.session, side.copy = side.copy, side.session
            case _:
                raise BadFile(f"unknown step `{does}`")
        return []

    def content(self, number: str) -> bytes:
        if f"{number} content length" in self.given:
            return b"\x78" * self.given.number(f"{number} content length")
        return self.given.bytes(f"{number} content")

    def seal(self, side: Side, number: str) -> Came:
        envelope = side.session.seal(self.content(number), Draws(self.given, number), self.now)
        self.envelopes[number] = envelope
        session = side.session
        name = f"{session.chains_sent - 1} {session.sending.length - 1}"
        return [
            ("envelope length", len(envelope)),
            ("sha256 of the envelope", H(envelope)),
            ("message", name),
            *session.events,
        ]

    def altered(self, sealed: str, how: str) -> bytes:
        envelope = self.envelopes.get(sealed)
        if envelope is None:
            raise BadFile(f"step {sealed} sealed nothing")
        if how == "cut":
            return envelope[:-1]
        if at := re.fullmatch(r"altered at (\d+)", how):
            changed = bytearray(envelope)
            changed[int(at[1])] ^= 1
            return bytes(changed)
        if how:
            raise BadFile(f"unknown alteration `{how}`")
        return envelope

    def open(self, side: Side, envelope: bytes) -> Came:
        session = side.session or self.answered(envelope)
        opened = session.open(envelope, self.now)
        side.session = session
        acknowledged = "nothing"
        if opened.acknowledged:
            acknowledged = f"{opened.acknowledged[0]} {opened.acknowledged[1]}"
        return [
            ("content", opened.content),
            ("acknowledged", acknowledged),
            ("message", f"{opened.chain} {opened.n}"),
            *session.events,
        ]

    def answered(self, envelope: bytes) -> Session:
        """B's session, from the init block of a first message; it is B's once its message opened."""
        init = Envelope.decode(envelope).init
        if init is None:
            raise BadFile("B has no session and the envelope no init block")
        block, b = decode_block(init), self.b
        claimed, keys = respond(b.account, b.entry, b.secrets, self.signed, self.one_time, block)
        return Session.of_b(keys, init, self.signed.x25519, claimed)

    def introduce(self, number: str) -> None:
        entry = self.a.entry
        if f"{number} entry" in self.given:
            entry = Entry.decode(self.given.bytes(f"{number} entry"))
        self.b.session.introduce(self.a.account, entry)

    def word(self, refused: Refused, number: str) -> str:
        """The word for why a step was refused."""
        does = self.given.text(f"{number} do")
        if does.startswith("introduce") and isinstance(refused, Mismatch):
            return "wrong entry"
        if not does.startswith("open"):
            return refused.expect
        envelope = self.altered(does.split(" ")[2], " ".join(does.split(" ")[3:]))
        if not is_envelope(envelope):
            return "not an envelope"
        if does.startswith("open B") and self.b.session is None:
            return "forged" if refused.expect == "not for this session" else refused.expect
        if isinstance(refused, MISBEHAVED):
            return "misbehaved"
        return refused.expect


def is_envelope(data: bytes) -> bool:
    try:
        Envelope.decode(data)
    except (NotABucket, UnknownVersion, EndsEarly):
        return False
    return True


def conversation(given: Given) -> Came:
    a, b = (Side(*device(given, name)) for name in ("A", "B"))
    play = Play(given, a, b, *prekeys(given), given.number("now"))
    came = play.begin()
    for number in step_numbers(given):
        try:
            came += [(f"{number} {key}", value) for key, value in play.step(number)]
        except Refused as refused:
            came.append((f"{number} refused", play.word(refused, number)))
    for name in ("A", "B"):
        session = play.side(name).session
        came += [(f"{name} status", session.status if session else "none")]
        came += [(f"{name} epoch", session.kem.epoch if session else 0)]
    return came


def step_numbers(given: Given) -> list[str]:
    numbers = []
    while f"{len(numbers) + 1:02} do" in given:
        numbers.append(f"{len(numbers) + 1:02}")
    return numbers


OPERATIONS = {"": conversation}
