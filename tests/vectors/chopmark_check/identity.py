"""Accounts, devices, manifests, stamps and safety numbers (SPEC §2.2 to §2.6)."""

from dataclasses import dataclass, replace

from .encoding import (
    LH,
    Reader,
    sign_ed25519,
    sign_ml_dsa,
    u8,
    u32,
    u64,
    verifies_ed25519,
    verifies_ml_dsa,
)
from .errors import BadSignature, Mismatch, OutsideLimits, Refused, UnknownVersion
from .primitives import (
    ed25519_checked,
    ed25519_public,
    kem_checked,
    kem_public,
    x25519_checked,
    x25519_public,
)
from .seed import Root

SUITE = 1
DAY_MS = 86_400_000


def next_commitment(ed25519: bytes, ml_dsa: bytes) -> bytes:
    return LH("next root", ed25519, ml_dsa)


def account_id(ed25519: bytes, ml_dsa: bytes, next: bytes) -> bytes:
    return LH("account id", ed25519, ml_dsa, next)


class UnknownDevice(Refused):
    """No device of the manifest."""

    expect = "unknown device"


@dataclass(frozen=True)
class DeviceSecrets:
    """SPEC §2.3, 129 bytes in the store."""

    ed25519_seed: bytes
    x25519: bytes
    kem_seed: bytes

    def encode(self) -> bytes:
        return u8(1) + self.ed25519_seed + self.x25519 + self.kem_seed

    @classmethod
    def decode(cls, data: bytes) -> "DeviceSecrets":
        r = Reader(data)
        if r.u8() != 1:
            raise UnknownVersion("device secrets")
        secrets = cls(r.bytes(32), r.bytes(32), r.bytes(64))
        r.end()
        return secrets

    def entry(self, id: int) -> "Entry":
        return Entry(
            id, ed25519_public(self.ed25519_seed), x25519_public(self.x25519), kem_public(self.kem_seed)
        )


@dataclass(frozen=True)
class Entry:
    """A device in a manifest: SPEC §2.3, 1,252 bytes."""

    id: int
    ed25519: bytes
    x25519: bytes
    kem: bytes

    def encode(self) -> bytes:
        return u32(self.id) + self.ed25519 + self.x25519 + self.kem

    @classmethod
    def read(cls, r: Reader) -> "Entry":
        return cls(
            r.u32(),
            ed25519_checked(r.bytes(32)),
            x25519_checked(r.bytes(32)),
            kem_checked(r.bytes(1184)),
        )

    @classmethod
    def decode(cls, data: bytes) -> "Entry":
        r = Reader(data)
        entry = cls.read(r)
        r.end()
        return entry

    def hash(self) -> bytes:
        return LH("device entry", self.encode())


@dataclass(frozen=True)
class Manifest:
    """SPEC §2.4. `next_root` is there when it signs: its Ed25519 and its ML-DSA-65 key."""

    root_ed25519: bytes
    root_ml_dsa: bytes
    next: bytes
    next_root: tuple[bytes, bytes] | None
    recovery_epoch: int
    version: int
    previous: bytes
    entries: tuple[Entry, ...]

    def encode(self) -> bytes:
        return b"".join(
            (
                u8(1),
                u8(SUITE),
                u8(self.signer),
                self.root_ed25519,
                self.root_ml_dsa,
                self.next,
                *(self.next_root or ()),
                u32(self.recovery_epoch),
                u32(self.version),
                self.previous,
                u8(len(self.entries)),
                *(entry.encode() for entry in self.entries),
            )
        )

    @classmethod
    def read(cls, r: Reader) -> "Manifest":
        if r.u8() != 1:
            raise UnknownVersion("manifest")
        if r.u8() != SUITE:
            raise UnknownVersion("suite")
        signer = r.u8()
        if signer > 1:
            raise UnknownVersion("signer")
        ed25519, ml_dsa, next = ed25519_checked(r.bytes(32)), r.bytes(1952), r.bytes(32)
        next_root = (ed25519_checked(r.bytes(32)), r.bytes(1952)) if signer else None
        epoch, version, previous, count = r.u32(), r.u32(), r.bytes(32), r.u8()
        if not 1 <= count <= 16:
            raise OutsideLimits("devices of a manifest")
        entries = tuple(Entry.read(r) for _ in range(count))
        if any(a.id >= b.id for a, b in zip(entries, entries[1:])):
            raise OutsideLimits("device ids do not rise")
        if next_root and next_commitment(*next_root) != next:
            raise OutsideLimits("the next root is not the one committed to")
        return cls(ed25519, ml_dsa, next, next_root, epoch, version, previous, entries)

    @property
    def account(self) -> bytes:
        return account_id(self.root_ed25519, self.root_ml_dsa, self.next)

    @property
    def signer(self) -> int:
        return 1 if self.next_root else 0

    @property
    def number(self) -> tuple[int, int]:
        return self.recovery_epoch, self.version

    @property
    def signing_keys(self) -> tuple[bytes, bytes]:
        return self.next_root or (self.root_ed25519, self.root_ml_dsa)

    def hash(self) -> bytes:
        return LH("manifest hash", self.encode())

    def entry(self, device: int) -> Entry | None:
        return next((entry for entry in self.entries if entry.id == device), None)

    @classmethod
    def first(cls, root: Root, next: Root, entries: tuple[Entry, ...], recovery_epoch: int = 0) -> "Manifest":
        """The first of an account, or of who restores with nothing but the words."""
        commitment = next_commitment(next.ed25519, next.ml_dsa)
        return cls(root.ed25519, root.ml_dsa, commitment, None, recovery_epoch, 0, bytes(32), entries)

    def after(self, entries: tuple[Entry, ...]) -> "Manifest":
        """The next version."""
        return replace(self, version=self.version + 1, previous=self.hash(), entries=entries)

    def restored(self, entries: tuple[Entry, ...], next_root: Root | None = None) -> "Manifest":
        """The next recovery epoch, under the same signer or, from here on, under the next root."""
        keys = (next_root.ed25519, next_root.ml_dsa) if next_root else self.next_root
        number = {"recovery_epoch": self.recovery_epoch + 1, "version": 0}
        return replace(self, next_root=keys, previous=self.hash(), entries=entries, **number)

    def signed_by(self, signer: Root) -> "SignedManifest":
        text = self.encode()
        return SignedManifest(
            self,
            sign_ed25519(signer.ed25519_seed, "manifest signature", text),
            sign_ml_dsa(signer.ml_dsa_seed, "manifest signature", text),
        )


@dataclass(frozen=True)
class SignedManifest:
    manifest: Manifest
    ed25519_signature: bytes
    ml_dsa_signature: bytes

    def encode(self) -> bytes:
        return self.manifest.encode() + self.ed25519_signature + self.ml_dsa_signature

    @classmethod
    def decode(cls, data: bytes) -> "SignedManifest":
        r = Reader(data)
        signed = cls(Manifest.read(r), r.bytes(64), r.bytes(3309))
        r.end()
        return signed

    def verify(self, account: bytes) -> Manifest:
        """The manifest, if it is this account's and both signatures hold."""
        manifest, text = self.manifest, self.manifest.encode()
        if manifest.account != account:
            raise Mismatch("another account")
        ed25519, ml_dsa = manifest.signing_keys
        if not verifies_ed25519(ed25519, "manifest signature", text, self.ed25519_signature):
            raise BadSignature("Ed25519")
        if not verifies_ml_dsa(ml_dsa, "manifest signature", text, self.ml_dsa_signature):
            raise BadSignature("ML-DSA-65")
        return manifest


@dataclass(frozen=True)
class Known:
    """What is kept of the newest manifest known of an account."""

    signer: int
    number: tuple[int, int]
    hash: bytes


@dataclass(frozen=True)
class Standing:
    """What a verified manifest is to one who knows another of the account (SPEC §2.4)."""

    word: str
    gap: bool = False
    to_be_acknowledged: bool = False


def standing(known: Known, other: Manifest) -> Standing:
    """[next-root-revokes] [manifest-order] [equivocation-freezes]"""
    before, now = (known.signer, known.number), (other.signer, other.number)
    if now < before:
        return Standing("older")
    if now == before:
        return Standing("same" if other.hash() == known.hash else "equivocation")
    moved = other.signer != known.signer or other.recovery_epoch != known.number[0]
    return Standing("newer", other.previous != known.hash, moved)


@dataclass(frozen=True)
class Stamp:
    """SPEC §2.5, 141 bytes."""

    account: bytes
    manifest_hash: bytes
    device: int
    not_after: int
    signature: bytes

    @staticmethod
    def text(account: bytes, manifest_hash: bytes, device: int, not_after: int) -> bytes:
        return u8(1) + account + manifest_hash + u32(device) + u64(not_after)

    @classmethod
    def make(cls, seed: bytes, account: bytes, manifest_hash: bytes, device: int, not_after: int) -> "Stamp":
        text = cls.text(account, manifest_hash, device, not_after)
        return cls(account, manifest_hash, device, not_after, sign_ed25519(seed, "stamp", text))

    def encode(self) -> bytes:
        return self.text(self.account, self.manifest_hash, self.device, self.not_after) + self.signature

    @classmethod
    def read(cls, r: Reader) -> "Stamp":
        if r.u8() != 1:
            raise UnknownVersion("stamp")
        return cls(r.bytes(32), r.bytes(32), r.u32(), r.u64(), r.bytes(64))

    @classmethod
    def decode(cls, data: bytes) -> "Stamp":
        r = Reader(data)
        stamp = cls.read(r)
        r.end()
        return stamp

    def verify(self, manifest: Manifest) -> Entry:
        """The device that stamped, if it is one of this manifest's."""
        entry = manifest.entry(self.device)
        if self.account != manifest.account or self.manifest_hash != manifest.hash():
            raise Mismatch("a stamp of another manifest")
        if entry is None:
            raise UnknownDevice("a stamp of no device of the manifest")
        if not verifies_ed25519(entry.ed25519, "stamp", self.encode()[:77], self.signature):
            raise BadSignature("stamp")
        return entry

    def is_fresh(self, now: int) -> bool:
        """Neither past its end nor made for further than 7 days and a day of clock skew. [stale-stamp-warns]"""
        return now <= self.not_after <= now + 8 * DAY_MS


def safety_half(account: bytes) -> bytes:
    half = account
    for _ in range(5200):
        half = LH("safety number", half, account)
    return half


def safety_digits(low: bytes, high: bytes) -> str:
    groups = [half[i : i + 5] for half in (low, high) for i in range(0, 30, 5)]
    return " ".join(f"{int.from_bytes(group, 'big') % 100_000:05}" for group in groups)


def safety_number(one: bytes, other: bytes) -> tuple[str, bytes]:
    """The digits in 12 groups, and the bytes of the QR code (SPEC §2.6)."""
    low, high = sorted((safety_half(one), safety_half(other)))
    return safety_digits(low, high), u8(1) + low + high
