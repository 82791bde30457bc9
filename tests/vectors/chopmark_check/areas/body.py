"""Texts, bodies and whole envelopes under given keys (SPEC §5.1, §5.5, §5.6)."""

from .. import message
from ..case import BadFile, Came, Given, refused_as
from ..errors import EndsEarly, Forged, OutsideLimits, UnknownVersion
from ..message import BadPadding, Envelope, Header, NotABucket, Text
from ..primitives import H
from .header import fields

LARGEST_SHOWN = 4096
MISBEHAVED = {kind: "misbehaved" for kind in (EndsEarly, UnknownVersion, OutsideLimits, BadPadding)}


def given_text(given: Given) -> Text:
    kind, object = given.number("object kind"), b""
    if kind == message.ENCAPSULATION_KEY:
        object = given.bytes("ek")
    elif kind == message.CIPHERTEXT:
        object = given.bytes("ct") + given.bytes("confirmation")
    chain, count = given.number("acknowledged chain"), given.number("acknowledged count")
    return Text(chain, count, given.bytes("content"), kind, object)


def text_fields(text: Text) -> Came:
    came: Came = [
        ("acknowledged chain", text.ack_chain),
        ("acknowledged count", text.ack_count),
        ("content", text.content),
        ("object kind", text.kind),
    ]
    if text.kind == message.ENCAPSULATION_KEY:
        came.append(("ek", text.object))
    elif text.kind == message.CIPHERTEXT:
        came += [("ct", text.object[:1088]), ("confirmation", text.object[1088:])]
    return came


def write_text(given: Given) -> Came:
    return [("text", given_text(given).encode().ljust(given.number("text length"), b"\0"))]


@refused_as(MISBEHAVED)
def read_text(given: Given) -> Came:
    return text_fields(Text.decode(given.bytes("text")))


def seal(given: Given) -> Came:
    leaf, session_id = given.bytes("leaf"), given.bytes("session id")
    init = given.bytes("init block") if "init block" in given else None
    counters = (given.number(name) for name in ("n", "pn", "epoch"))
    header = Header(given.bytes("ratchet key"), *counters, bytes(12))
    text, length, hedge = given_text(given), given.number("envelope length"), given.bytes("hedge")
    if length != message.bucket_for(length):
        raise BadFile("`envelope length` is no bucket")
    k_body, k_nonce = message.body_keys(leaf)
    nonce = message.hedged_nonce(k_nonce, hedge, header.without_nonce(), length, text.encode())
    header = header.with_nonce(nonce)
    aad = message.associated(1 if init is None else 2, session_id, init, header)
    sealed = message.seal(given.bytes("header key"), leaf, session_id, init, header, text, length, hedge)
    came: Came = [("k_body", k_body), ("k_nonce", k_nonce), ("body nonce", nonce), ("AAD", aad)]
    return came + shown_envelope("envelope", sealed)


def shown_envelope(name: str, envelope: bytes) -> Came:
    if len(envelope) > LARGEST_SHOWN:
        return [(f"sha256 of the {name}", H(envelope))]
    return [(name, envelope)]


def open(given: Given) -> Came:
    envelope = given_envelope(given)
    header = given_header(given, envelope)
    return fields(header) + given_body(given, envelope, header)


@refused_as({kind: "not an envelope" for kind in (NotABucket, UnknownVersion, EndsEarly)})
def given_envelope(given: Given) -> Envelope:
    return Envelope.decode(given.bytes("envelope"))


@refused_as({Forged: "not for this session"})
def given_header(given: Given, envelope: Envelope) -> Header:
    return message.try_header([given.bytes("header key")], envelope)[1]


@refused_as(MISBEHAVED)
def given_body(given: Given, envelope: Envelope, header: Header) -> Came:
    leaf, session_id = given.bytes("leaf"), given.bytes("session id")
    return text_fields(message.open_body(leaf, session_id, envelope, header))


OPERATIONS = {"text": write_text, "read text": read_text, "seal": seal, "open": open}
