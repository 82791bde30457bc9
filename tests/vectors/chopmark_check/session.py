"""One session: the ratchet of one side (SPEC §5.3 to §5.5, §5.7, §5.9)."""

from copy import deepcopy
from dataclasses import dataclass, field

from . import message
from .chain import BadPrevious, Chain
from .errors import Mismatch, Refused, Replayed
from .handshake import InitBlock, Keys
from .kem_epochs import BadEpoch, Machine
from .message import BUCKETS, LARGEST_CONTENT, NOTHING, OVERHEAD, Envelope, Header, Text, bucket_for
from .primitives import x25519_agree, x25519_checked, x25519_public
from .root import step

TAGS_KEPT = 64
ENDED_CHAINS_KEPT = 5
NODES_KEPT = 2048


class Forked(Refused):
    """Another ratchet key in a known chain: two devices use one state. [fork-is-seen]"""

    expect = "forked"


class RolledBack(Refused):
    """An index that was opened before, under another tag: the peer fell back. [rollback-is-seen]"""

    expect = "rolled back"


class NothingToSend(Refused):
    """B cannot send before it opened something."""

    expect = "cannot send yet"


@dataclass
class Receiving:
    """A chain of the peer's: its number, header key, ratchet key and epoch, and what is left of its tree."""

    number: int
    header_key: bytes
    ratchet_key: bytes
    epoch: int
    chain: Chain


@dataclass
class Session:
    session_id: bytes
    root: bytes
    own: bytes | None
    peer: bytes | None
    header_key: bytes | None
    next_header_key: bytes
    next_header_key_peer: bytes
    owes: bool
    kem: Machine
    init: bytes | None = None
    init_id: bytes | None = None
    sending: Chain | None = None
    chains_sent: int = 0
    pn: int = 0
    chain_epoch: int = 0
    receiving: Receiving | None = None
    ended: list[Receiving] = field(default_factory=list)
    stuck: tuple[int, int] | None = None
    acknowledged: tuple[int, int] = (0, 0)
    tags: dict[tuple[int, int], bytes] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    @classmethod
    def of_a(cls, keys: Keys, block: bytes, peer: bytes, device_kem_seed: bytes, now: int) -> "Session":
        """A: the peer's key is SPKb, a step is owed (SPEC §5.4)."""
        kem = Machine.of_a(device_kem_seed, now)
        ours = keys.session_id, keys.root, None, peer, None
        init_id = InitBlock.decode(block).init_id()
        return cls(*ours, keys.header_a, keys.next_header_b, True, kem, init=block, init_id=init_id)

    @classmethod
    def of_b(cls, keys: Keys, block: bytes, own: bytes, now: int) -> "Session":
        """B: its own key is SPKb; it cannot send before it opened something."""
        ours = keys.session_id, keys.root, own, None, None
        init_id = InitBlock.decode(block).init_id()
        return cls(*ours, keys.next_header_b, keys.header_a, False, Machine.of_b(now), init_id=init_id)

    @property
    def status(self) -> str:
        if self.kem.epoch:
            return "Confirmed"
        return "Opening" if self.kem.side == "A" and self.receiving is None else "Unconfirmed"

    # Sending

    def seal(self, content: bytes, draws, now: int) -> bytes:
        if len(content) > LARGEST_CONTENT - len(self.init or b""):
            raise message.OutsideLimits("content")
        if self.owes:
            self.begin_chain(draws, now)
        elif self.sending is None:
            raise NothingToSend("nothing was opened")
        self.kem.prepare(draws)
        n = self.sending.length
        header = Header(x25519_public(self.own), n, self.pn, self.chain_epoch, bytes(12))
        text, length = self.fit(Text(*self.acknowledgement(), content), now)
        leaf = self.sending.take(n)
        random = draws.take("body nonce", 32)
        sealed = message.seal(self.header_key, leaf, self.session_id, self.init, header, text, length, random)
        self.kem.messages += 1
        return sealed

    def begin_chain(self, draws, now: int) -> None:
        """Our step, at the latest moment: SPEC §5.4, step 1."""
        self.own = draws.take("ratchet key", 32)
        self.pn = self.sending.length if self.sending else 0
        self.header_key = self.next_header_key
        mixed = self.kem.mixes_when_stepping()
        epoch = self.kem.epoch + (mixed is not None)
        made = step(self.root, x25519_agree(self.own, self.peer), epoch, mixed)
        self.root, self.next_header_key, self.sending = made.root, made.next_header, Chain(made.chain)
        self.chains_sent += 1
        self.chain_epoch, self.owes = epoch, False
        self.kem.stepped(now)

    def fit(self, text: Text, now: int) -> tuple[Text, int]:
        """The bucket, and the object if it rides (SPEC §5.6, §5.7 step 6)."""
        fixed = OVERHEAD + len(self.init or b"")
        bucket = bucket_for(fixed + len(text.encode()))
        kind, object = self.kem.pending()
        if kind == NOTHING:
            return text, bucket
        with_object = Text(text.ack_chain, text.ack_count, text.content, kind, object)
        needed = fixed + len(with_object.encode())
        if needed > bucket and not self.kem.is_overdue(now):
            return text, bucket
        self.kem.carried = True
        return with_object, bucket_for(needed)

    def acknowledgement(self) -> tuple[int, int]:
        """The oldest chain with a gap and its first gap, or how far all is opened (SPEC §5.9)."""
        if self.stuck:
            return self.stuck
        for old in self.ended:
            return old.number, old.chain.first_gap
        if self.receiving:
            return self.receiving.number, self.receiving.chain.first_gap
        return 0, 0

    # Receiving

    def open(self, data: bytes, now: int) -> bytes:
        """The content. All of it happens on a copy, which is kept only at the end. [open-then-commit]"""
        ahead = deepcopy(self)
        content = ahead.open_ahead(data, now)
        self.__dict__.update(ahead.__dict__)
        return content

    def open_ahead(self, data: bytes, now: int) -> bytes:
        envelope = Envelope.decode(data)
        if envelope.init is not None:
            if self.kem.side != "B" or InitBlock.decode(envelope.init).init_id() != self.init_id:
                raise Mismatch("an init block of another session")
        known = [self.receiving] if self.receiving else []
        old = list(reversed(self.ended))
        keys = [c.header_key for c in known] + [self.next_header_key_peer] + [c.header_key for c in old]
        which, header = message.try_header(keys, envelope)
        if which == len(known):
            at = self.peer_begins_chain(header, now)
        else:
            at = (known + [None] + old)[which]
            if header.ratchet_key != at.ratchet_key:
                raise Forked("another ratchet key")
            if header.epoch != at.epoch:
                raise BadEpoch("another epoch in a chain")
        leaf = self.take_leaf(at, header.n, envelope.tag)
        text = message.open_body(leaf, self.session_id, envelope, header)
        self.tags[at.number, header.n] = envelope.tag[:8]
        if len(self.tags) > TAGS_KEPT:
            del self.tags[next(iter(self.tags))]
        self.kem.take_in(header.epoch, text.kind, text.object)
        self.kem.messages += 1
        self.covered(text.ack_chain, text.ack_count)
        self.init = None
        self.keep_within_bounds()
        return text.content

    def take_leaf(self, at: Receiving, n: int, tag: bytes) -> bytes:
        try:
            return at.chain.take(n)
        except Replayed:
            if self.tags.get((at.number, n), tag[:8]) != tag[:8]:
                raise RolledBack(f"index {n} under another tag") from None
            raise

    def peer_begins_chain(self, header: Header, now: int) -> Receiving:
        """The peer's step: SPEC §5.4, step 2. Our private ratchet key goes with it. [step-wipes-own-key]"""
        last = self.receiving
        if last:
            last.chain.finish(header.pn)
            if last.chain.nodes:
                self.ended.append(last)
        elif header.pn:
            raise BadPrevious("a first chain has none before it")
        mixed = self.kem.mixes_when_peer_says(header.epoch)
        agreed = x25519_agree(self.own, x25519_checked(header.ratchet_key))
        made = step(self.root, agreed, header.epoch, mixed)
        number = last.number + 1 if last else 0
        key = self.next_header_key_peer
        self.receiving = Receiving(number, key, header.ratchet_key, header.epoch, Chain(made.chain))
        self.root, self.next_header_key_peer = made.root, made.next_header
        self.own, self.peer, self.owes = None, header.ratchet_key, True
        self.kem.peer_stepped(header.epoch, now)
        return self.receiving

    def covered(self, chain: int, count: int) -> None:
        """An acknowledgement of the peer's. [own-rollback-is-seen]"""
        sent = (self.chains_sent - 1, self.sending.length) if self.sending else (0, 0)
        if (chain, count) > sent:
            self.events.append("own rollback")
        else:
            self.acknowledged = max(self.acknowledged, (chain, count))

    def keep_within_bounds(self) -> None:
        """[gaps-are-bounded]"""
        self.ended = [old for old in self.ended if old.chain.nodes]
        while len(self.ended) > ENDED_CHAINS_KEPT:
            self.give_up(self.ended.pop(0))
        chains = self.ended + [self.receiving]
        while sum(len(c.chain.nodes) for c in chains) > NODES_KEPT:
            oldest = next(c for c in chains if c.chain.nodes)
            gap = oldest.chain.give_up_lowest()
            self.stuck = self.stuck or (oldest.number, gap.first)

    def give_up(self, old: Receiving) -> None:
        self.stuck = self.stuck or (old.number, old.chain.first_gap)
        self.events.append("gap given up")


assert BUCKETS[-1] >= OVERHEAD + LARGEST_CONTENT
