"""Prekeys, sealed pieces and whole bundles (SPEC §3)."""

from ..case import BadFile, Came, Given, refused_as
from ..errors import (
    BadSignature,
    EndsEarly,
    Expired,
    InvalidKey,
    Mismatch,
    OutsideLimits,
    TooLong,
    UnknownVersion,
)
from ..identity import DeviceSecrets
from ..link import bundle_key
from ..prekeys import (
    ONE_TIME,
    ONE_TIME_PREKEY,
    SIGNED,
    SIGNED_PART,
    Prekey,
    PrekeySecret,
    open_piece,
    seal_piece,
    signed_part,
    verify_bundle,
)

KINDS = {"signed part": SIGNED_PART, "one-time prekey": ONE_TIME_PREKEY}
REFUSED = {
    **{kind: "malformed" for kind in (EndsEarly, TooLong, UnknownVersion, OutsideLimits, InvalidKey)},
    Mismatch: "other account",
    BadSignature: "forged",
    Expired: "expired",
}


def public(given: Given, secrets: str, kind: int) -> Prekey:
    seed = DeviceSecrets.decode(given.bytes("device secrets")).ed25519_seed
    secret = PrekeySecret.decode(given.bytes(secrets), kind)
    return secret.public(seed, given.bytes("account id"), given.number("device id"))


def signed_prekey(given: Given) -> Came:
    return [("signed prekey", public(given, "SPK secrets", SIGNED).encode())]


def one_time_prekey(given: Given) -> Came:
    return [("one-time prekey", public(given, "OPK secrets", ONE_TIME).encode())]


def part(given: Given) -> Came:
    prekey = public(given, "SPK secrets", SIGNED).encode()
    return [("signed part", signed_part(given.bytes("signed manifest"), given.bytes("stamp"), prekey))]


def kind_of(given: Given) -> str:
    word = given.text("kind")
    if word not in KINDS:
        raise BadFile(f"unknown kind `{word}`")
    return KINDS[word]


def seal(given: Given) -> Came:
    key = bundle_key(given.bytes("link secret"))
    return [("blob", seal_piece(key, given.bytes("nonce"), kind_of(given), given.bytes("piece")))]


@refused_as({EndsEarly: "forged"})
def open(given: Given) -> Came:
    key = bundle_key(given.bytes("link secret"))
    return [("piece", open_piece(key, kind_of(given), given.bytes("blob")))]


@refused_as(REFUSED)
def verify(given: Given) -> Came:
    once = given.bytes("one-time prekey") if "one-time prekey" in given else None
    account, now = given.bytes("account id"), given.number("now")
    bundle = verify_bundle(account, now, given.bytes("signed part"), once)
    signed = bundle.signed_prekey
    came: Came = [
        ("device id", bundle.entry.id),
        ("device entry hash", bundle.entry.hash()),
        ("fresh", bundle.fresh),
        ("SPK id", signed.id),
        ("SPK expiry", signed.expiry),
        ("SPK X25519", signed.x25519),
        ("SPK ML-KEM", signed.kem),
    ]
    if prekey := bundle.one_time_prekey:
        came += [("OPK id", prekey.id), ("OPK X25519", prekey.x25519), ("OPK ML-KEM", prekey.kem)]
    return came


OPERATIONS = {
    "signed prekey": signed_prekey,
    "one-time prekey": one_time_prekey,
    "signed part": part,
    "seal piece": seal,
    "open piece": open,
    "verify bundle": verify,
}
