"""Root steps, without and with a KEM secret (SPEC §5.4)."""

from dataclasses import dataclass

from .encoding import LH, label, u32
from .primitives import Expand, Extract


@dataclass(frozen=True)
class Mixed:
    """What a step takes in from a KEM epoch: its secret, and the encapsulation that made it."""

    secret: bytes
    ek: bytes
    ct: bytes

    @property
    def transcript(self) -> bytes:
        return LH("kem transcript", self.ek, self.ct)


@dataclass(frozen=True)
class Step:
    root: bytes
    chain: bytes
    next_header: bytes


def step(root: bytes, agreed: bytes, epoch: int, mixed: Mixed | None) -> Step:
    """`epoch` is the KEM epoch after the step."""
    if mixed:
        prk = Extract(root, agreed + mixed.secret)
        info = label("root mixed step") + b"\0" + u32(epoch) + mixed.transcript
    else:
        prk = Extract(root, agreed)
        info = label("root plain step") + b"\0" + u32(epoch)
    out = Expand(prk, info, 96)
    return Step(out[:32], out[32:64], out[64:])
