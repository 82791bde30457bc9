"""Two parties of this implementation against each other, and the values that other documents publish.

The vectors say whether two implementations agree; this says whether one of them works, before there is a vector for it.
"""

import random
from dataclasses import dataclass, field

from . import handshake, identity, prekeys
from .encoding import u32
from .errors import Forged, InvalidKey, Replayed
from .link import Link
from .primitives import H, ed25519_checked, hchacha20, x25519_checked
from .seed import Seed
from .session import NotIntroduced, Session
from .sessions import Sessions

NOW = 1_700_000_000_000

REFUSED_X25519 = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "0900000000000000000000000000000000000000000000000000000000000080",
)
REFUSED_ED25519 = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)


@dataclass
class Draws:
    """Randomness for a round trip: the same in every run."""

    seed: bytes
    count: int = 0

    def take(self, _what: str, length: int) -> bytes:
        self.count += 1
        return (H(self.seed + u32(self.count)) + H(self.seed + u32(self.count) + b"2"))[:length]


@dataclass
class Party:
    name: str
    draws: Draws = field(init=False)

    def __post_init__(self) -> None:
        self.draws = Draws(self.name.encode())
        self.seed = Seed(self.draws.take("seed", 32))
        self.device = identity.DeviceSecrets(*(self.draws.take("device", n) for n in (32, 32, 64)))
        self.entry = self.device.entry(7)
        root, next = self.seed.root, self.seed.next_root
        self.manifest = identity.Manifest.first(root, next, (self.entry,))
        self.signed_manifest = self.manifest.signed_by(root)

    @property
    def account(self) -> bytes:
        return self.manifest.account


def run() -> list[tuple[str, str | None]]:
    """Each check by name, and what is wrong with it or None."""
    results = []
    for check in (published_values, identities, links, conversations, selections):
        try:
            check()
            results.append((check.__name__, None))
        except Exception as wrong:
            results.append((check.__name__, f"{type(wrong).__name__}: {wrong}"))
    return results


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def demand_refused(kind: type[Exception], call, *arguments) -> None:
    try:
        call(*arguments)
    except kind:
        return
    raise ValueError(f"{kind.__name__} was expected")


def published_values() -> None:
    """HChaCha20 of draft-irtf-cfrg-xchacha-03, section 2.2.1, and points of low order."""
    out = hchacha20(bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927"))
    demand(out.hex() == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc", "HChaCha20")
    for key in REFUSED_X25519:
        demand_refused(InvalidKey, x25519_checked, bytes.fromhex(key))
    for key in REFUSED_ED25519:
        demand_refused(InvalidKey, ed25519_checked, bytes.fromhex(key))


def identities() -> None:
    one, other = Party("one"), Party("other")
    demand(Seed.of_phrase(one.seed.phrase().upper()) == one.seed, "phrase")
    encoded = one.signed_manifest.encode()
    demand(len(encoded) == 6685, "length of a manifest")
    identity.SignedManifest.decode(encoded).verify(one.account)
    numbers = {identity.safety_number(a.account, b.account) for a, b in ((one, other), (other, one))}
    demand(len(numbers) == 1, "safety number")


def links() -> None:
    link = Link(True, bytes(range(32)), bytes(range(16)), bytes(range(16, 32)), "relay.example:443")
    for text in (link.text(), link.qr_text(), link.qr_text().lower()):
        demand(Link.parse(text) == link, text)


def conversations() -> None:
    """Loss, reordering and repetition, through several KEM epochs, with and without a one-time prekey."""
    for with_one_time in (False, True):
        a, b = met(with_one_time)
        converse(a, b, random.Random(with_one_time))
        demand(a.kem.epoch >= 3 and a.kem.epoch - b.kem.epoch in (-1, 0, 1), "epochs")
        demand(a.status == b.status == "Confirmed", "status")


def selections() -> None:
    """Which session sends, which are kept and in which order an envelope is tried (SPEC §5.8)."""
    a, b, c, d, e, f = (bytes([i]) for i in range(6))
    kept = Sessions()
    kept.begin(b, ours=True)
    demand(kept.sending() == b, "the only one")
    kept.begin(a, ours=False)
    demand(kept.sending() == a, "the lower id of two that cross")
    kept.confirm(b)
    demand(kept.sending() == b, "the confirmed one")
    kept.begin(c, ours=False)
    demand(kept.sending() == b and kept.trial_order() == [b, c, a], "a confirmed one before newer ones")
    kept.begin(d, ours=False)
    demand(kept.trial_order() == [b, d, c], "two unconfirmed are kept")
    for id in (c, d, e, f):
        if id in (e, f):
            kept.begin(id, ours=True)
        kept.confirm(id)
    demand(kept.trial_order() == [f, e, d], "three confirmed are kept")


def met(with_one_time: bool) -> tuple[Session, Session]:
    a, b = Party("a"), Party("b")
    signed = prekeys.PrekeySecret(1, 5, NOW + 1, b.draws.take("x25519", 32), b.draws.take("kem", 64))
    once = prekeys.PrekeySecret(2, 9, 0, b.draws.take("x25519", 32), b.draws.take("kem", 64))
    seed = b.device.ed25519_seed
    stamp = identity.Stamp.make(seed, b.account, b.manifest.hash(), 7, NOW + 7 * identity.DAY_MS)
    part = prekeys.signed_part(
        b.signed_manifest.encode(), stamp.encode(), signed.public(seed, b.account, 7).encode()
    )
    piece = once.public(seed, b.account, 7).encode() if with_one_time else None
    bundle = prekeys.verify_bundle(b.account, NOW, part, piece)
    randomness = (a.draws.take("handshake", 32) for _ in range(3))
    block, keys_a = handshake.initiate(a.account, a.entry, a.device.x25519, bundle, *randomness)
    encoded = block.encode()
    claimed, keys_b = handshake.respond(
        b.account,
        b.entry,
        b.device,
        signed,
        once if with_one_time else None,
        handshake.InitBlock.decode(encoded),
    )
    demand(keys_a == keys_b, "both come out with the same keys")
    return (
        Session.of_a(keys_a, encoded, bundle.signed_prekey.x25519, a.device.kem_seed),
        Session.of_b(keys_b, encoded, signed.x25519, claimed),
    )


def converse(a: Session, b: Session, chance: random.Random) -> None:
    draws, parties = Draws(b"conversation"), (a, b)
    who_a_is = Party("a")
    waiting: list[list[tuple[bytes, bytes]]] = [[], []]
    for _ in range(400):
        who = chance.randrange(2)
        if chance.random() < 0.5:
            content = bytes(chance.choice((5, 100, 1900, 5000)))
            try:
                envelope = parties[who].seal(content, draws, NOW)
            except NotIntroduced:
                continue
            if chance.random() < 0.8:
                waiting[1 - who].append((envelope, content))
        elif waiting[who]:
            envelope, content = waiting[who].pop(chance.randrange(min(4, len(waiting[who]))))
            demand(parties[who].open(envelope, NOW).content == content, "content")
            demand_refused((Replayed, Forged), parties[who].open, envelope, NOW)
            b.introduce(who_a_is.account, who_a_is.entry)
