"""Sealed headers (SPEC §5.2)."""

from ..case import Came, Given, refused_as
from ..errors import Forged
from ..message import Header


def seal(given: Given) -> Came:
    header = Header(
        given.bytes("ratchet key"),
        given.number("n"),
        given.number("pn"),
        given.number("epoch"),
        given.bytes("body nonce"),
    )
    sealed = header.seal(given.bytes("header key"), given.bytes("body tag"))
    return [("header", header.encode()), ("sealed header", sealed)]


@refused_as({Forged: "not for this session"})
def open(given: Given) -> Came:
    key, tag = given.bytes("header key"), given.bytes("body tag")
    return fields(Header.open(key, tag, given.bytes("sealed header")))


def fields(header: Header) -> Came:
    return [
        ("ratchet key", header.ratchet_key),
        ("n", header.n),
        ("pn", header.pn),
        ("epoch", header.epoch),
        ("body nonce", header.nonce),
    ]


OPERATIONS = {"seal": seal, "open": open}
