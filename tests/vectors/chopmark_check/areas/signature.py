"""Signatures under labels, and what strict verification refuses (SPEC §1.2, §1.3)."""

from ..case import Came, Given
from ..encoding import sign_ed25519, sign_ml_dsa, verifies_ed25519, verifies_ml_dsa
from ..errors import Forged
from ..primitives import dsa_public, ed25519_public
from .derivation import short


def sign(given: Given) -> Came:
    seed = given.bytes("Ed25519 seed")
    signature = sign_ed25519(seed, short(given), given.bytes("x"))
    return [("Ed25519 key", ed25519_public(seed)), ("signature", signature)]


def verify(given: Given) -> Came:
    key, signature = given.bytes("Ed25519 key"), given.bytes("signature")
    if not verifies_ed25519(key, short(given), given.bytes("x"), signature):
        raise Forged("Ed25519")
    return []


def sign_with_ml_dsa(given: Given) -> Came:
    seed = given.bytes("ML-DSA seed")
    signature = sign_ml_dsa(seed, short(given), given.bytes("x"))
    return [("ML-DSA key", dsa_public(seed)), ("signature", signature)]


def verify_with_ml_dsa(given: Given) -> Came:
    key, signature = given.bytes("ML-DSA key"), given.bytes("signature")
    if not verifies_ml_dsa(key, short(given), given.bytes("x"), signature):
        raise Forged("ML-DSA-65")
    return []


OPERATIONS = {
    "sign": sign,
    "verify": verify,
    "sign ML-DSA": sign_with_ml_dsa,
    "verify ML-DSA": verify_with_ml_dsa,
}
