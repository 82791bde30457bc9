"""On which session each of two devices sends (SPEC §5.8)."""

from dataclasses import dataclass, field

from ..case import BadFile, Came, Draws, Given
from ..prekeys import SIGNED, PrekeySecret
from ..primitives import H
from ..session import Session
from ..sessions import Sessions
from .handshake import device
from .session import Side, answer, begin

HELLO = b"hello"


@dataclass
class Device:
    """A device, its signed prekey, its sessions, and the first message that it sealed last."""

    side: Side
    prekey: PrekeySecret
    sessions: Sessions = field(default_factory=Sessions)
    first_message: bytes = b""


def crossing(given: Given) -> Came:
    devices = {
        name: Device(
            Side(*device(given, name)), PrekeySecret.decode(given.bytes(f"SPK{key} secrets"), SIGNED)
        )
        for name, key in (("A", "a"), ("B", "b"))
    }
    now, began_by, came = given.number("now"), {}, []
    for number, step in enumerate(given.text("steps").split(", "), 1):
        match step.split(" "):
            case [("A" | "B") as name, "begins"]:
                session = begins(given, name, devices, now)
                began_by[session.session_id] = name
                came.append((f"{number} session id", session.session_id))
                came.append((f"{number} sha256 of the envelope", H(devices[name].first_message)))
            case [("A" | "B") as name, "opens"]:
                opens(name, devices, now)
            case _:
                raise BadFile(f"unknown step `{step}`")
        came.append((f"{number} sends on the session of", began_by[devices[name].sessions.sending()]))
    for name in devices:  # what a device that does not begin would have drawn
        drawn(given, name)
    return came


def other(name: str) -> str:
    return "B" if name == "A" else "A"


def drawn(given: Given, name: str) -> list[bytes]:
    first = [given.bytes(f"{name} {what}") for what in ("ratchet private key", "hedge")]
    return [given.bytes(f"{name} {what}") for what in ("EK private key", "m of ct1", "m of ct2")] + first


def begins(given: Given, name: str, devices: dict[str, Device], now: int) -> Session:
    we, peer = devices[name], devices[other(name)]
    session = begin(we.side, peer.side, peer.prekey, None, drawn(given, name)[:3])
    we.first_message = session.seal(HELLO, Draws(given, name), now)
    we.sessions.begin(session.session_id, ours=True)
    return session


def opens(name: str, devices: dict[str, Device], now: int) -> None:
    we, peer = devices[name], devices[other(name)]
    data = peer.first_message
    session = answer(we.side, we.prekey, None, data[1 : 1 + 2333])
    if session.open(data, now).content != HELLO:
        raise BadFile("the first message says something else")
    session.introduce(peer.side.account, peer.side.entry)
    we.sessions.begin(session.session_id, ours=False)


OPERATIONS = {"": crossing}
