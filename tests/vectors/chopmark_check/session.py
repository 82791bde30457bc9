"""One session: the ratchet of one side (SPEC §5.3 to §5.5, §5.7, §5.9)."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

from . import message
from .chain import BadPrevious, Chain
from .encoding import LH
from .errors import Refused, Replayed
from .handshake import Identity, InitBlock, Keys
from .identity import DAY_MS, Entry
from .kem_epochs import BadEpoch, Machine
from .message import (
    BUCKETS,
    LARGEST_CONTENT,
    NOTHING,
    OVERHEAD,
    Envelope,
    Header,
    NotForThisSession,
    Text,
    bucket_for,
)
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

    expect = "fell back"


class OwnFellBack(Refused):
    """The peer answers a step that this state never made. [own-rollback-is-seen]"""

    expect = "own state fell back"


class NotIntroduced(Refused):
    """B seals nothing before A's manifest bore out who A is. [no-reply-before-introduction]"""

    expect = "not introduced"


@dataclass
class Receiving:
    """A chain of the peer's: its number, header key, ratchet key and epoch, and what is left of its tree."""

    number: int
    header_key: bytes
    ratchet_key: bytes
    epoch: int
    chain: Chain


@dataclass(frozen=True)
class Opened:
    """A message that was opened: its content, what it acknowledges, and its name (SPEC §5.4)."""

    content: bytes
    acknowledged: tuple[int, int] | None
    chain: int
    n: int


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
    tags: dict[tuple[int, int], bytes] = field(default_factory=dict)
    claimed: Identity | None = None

    @classmethod
    def of_a(cls, keys: Keys, block: bytes, peer: bytes, device_kem_seed: bytes) -> "Session":
        """A: the peer's key is SPKb, a step is owed (SPEC §5.4)."""
        kem = Machine.of_a(device_kem_seed)
        ours = keys.session_id, keys.root, None, peer, None
        init_id = InitBlock.decode(block).init_id()
        return cls(*ours, keys.header_a, keys.next_header_b, True, kem, init=block, init_id=init_id)

    @classmethod
    def of_b(cls, keys: Keys, block: bytes, own: bytes, claimed: Identity) -> "Session":
        """B: its own key is SPKb; it owes no step, and nothing is sealed before A was introduced."""
        ours = keys.session_id, keys.root, own, None, None
        init_id = InitBlock.decode(block).init_id()
        header_keys = keys.next_header_b, keys.header_a
        return cls(*ours, *header_keys, False, Machine.of_b(), init_id=init_id, claimed=claimed)

    @property
    def events(self) -> list[tuple[str, object]]:
        """What a client would hear of the last message: the machine's and the session's own, in order."""
        return self.kem.events

    def introduce(self, account: bytes, entry: Entry) -> None:
        """At B, with an entry of a manifest that verified for the claimed account (SPEC §4.4)."""
        if self.claimed:
            self.claimed.matches(account, entry)
            self.kem.introduce(entry.kem)
            self.claimed = None

    @property
    def status(self) -> str:
        if self.kem.epoch:
            return "Confirmed"
        return "Opening" if self.kem.side == "A" and self.receiving is None else "Unconfirmed"

    # Sending

    def skip_to(self, n: int) -> None:
        """As if the messages before index n had been sealed and lost."""
        self.sending.take(n - 1)

    def seal(self, content: bytes, draws, now: int) -> bytes:
        if len(content) > LARGEST_CONTENT - len(self.init or b""):
            raise message.ContentTooLong(f"{len(content)} bytes")
        if self.claimed or (self.sending is None and not self.owes):
            raise NotIntroduced("nothing is known of A")
        self.events.clear()
        if self.owes:
            self.begin_chain(draws, now)
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
        needed = bucket_for(fixed + len(with_object.encode()))
        if self.kem.is_overdue(now):
            smallest = BUCKETS[1] if self.kem.epoch else bucket  # [lifted-alike]
            self.kem.carried = True
            return with_object, max(needed, smallest)
        if needed > bucket:
            return text, bucket
        self.kem.carried = True
        return with_object, bucket

    def acknowledgement(self) -> tuple[int, int]:
        """The oldest chain with a gap and its first gap, or how far all is opened (SPEC §5.9)."""
        opened = 0, 0
        for oldest in [*self.ended, self.receiving][:1]:
            if oldest:
                opened = oldest.number, oldest.chain.first_gap
        return min(self.stuck, opened) if self.stuck else opened

    # Receiving

    def open(self, data: bytes, now: int) -> Opened:
        """What the message says. All of it happens on a copy, which is kept only at the end. [open-then-commit]"""
        ahead = deepcopy(self)
        ahead.events.clear()
        content = ahead.open_ahead(data, now)
        self.__dict__.update(ahead.__dict__)
        return content

    def open_ahead(self, data: bytes, now: int) -> Opened:
        envelope = Envelope.decode(data)
        if envelope.init is not None:
            if self.kem.side != "B" or init_id_of(envelope.init) != self.init_id:
                raise NotForThisSession("an init block of another session")
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
        if at is self.receiving:
            at.chain.note_first_of(now // DAY_MS)
        leaf = self.take_leaf(at, header.n, envelope.tag)
        text = message.open_body(leaf, self.session_id, envelope, header)
        self.tags[at.number, header.n] = envelope.tag[:8]
        if len(self.tags) > TAGS_KEPT:
            del self.tags[next(iter(self.tags))]
        self.kem.take_in(header.epoch, text.kind, text.object)
        self.kem.messages += 1
        covered = self.covered(text.ack_chain, text.ack_count)
        self.init = None
        self.keep_within_bounds(now)
        return Opened(text.content, covered, at.number, header.n)

    def take_leaf(self, at: Receiving, n: int, tag: bytes) -> bytes:
        try:
            return at.chain.take(n)
        except Replayed:
            if self.tags.get((at.number, n), tag[:8]) != tag[:8]:
                raise RolledBack(f"index {n} under another tag") from None
            raise

    def peer_begins_chain(self, header: Header, now: int) -> Receiving:
        """The peer's step: SPEC §5.4, step 2. Our private ratchet key goes with it. [step-wipes-own-key]"""
        if self.own is None:
            raise OwnFellBack("a step that another life of this state made")
        last = self.receiving
        if last:
            last.chain.finish(header.pn)
            last.chain.note(now // DAY_MS)
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

    def covered(self, chain: int, count: int) -> tuple[int, int] | None:
        """What an acknowledgement of the peer's says; None if nothing, or of what was never sent."""
        sent = (self.chains_sent - 1, self.sending.length) if self.sending else (0, 0)
        if (chain, count) > sent:
            self.events.append(("event", "acknowledged beyond sent"))  # [own-rollback-is-seen]
            return None
        return (chain, count) if (chain, count) != (0, 0) else None

    def keep_within_bounds(self, now: int) -> None:
        """[gaps-are-bounded] [gaps-expire]"""
        day = now // DAY_MS
        chains = self.ended + [self.receiving]
        for old in chains:
            self.giving_up(old, lambda chain: chain.expire(day))
        self.ended = [old for old in self.ended if old.chain.nodes]
        while len(self.ended) > ENDED_CHAINS_KEPT:
            self.giving_up(self.ended.pop(0), Chain.give_up_all)
        for old in chains:
            surplus = sum(len(old.chain.nodes) for old in chains) - NODES_KEPT
            if surplus > 0:
                self.giving_up(old, lambda chain: chain.give_up_lowest_of(surplus))

    def giving_up(self, old: Receiving, deletes: Callable[[Chain], object]) -> None:
        """Acknowledgement stays before the first gap that was ever given up (SPEC §5.9)."""
        before, first_gap = old.chain.watermark, old.chain.first_gap
        deletes(old.chain)
        if old.chain.watermark != before:
            self.stuck = min(self.stuck or (old.number, first_gap), (old.number, first_gap))
            self.events.append(("given up", f"{old.number} {old.chain.watermark}"))


def init_id_of(block: bytes) -> bytes:
    """The name of a handshake by its init block, which is not looked at otherwise."""
    return LH("init id", block[9:41], block[41:1129])
