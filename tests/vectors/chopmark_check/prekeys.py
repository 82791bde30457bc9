"""Prekeys, bundles and their sealed pieces (SPEC §3)."""

from dataclasses import dataclass

from .encoding import Reader, label, sign_ed25519, u8, u32, u64, var32, verifies_ed25519
from .errors import BadSignature, EndsEarly, Expired, UnknownVersion
from .identity import SUITE, Entry, SignedManifest, Stamp
from .primitives import kem_checked, kem_public, x25519_checked, x25519_public, xaead_open, xaead_seal

SIGNED, ONE_TIME = 1, 2
SIGNED_PART, ONE_TIME_PREKEY = "bundle signed part", "bundle one-time prekey"


@dataclass(frozen=True)
class Prekey:
    """A public prekey of either kind. A one-time prekey has expiry 0, which is signed and not sent (SPEC §3.2)."""

    kind: int
    id: int
    expiry: int
    x25519: bytes
    kem: bytes
    signature: bytes

    @staticmethod
    def text(
        kind: int, account: bytes, device: int, id: int, expiry: int, x25519: bytes, kem: bytes
    ) -> bytes:
        return u8(SUITE) + account + u32(device) + u8(kind) + u32(id) + u64(expiry) + x25519 + kem

    def encode(self) -> bytes:
        expiry = u64(self.expiry) if self.kind == SIGNED else b""
        return u32(self.id) + expiry + self.x25519 + self.kem + self.signature

    @classmethod
    def read(cls, r: Reader, kind: int) -> "Prekey":
        id, expiry = r.u32(), r.u64() if kind == SIGNED else 0
        return cls(kind, id, expiry, x25519_checked(r.bytes(32)), kem_checked(r.bytes(1184)), r.bytes(64))

    @classmethod
    def decode(cls, data: bytes, kind: int) -> "Prekey":
        r = Reader(data)
        prekey = cls.read(r, kind)
        r.end()
        return prekey

    def verify(self, account: bytes, entry: Entry) -> None:
        text = self.text(self.kind, account, entry.id, self.id, self.expiry, self.x25519, self.kem)
        if not verifies_ed25519(entry.ed25519, "prekey", text, self.signature):
            raise BadSignature("prekey")


@dataclass(frozen=True)
class PrekeySecret:
    """The private half as the store has it (SPEC §3.1, §3.2)."""

    kind: int
    id: int
    expiry: int
    x25519: bytes
    kem_seed: bytes

    def encode(self) -> bytes:
        expiry = u64(self.expiry) if self.kind == SIGNED else b""
        return u8(1) + u32(self.id) + expiry + self.x25519 + self.kem_seed

    @classmethod
    def decode(cls, data: bytes, kind: int) -> "PrekeySecret":
        r = Reader(data)
        if r.u8() != 1:
            raise UnknownVersion("stored prekey")
        secret = cls(kind, r.u32(), r.u64() if kind == SIGNED else 0, r.bytes(32), r.bytes(64))
        r.end()
        return secret

    def public(self, device_seed: bytes, account: bytes, device: int) -> Prekey:
        keys = x25519_public(self.x25519), kem_public(self.kem_seed)
        text = Prekey.text(self.kind, account, device, self.id, self.expiry, *keys)
        return Prekey(self.kind, self.id, self.expiry, *keys, sign_ed25519(device_seed, "prekey", text))


@dataclass(frozen=True)
class Bundle:
    """What was verified of a bundle: whose it is, and its prekeys."""

    account: bytes
    entry: Entry
    signed_prekey: Prekey
    one_time_prekey: Prekey | None
    fresh: bool


def signed_part(manifest: bytes, stamp: bytes, signed_prekey: bytes) -> bytes:
    return u8(1) + var32(manifest) + stamp + signed_prekey


def verify_bundle(account: bytes, now: int, part: bytes, one_time: bytes | None) -> Bundle:
    """The whole of a bundle or nothing of it. [bundle-is-verified-whole]"""
    r = Reader(part)
    if r.u8() != 1:
        raise UnknownVersion("bundle")
    signed, stamp, prekey = SignedManifest.decode(r.var32()), Stamp.read(r), Prekey.read(r, SIGNED)
    r.end()
    once = Prekey.decode(one_time, ONE_TIME) if one_time is not None else None
    manifest = signed.verify(account)
    entry = stamp.verify(manifest)
    prekey.verify(account, entry)
    if once:
        once.verify(account, entry)
    if now > prekey.expiry:
        raise Expired("signed prekey")
    return Bundle(account, entry, prekey, once, stamp.is_fresh(now))


def seal_piece(bundle_key: bytes, nonce: bytes, kind: str, piece: bytes) -> bytes:
    return nonce + xaead_seal(bundle_key, nonce, label(kind) + b"\0", piece)


def open_piece(bundle_key: bytes, kind: str, sealed: bytes) -> bytes:
    if len(sealed) < 24 + 16:
        raise EndsEarly("a sealed piece")
    return xaead_open(bundle_key, sealed[:24], label(kind) + b"\0", sealed[24:])
