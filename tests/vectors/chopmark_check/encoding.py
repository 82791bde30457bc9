"""Fixed layouts, labelled hashes, derivations and signatures (SPEC §1.3)."""

from .errors import EndsEarly, OutsideLimits, TooLong
from .primitives import Expand, H, dsa_sign, dsa_verifies, ed25519_sign, ed25519_verifies


def u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def var16(data: bytes) -> bytes:
    return u16(len(data)) + data


def var32(data: bytes) -> bytes:
    return u32(len(data)) + data


def label(name: str) -> bytes:
    """A label of the table in section 1.4, without what all of them begin with."""
    return b"chopmark/1 " + name.encode("ascii")


def LH(name: str, *parts: bytes) -> bytes:
    return H(var16(label(name)) + b"".join(var32(part) for part in parts))


def Derive(prk: bytes, name: str, context: bytes = b"") -> bytes:
    return Expand(prk, label(name) + b"\0" + context, 32)


def sign_ed25519(seed: bytes, name: str, message: bytes) -> bytes:
    return ed25519_sign(seed, label(name) + b"\0" + message)


def verifies_ed25519(public: bytes, name: str, message: bytes, signature: bytes) -> bool:
    return ed25519_verifies(public, signature, label(name) + b"\0" + message)


def sign_ml_dsa(seed: bytes, name: str, message: bytes) -> bytes:
    return dsa_sign(seed, label(name), message)


def verifies_ml_dsa(public: bytes, name: str, message: bytes, signature: bytes) -> bool:
    return dsa_verifies(public, label(name), message, signature)


class Reader:
    """Takes a layout apart from the front. `end` refuses what is left over. [no-trailing-bytes]"""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def bytes(self, length: int) -> bytes:
        if self.at + length > len(self.data):
            raise EndsEarly(f"{self.at + length} bytes wanted, {len(self.data)} there")
        self.at += length
        return self.data[self.at - length : self.at]

    def u8(self) -> int:
        return self.bytes(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.bytes(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.bytes(4), "big")

    def u64(self) -> int:
        return int.from_bytes(self.bytes(8), "big")

    def var16(self) -> bytes:
        return self.bytes(self.u16())

    def var32(self) -> bytes:
        return self.bytes(self.u32())

    def flag(self) -> bool:
        value = self.u8()
        if value > 1:
            raise OutsideLimits("a flag is neither 0 nor 1")
        return value == 1

    def rest(self) -> bytes:
        return self.bytes(len(self.data) - self.at)

    def end(self) -> None:
        if self.at != len(self.data):
            raise TooLong(f"{len(self.data) - self.at} bytes left over")
