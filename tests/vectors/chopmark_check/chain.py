"""A chain: a tree with one leaf a message, from which opened leaves are cut (SPEC §5.3)."""

from dataclasses import dataclass, field

from .encoding import label
from .errors import Refused, Replayed
from .primitives import HMAC

HIGHEST = 2**32 - 2
EXPIRY_DAYS = 30


class GivenUp(Refused):
    """The leaf was deleted before its message came."""

    expect = "given up"


class BeyondEnd(Refused):
    """The chain ended before this index, or the index is never used."""

    expect = "beyond"


class BadPrevious(Refused):
    """A pn at or below an index that was opened. [pn-not-below-opened]"""

    expect = "refused"


def M(key: bytes, name: str) -> bytes:
    return HMAC(key, label(name) + b"\0")


def segment_of(n: int) -> tuple[int, int]:
    """The segment that holds leaf n, and the offset of the leaf in it."""
    k = (n + 1).bit_length() - 1
    return k, n - (2**k - 1)


def spine(chain_key: bytes, k: int) -> bytes:
    for _ in range(k):
        chain_key = M(chain_key, "chain spine")
    return chain_key


def segment_root(spine_key: bytes) -> bytes:
    return M(spine_key, "chain segment")


def children(node: bytes) -> tuple[bytes, bytes]:
    return M(node, "chain left"), M(node, "chain right")


def leaf(chain_key: bytes, n: int) -> bytes:
    """Leaf n, straight from the chain key."""
    k, offset = segment_of(n)
    node = segment_root(spine(chain_key, k))
    for depth in reversed(range(k)):
        node = children(node)[offset >> depth & 1]
    return node


@dataclass(frozen=True)
class Node:
    """A subtree none of whose leaves was taken: those from `first` on, 2^height of them."""

    first: int
    height: int
    key: bytes

    @property
    def end(self) -> int:
        return self.first + 2**self.height

    def split(self) -> tuple["Node", "Node"]:
        left, right = children(self.key)
        half = 2 ** (self.height - 1)
        return Node(self.first, self.height - 1, left), Node(self.first + half, self.height - 1, right)


@dataclass
class Chain:
    """What is left of a chain: nodes by rising index, and the spine behind them unless the chain has ended."""

    spine: bytes | None
    segment: int = 0
    nodes: list[Node] = field(default_factory=list)
    length: int = 0
    watermark: int = 0
    notes: list[tuple[int, int]] = field(default_factory=list)

    def take(self, n: int) -> bytes:
        """Leaf n; the nodes on the way to it go, their siblings stay. [leaf-once]"""
        if n > HIGHEST or (self.spine is None and n >= self.length):
            raise BeyondEnd(f"index {n}")
        if n < self.watermark:
            raise GivenUp(f"index {n}")
        self.unfold(n + 1)
        at = next((i for i, node in enumerate(self.nodes) if node.first <= n < node.end), None)
        if at is None:
            raise Replayed(f"index {n}")
        node = self.nodes.pop(at)
        while node.height:
            left, right = node.split()
            if n < right.first:
                self.nodes.insert(at, right)
                node = left
            else:
                self.nodes.insert(at, left)
                node, at = right, at + 1
        self.length = max(self.length, n + 1)
        return node.key

    def unfold(self, end: int) -> None:
        """Turns the spine into nodes until they reach `end`."""
        while self.spine is not None and 2**self.segment - 1 < end:
            self.nodes.append(Node(2**self.segment - 1, self.segment, segment_root(self.spine)))
            self.spine = M(self.spine, "chain spine")
            self.segment += 1

    def finish(self, pn: int) -> None:
        """The chain ends before index pn: everything from there on is deleted."""
        if pn < self.length:
            raise BadPrevious(f"pn {pn} after index {self.length - 1}")
        self.unfold(pn)
        self.spine = None
        while self.nodes and self.nodes[-1].end > pn:
            node = self.nodes.pop()
            if node.first < pn:
                self.nodes += node.split()
        self.length = pn

    def note(self, day: int) -> None:
        """On the first message of a day, without it, and at the end."""
        self.notes.append((day, self.length))

    def note_first_of(self, day: int) -> None:
        """Before the first message of a day is opened."""
        if not self.notes or self.notes[-1][0] < day:
            self.note(day)

    def expire(self, day: int) -> None:
        """Gives up what was noted 30 days before or earlier. [gaps-expire]"""
        below = max((length for noted, length in self.notes if noted + EXPIRY_DAYS <= day), default=0)
        self.notes = [(noted, length) for noted, length in self.notes if noted + EXPIRY_DAYS > day]
        while self.nodes and self.nodes[0].first < below:
            self.give_up_lowest()
            self.watermark = below

    def give_up_lowest(self) -> Node:
        """Deletes the lowest node. Below the watermark, given up and opened are not told apart."""
        node = self.nodes.pop(0)
        self.watermark = node.end
        return node

    def give_up_lowest_of(self, count: int) -> None:
        """So many of them, or all that there are."""
        for _ in self.nodes[:count]:
            self.give_up_lowest()

    def give_up_all(self) -> None:
        while self.nodes:
            self.give_up_lowest()

    @property
    def first_gap(self) -> int:
        """The lowest index passed over whose leaf is still here, or the length."""
        return min([node.first for node in self.nodes[:1]] + [self.length])
