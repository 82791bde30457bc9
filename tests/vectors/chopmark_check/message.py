"""Envelopes: header, body, nonce, buckets (SPEC §5.1, §5.2, §5.5, §5.6)."""

from dataclasses import dataclass, replace

from .encoding import LH, Reader, label, u8, u32, u64, var32
from .errors import Forged, OutsideLimits, Refused, UnknownVersion
from .handshake import INIT_BLOCK
from .primitives import HMAC, aead_open, aead_seal

BUCKETS = (2048, 4096, 8192, 16384, 32768, 65536)
OVERHEAD = 1 + 72 + 16
FIXED_TEXT = 8 + 4 + 4 + 1
LARGEST_CONTENT = 65536 - OVERHEAD - 1300
NOTHING, ENCAPSULATION_KEY, CIPHERTEXT = 0, 1, 2
OBJECT_LENGTHS = {NOTHING: 0, ENCAPSULATION_KEY: 1184, CIPHERTEXT: 1088 + 32}


class NotABucket(Refused):
    """A length that no envelope has. [bucket-before-anything]"""

    expect = "not a bucket"


class BadPadding(Refused):
    """Padding that is not zeros. [padding-is-zeros]"""

    expect = "bad padding"


class NotForThisSession(Forged):
    """No header key opens it, or it names another handshake."""

    expect = "not for this session"


class ContentTooLong(Refused):
    """More than one message takes."""

    expect = "too long"


def bucket_for(length: int) -> int:
    """The smallest bucket that holds an envelope of this length."""
    for bucket in BUCKETS:
        if length <= bucket:
            return bucket
    raise OutsideLimits(f"an envelope of {length} bytes")


@dataclass(frozen=True)
class Header:
    ratchet_key: bytes
    n: int
    pn: int
    epoch: int
    nonce: bytes

    def without_nonce(self) -> bytes:
        return self.ratchet_key + u32(self.n) + u32(self.pn) + u32(self.epoch)

    def with_nonce(self, nonce: bytes) -> "Header":
        return replace(self, nonce=nonce)

    def encode(self) -> bytes:
        return self.without_nonce() + self.nonce

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        r = Reader(data)
        header = cls(r.bytes(32), r.u32(), r.u32(), r.u32(), r.bytes(12))
        r.end()
        return header

    def seal(self, key: bytes, body_tag: bytes) -> bytes:
        return aead_seal(key, body_tag[:12], b"", self.encode())

    @classmethod
    def open(cls, key: bytes, body_tag: bytes, sealed: bytes) -> "Header":
        return cls.decode(aead_open(key, body_tag[:12], b"", sealed))


@dataclass(frozen=True)
class Text:
    """What a body says: SPEC §5.5. `object` has the length that its kind has."""

    ack_chain: int
    ack_count: int
    content: bytes
    kind: int = NOTHING
    object: bytes = b""

    def encode(self) -> bytes:
        return u64(self.ack_chain) + u32(self.ack_count) + var32(self.content) + u8(self.kind) + self.object

    @classmethod
    def decode(cls, padded: bytes) -> "Text":
        r = Reader(padded)
        chain, count, content, kind = r.u64(), r.u32(), r.var32(), r.u8()
        if kind not in OBJECT_LENGTHS:
            raise UnknownVersion("object")
        text = cls(chain, count, content, kind, r.bytes(OBJECT_LENGTHS[kind]))
        if any(r.rest()):
            raise BadPadding("padding is not zeros")
        return text


@dataclass(frozen=True)
class Envelope:
    """SPEC §5.1, taken apart by offsets only."""

    init: bytes | None
    header: bytes
    body: bytes
    tag: bytes

    @property
    def version(self) -> int:
        return 1 if self.init is None else 2

    def encode(self) -> bytes:
        return u8(self.version) + (self.init or b"") + self.header + self.body + self.tag

    @classmethod
    def decode(cls, data: bytes) -> "Envelope":
        if len(data) not in BUCKETS:
            raise NotABucket(f"{len(data)} bytes")
        if data[0] not in (1, 2):
            raise UnknownVersion("envelope")
        r = Reader(data[1:])
        init = r.bytes(INIT_BLOCK) if data[0] == 2 else None
        header, rest = r.bytes(72), r.rest()
        return cls(init, header, rest[:-16], rest[-16:])


def body_keys(leaf: bytes) -> tuple[bytes, bytes]:
    """k_body and k_nonce."""
    return HMAC(leaf, label("body key") + b"\0"), HMAC(leaf, label("body nonce key") + b"\0")


def hedged_nonce(k_nonce: bytes, randomness: bytes, header: bytes, length: int, text: bytes) -> bytes:
    """[hedged-nonce] `header` is 44 bytes here, without the nonce that is about to be made; `text` has no padding."""
    depends = LH("body text", header, u32(length), text)
    return HMAC(k_nonce, label("body hedged nonce") + b"\0" + randomness + depends)[:12]


def associated(version: int, session_id: bytes, init: bytes | None, header: Header) -> bytes:
    bound = LH("init block", init) if init is not None else b""
    return u8(version) + session_id + bound + header.encode()


def seal(
    header_key: bytes,
    leaf: bytes,
    session_id: bytes,
    init: bytes | None,
    header: Header,
    text: Text,
    length: int,
    randomness: bytes,
) -> bytes:
    """An envelope of `length` bytes; the nonce of `header` is made here and the one given is not looked at."""
    k_body, k_nonce = body_keys(leaf)
    plain = text.encode()
    nonce = hedged_nonce(k_nonce, randomness, header.without_nonce(), length, plain)
    header = header.with_nonce(nonce)
    padding = length - OVERHEAD - len(init or b"") - len(plain)
    aad = associated(1 if init is None else 2, session_id, init, header)
    body = aead_seal(k_body, nonce, aad, plain + bytes(padding))
    return Envelope(init, header.seal(header_key, body[-16:]), body[:-16], body[-16:]).encode()


def open_body(leaf: bytes, session_id: bytes, envelope: Envelope, header: Header) -> Text:
    aad = associated(envelope.version, session_id, envelope.init, header)
    return Text.decode(aead_open(body_keys(leaf)[0], header.nonce, aad, envelope.body + envelope.tag))


def try_header(keys: list[bytes], envelope: Envelope) -> tuple[int, Header]:
    """Which of the keys opens the header, and what it says. [headers-first]"""
    for i, key in enumerate(keys):
        try:
            return i, Header.open(key, envelope.tag, envelope.header)
        except Forged:
            continue
    raise NotForThisSession("no header key opens it")
