"""Whole conversations of two devices, step by step (SPEC §4, §5)."""

import re
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field

from ..case import BadFile, Came, Draws, Given, refused_as, step_numbers
from ..chain import BadPrevious, BeyondEnd
from ..errors import EndsEarly, Mismatch, OutsideLimits, Refused, UnknownVersion
from ..handshake import initiate, respond
from ..identity import DeviceSecrets, Entry
from ..kem_epochs import BadEpoch
from ..message import BadPadding, Envelope, NotABucket, NotForThisSession
from ..prekeys import Bundle, PrekeySecret
from ..primitives import H
from ..session import Opened, Session
from .handshake import decode_block, device, prekeys

MISBEHAVED = {
    kind: "misbehaved"
    for kind in (BadEpoch, BadPrevious, BeyondEnd, BadPadding, EndsEarly, UnknownVersion, OutsideLimits)
}


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
        drawn = (self.given.bytes(name) for name in ("EK private key", "m of ct1", "m of ct2"))
        self.a.session = begin(self.a, self.b, self.signed, self.one_time, drawn)
        return [("session id", self.a.session.session_id), ("init id", self.a.session.init_id)]

    def step(self, number: str) -> Came:
        does = self.given.text(f"{number} do")
        match does.split(" "):
            case ["seal", ("A" | "B") as name]:
                return self.seal(self.side(name), number)
            case ["open", ("A" | "B") as name, sealed, *altered]:
                return self.open(self.side(name), self.altered(sealed, " ".join(altered)))
            case ["deliver", ("A" | "B") as name]:
                return self.open(self.side(name), self.given.bytes(f"{number} envelope"))
            case ["introduce", "B"]:
                self.introduce(number)
            case ["wait", time] if time.isdigit():
                self.now += int(time)
            case ["skip", ("A" | "B") as name, n] if n.isdigit():
                self.side(name).session.skip_to(int(n))
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

    def open(self, side: Side, data: bytes) -> Came:
        envelope = envelope_of(data)
        if side.session:
            session, opened = side.session, open_later(side.session, data, self.now)
        else:
            session = self.answered(envelope)
            opened = open_first(session, data, self.now)
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

    def answered(self, envelope: Envelope) -> Session:
        """B's session, from the init block of a first message; it is B's once its message opened."""
        if envelope.init is None:
            raise BadFile("B has no session and the envelope no init block")
        return answer(self.b, self.signed, self.one_time, envelope.init)

    def introduce(self, number: str) -> None:
        entry = self.a.entry
        if f"{number} entry" in self.given:
            entry = Entry.decode(self.given.bytes(f"{number} entry"))
        introduce(self.b.session, self.a.account, entry)


def begin(
    a: Side, b: Side, signed: PrekeySecret, once: PrekeySecret | None, drawn: Iterable[bytes]
) -> Session:
    """A's session with B, whose prekeys these are."""
    seed = b.secrets.ed25519_seed
    public, public_once = (secret and secret.public(seed, b.account, b.id) for secret in (signed, once))
    bundle = Bundle(b.account, b.entry, public, public_once, fresh=True)
    block, keys = initiate(a.account, a.entry, a.secrets.x25519, bundle, *drawn)
    return Session.of_a(keys, block.encode(), public.x25519, a.secrets.kem_seed)


def answer(b: Side, signed: PrekeySecret, once: PrekeySecret | None, init: bytes) -> Session:
    claimed, keys = respond(b.account, b.entry, b.secrets, signed, once, decode_block(init))
    return Session.of_b(keys, init, signed.x25519, claimed)


@refused_as({kind: "not an envelope" for kind in (NotABucket, UnknownVersion, EndsEarly)})
def envelope_of(data: bytes) -> Envelope:
    return Envelope.decode(data)


@refused_as(MISBEHAVED | {NotForThisSession: "forged"})
def open_first(session: Session, data: bytes, now: int) -> Opened:
    return session.open(data, now)


@refused_as(MISBEHAVED)
def open_later(session: Session, data: bytes, now: int) -> Opened:
    return session.open(data, now)


@refused_as({Mismatch: "wrong entry"})
def introduce(session: Session, account: bytes, entry: Entry) -> None:
    session.introduce(account, entry)


def conversation(given: Given) -> Came:
    a, b = (Side(*device(given, name)) for name in ("A", "B"))
    play = Play(given, a, b, *prekeys(given), given.number("now"))
    came = play.begin()
    for number in step_numbers(given):
        try:
            came += [(f"{number} {key}", value) for key, value in play.step(number)]
        except Refused as refused:
            came.append((f"{number} refused", refused.expect))
    for name in ("A", "B"):
        session = play.side(name).session
        came += [(f"{name} status", session.status if session else "none")]
        came += [(f"{name} epoch", session.kem.epoch if session else 0)]
    return came


OPERATIONS = {"": conversation}
