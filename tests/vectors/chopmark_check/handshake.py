"""The handshake: init block and key schedule, from both sides (SPEC §4)."""

from dataclasses import dataclass

from .encoding import LH, Reader, label, u8, u32
from .errors import Mismatch, OutsideLimits, Refused
from .identity import SUITE, DeviceSecrets, Entry
from .prekeys import Bundle, PrekeySecret
from .primitives import (
    Expand,
    Extract,
    aead_open,
    aead_seal,
    kem_decapsulate,
    kem_encapsulate,
    kem_public,
    x25519_agree,
    x25519_checked,
    x25519_public,
)

INIT_BLOCK = 2333


class NoPrekey(Refused):
    """No private prekey with the id that the init block names."""

    expect = "wrong prekey"


@dataclass(frozen=True)
class InitBlock:
    """SPEC §4.1. `one_time` is the id of the one-time prekey, or None."""

    signed: int
    one_time: int | None
    ek: bytes
    ct1: bytes
    ct2: bytes
    box: bytes

    def encode(self) -> bytes:
        used = self.one_time is not None
        return (
            u32(self.signed) + u8(used) + u32(self.one_time or 0) + self.ek + self.ct1 + self.ct2 + self.box
        )

    @classmethod
    def decode(cls, data: bytes) -> "InitBlock":
        """[init-block-decodes]"""
        r = Reader(data)
        signed, used, one_time = r.u32(), r.flag(), r.u32()
        if not used and one_time != 0:
            raise OutsideLimits("the id of a one-time prekey that is not used")
        block = cls(
            signed,
            one_time if used else None,
            x25519_checked(r.bytes(32)),
            r.bytes(1088),
            r.bytes(1088),
            r.bytes(116),
        )
        r.end()
        return block

    def init_id(self) -> bytes:
        return LH("init id", self.ek, self.ct1)


@dataclass(frozen=True)
class Identity:
    """Who begins a handshake, as the identity box says: SPEC §4.2, 100 bytes."""

    account: bytes
    device: int
    entry_hash: bytes
    x25519: bytes

    @classmethod
    def of(cls, account: bytes, entry: Entry) -> "Identity":
        return cls(account, entry.id, entry.hash(), entry.x25519)

    def encode(self) -> bytes:
        return self.account + u32(self.device) + self.entry_hash + self.x25519

    @classmethod
    def decode(cls, data: bytes) -> "Identity":
        r = Reader(data)
        identity = cls(r.bytes(32), r.u32(), r.bytes(32), x25519_checked(r.bytes(32)))
        r.end()
        return identity

    def matches(self, account: bytes, entry: Entry | None) -> None:
        """[entry-matches-claim]"""
        if entry is None or Identity.of(account, entry) != self:
            raise Mismatch("the entry is not the one claimed")


@dataclass(frozen=True)
class Keys:
    """What both sides come out with, and what they went through."""

    t0: bytes
    shared: "Shared"
    ck: bytes
    t: bytes
    root: bytes
    header_a: bytes
    next_header_b: bytes
    session_id: bytes


@dataclass(frozen=True)
class Shared:
    """The agreements DH2, DH3 and perhaps DH4, and the secrets of both encapsulations."""

    agreements: tuple[bytes, ...]
    ss1: bytes
    ss2: bytes

    def chain_key(self, t0: bytes) -> bytes:
        return Extract(t0, b"".join(self.agreements) + self.ss1 + self.ss2)


@dataclass(frozen=True)
class Offer:
    """T0's parts about B: SPEC §4.2, step 2. A one-time prekey is (id, X25519, ML-KEM) or None."""

    account: bytes
    entry: Entry
    signed: tuple[int, bytes, bytes]
    one_time: tuple[int, bytes, bytes] | None

    def t0(self, ek: bytes, ct1: bytes, ct2: bytes) -> bytes:
        def parts(prekey: tuple[int, bytes, bytes] | None) -> tuple[bytes, ...]:
            return (u32(prekey[0]), prekey[1], prekey[2]) if prekey else (b"", b"", b"")

        return LH(
            "handshake offer",
            u8(SUITE),
            self.account,
            u32(self.entry.id),
            self.entry.hash(),
            *parts(self.signed),
            *parts(self.one_time),
            ek,
            ct1,
            ct2,
        )


def box_key(ck: bytes) -> bytes:
    return Expand(ck, label("handshake identity box") + b"\0", 32)


def finish(t0: bytes, shared: Shared, box: bytes, dh1: bytes) -> Keys:
    ck = shared.chain_key(t0)
    t = LH("handshake transcript", t0, box)
    out = Expand(Extract(ck, dh1), label("handshake root") + b"\0" + t, 128)
    return Keys(t0, shared, ck, t, *(out[i : i + 32] for i in range(0, 128, 32)))


def initiate(
    account: bytes, entry: Entry, x25519: bytes, bundle: Bundle, ek_private: bytes, m1: bytes, m2: bytes
) -> tuple[InitBlock, Keys]:
    """A's side, with the private half of EK and the randomness of both encapsulations."""
    signed, once = bundle.signed_prekey, bundle.one_time_prekey
    ek = x25519_public(ek_private)
    ct1, ss1 = kem_encapsulate((once or signed).kem, m1)
    ct2, ss2 = kem_encapsulate(bundle.entry.kem, m2)
    offer = Offer(
        bundle.account,
        bundle.entry,
        (signed.id, signed.x25519, signed.kem),
        (once.id, once.x25519, once.kem) if once else None,
    )
    t0 = offer.t0(ek, ct1, ct2)
    dh1 = x25519_agree(x25519, signed.x25519)
    keys = [bundle.entry.x25519, signed.x25519] + ([once.x25519] if once else [])
    shared = Shared(tuple(x25519_agree(ek_private, key) for key in keys), ss1, ss2)
    key = box_key(shared.chain_key(t0))
    box = aead_seal(key, bytes(12), t0, Identity.of(account, entry).encode())
    block = InitBlock(signed.id, once.id if once else None, ek, ct1, ct2, box)
    return block, finish(t0, shared, box, dh1)


def respond(
    account: bytes,
    entry: Entry,
    device: DeviceSecrets,
    signed: PrekeySecret,
    one_time: PrekeySecret | None,
    block: InitBlock,
) -> tuple[Identity, Keys]:
    """B's side. The identity is a claim until a manifest bears it out (SPEC §4.4)."""

    if block.signed != signed.id or block.one_time != (one_time.id if one_time else None):
        raise NoPrekey("no private prekey of that id")

    def public(secret: PrekeySecret) -> tuple[int, bytes, bytes]:
        return secret.id, x25519_public(secret.x25519), kem_public(secret.kem_seed)

    t0 = Offer(account, entry, public(signed), public(one_time) if one_time else None).t0(
        block.ek, block.ct1, block.ct2
    )
    privates = [device.x25519, signed.x25519] + ([one_time.x25519] if one_time else [])
    ss1 = kem_decapsulate((one_time or signed).kem_seed, block.ct1)
    ss2 = kem_decapsulate(device.kem_seed, block.ct2)
    shared = Shared(tuple(x25519_agree(private, block.ek) for private in privates), ss1, ss2)
    key = box_key(shared.chain_key(t0))
    identity = Identity.decode(aead_open(key, bytes(12), t0, block.box))  # [box-is-the-only-oracle]
    return identity, finish(t0, shared, block.box, x25519_agree(signed.x25519, identity.x25519))
