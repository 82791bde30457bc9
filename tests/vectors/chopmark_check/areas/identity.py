"""Seeds, accounts, devices, manifests, stamps and safety numbers (SPEC §2.1 to §2.6)."""

from ..case import Came, Given, refused_as
from ..errors import (
    BadSignature,
    EndsEarly,
    InvalidKey,
    Mismatch,
    OutsideLimits,
    TooLong,
    UnknownVersion,
)
from ..identity import (
    DAY_MS,
    DeviceSecrets,
    Entry,
    Known,
    Manifest,
    SignedManifest,
    Stamp,
    account_id,
    next_commitment,
    safety_number,
    standing,
)
from ..seed import NotAPhrase, Root, Seed

MALFORMED = {
    kind: "malformed" for kind in (EndsEarly, TooLong, UnknownVersion, OutsideLimits, InvalidKey, NotAPhrase)
}


def words(given: Given) -> Came:
    return [("words", Seed(given.bytes("seed")).phrase())]


@refused_as(MALFORMED)
def read_words(given: Given) -> Came:
    seed = Seed.of_phrase(given.text("words"))
    return [("words as shown", seed.phrase()), ("backup key", seed.child("backup"))]


def children(given: Given) -> Came:
    seed = Seed(given.bytes("seed"))
    return [
        ("root Ed25519 seed", seed.child("root ed25519")),
        ("root ML-DSA-65 seed", seed.child("root ml-dsa-65")),
        ("seed of the next root", seed.child("next root")),
        ("wallet secret WS", seed.wallet(given.number("wallet epoch"))),
        ("parent of payee lock keys", seed.child("payee lock")),
        ("parent of refund keys", seed.child("refund")),
        ("parent of quote keys", seed.child("quote")),
        ("owner key of the vault mailbox", seed.child("vault mailbox")),
        ("backup key", seed.child("backup")),
    ]


def root_of(given: Given, key: str) -> Root:
    return Seed(given.bytes(key)).root


def account(given: Given) -> Came:
    root, next = root_of(given, "seed"), root_of(given, "next seed")
    commitment = next_commitment(next.ed25519, next.ml_dsa)
    return [
        ("root Ed25519", root.ed25519),
        ("root ML-DSA-65", root.ml_dsa),
        ("next root Ed25519", next.ed25519),
        ("next root ML-DSA-65", next.ml_dsa),
        ("next", commitment),
        ("account id", account_id(root.ed25519, root.ml_dsa, commitment)),
    ]


def entry(given: Given) -> Came:
    made = DeviceSecrets.decode(given.bytes("device secrets")).entry(given.number("device id"))
    return [("entry", made.encode()), ("hash", made.hash())]


@refused_as(MALFORMED)
def read_entry(given: Given) -> Came:
    read = Entry.decode(given.bytes("entry"))
    return [("device id", read.id), ("hash", read.hash())]


def signed(given: Given, manifest: Manifest) -> Came:
    made = manifest.signed_by(root_of(given, "seed of the signer"))
    account, hash = manifest.account, manifest.hash()
    return [("signed manifest", made.encode()), ("account id", account), ("hash", hash)]


def entries(given: Given) -> tuple[Entry, ...]:
    return tuple(Entry.decode(given.bytes(key)) for key in given.numbered("entry"))


def before(given: Given) -> Manifest:
    return SignedManifest.decode(given.bytes("signed manifest before")).manifest


def create(given: Given) -> Came:
    root, next = root_of(given, "seed of the signer"), root_of(given, "next seed")
    return signed(given, Manifest.first(root, next, entries(given)))


def restore(given: Given) -> Came:
    root, next = root_of(given, "seed of the signer"), root_of(given, "next seed")
    return signed(given, Manifest.first(root, next, entries(given), given.number("recovery epoch")))


def update(given: Given) -> Came:
    return signed(given, before(given).after(entries(given)))


def recover(given: Given) -> Came:
    return signed(given, before(given).restored(entries(given)))


def revoke(given: Given) -> Came:
    next_root = root_of(given, "seed of the signer")
    return signed(given, before(given).restored(entries(given), next_root))


@refused_as(MALFORMED | {Mismatch: "other account", BadSignature: "forged"})
def verify_manifest(given: Given) -> Came:
    manifest = SignedManifest.decode(given.bytes("signed manifest")).verify(given.bytes("account id"))
    return [
        ("signer", manifest.signer),
        ("recovery epoch", manifest.recovery_epoch),
        ("version", manifest.version),
        ("previous hash", manifest.previous),
        ("device ids", " ".join(str(entry.id) for entry in manifest.entries)),
        ("hash", manifest.hash()),
    ]


def standing_of(given: Given) -> Came:
    number = given.number("known recovery epoch"), given.number("known version")
    known = Known(given.number("known signer"), number, given.bytes("known hash"))
    found = standing(known, SignedManifest.decode(given.bytes("signed manifest")).manifest)
    came: Came = [("standing", found.word)]
    if found.word == "newer":
        came += [("gap", found.gap), ("to be acknowledged", found.to_be_acknowledged)]
    return came


def stamp(given: Given) -> Came:
    manifest = SignedManifest.decode(given.bytes("signed manifest")).manifest
    seed, device = given.bytes("Ed25519 seed"), given.number("device id")
    not_after = given.number("now") + 7 * DAY_MS
    made = Stamp.make(seed, manifest.account, manifest.hash(), device, not_after)
    return [("stamp", made.encode())]


@refused_as(MALFORMED | {Mismatch: "other manifest", BadSignature: "forged"})
def verify_stamp(given: Given) -> Came:
    read = Stamp.decode(given.bytes("stamp"))
    read.verify(SignedManifest.decode(given.bytes("signed manifest")).manifest)
    return [("fresh", read.is_fresh(given.number("now")))]


def safety(given: Given) -> Came:
    digits, code = safety_number(given.bytes("account id 1"), given.bytes("account id 2"))
    return [("digits", digits), ("QR code", code)]


OPERATIONS = {
    "words": words,
    "read words": read_words,
    "children": children,
    "account": account,
    "entry": entry,
    "read entry": read_entry,
    "create": create,
    "restore": restore,
    "update": update,
    "recover": recover,
    "revoke": revoke,
    "verify manifest": verify_manifest,
    "standing": standing_of,
    "stamp": stamp,
    "verify stamp": verify_stamp,
    "safety number": safety,
}
