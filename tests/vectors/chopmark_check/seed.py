"""The seed and its children (SPEC §2.1)."""

from dataclasses import dataclass
from functools import cached_property

from mnemonic import Mnemonic

from .encoding import Derive, u32
from .errors import Refused
from .primitives import Extract, H, dsa_public, ed25519_public

WORDS = Mnemonic("english").wordlist


class NotAPhrase(Refused):
    """Not 24 words of the list, or their checksum is wrong."""

    expect = "not a phrase"


@dataclass(frozen=True)
class Seed:
    entropy: bytes

    @classmethod
    def of_phrase(cls, text: str) -> "Seed":
        words = text.lower().split()
        if len(words) != 24 or any(word not in WORDS for word in words):
            raise NotAPhrase("not 24 words of the list")
        bits = 0
        for word in words:
            bits = bits << 11 | WORDS.index(word)
        entropy = (bits >> 8).to_bytes(32, "big")
        if H(entropy)[0] != bits & 0xFF:
            raise NotAPhrase("the checksum is wrong")
        return cls(entropy)

    def phrase(self) -> str:
        bits = int.from_bytes(self.entropy + H(self.entropy)[:1], "big")
        return " ".join(WORDS[bits >> shift & 0x7FF] for shift in range(253, -1, -11))

    @cached_property
    def prk(self) -> bytes:
        return Extract(b"chopmark/1 extract seed", self.entropy)

    def child(self, name: str, context: bytes = b"") -> bytes:
        return Derive(self.prk, f"seed {name}", context)

    def wallet(self, epoch: int) -> bytes:
        return self.child("wallet", u32(epoch))

    @property
    def root(self) -> "Root":
        return Root(self.child("root ed25519"), self.child("root ml-dsa-65"))

    @property
    def next_root(self) -> "Root":
        """Where no recovery card is kept; with one it is the root of the card's own seed (SPEC §2.2)."""
        return Seed(self.child("next root")).root


@dataclass(frozen=True)
class Root:
    """A pair of root keys, as seeds."""

    ed25519_seed: bytes
    ml_dsa_seed: bytes

    @property
    def ed25519(self) -> bytes:
        return ed25519_public(self.ed25519_seed)

    @property
    def ml_dsa(self) -> bytes:
        return dsa_public(self.ml_dsa_seed)
