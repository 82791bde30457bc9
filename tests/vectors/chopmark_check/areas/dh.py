"""Agreements, and public keys that are refused (SPEC §1.2)."""

from ..case import Came, Given
from ..primitives import x25519_agree, x25519_public


def agree(given: Given) -> Came:
    own, peer = given.bytes("private key"), given.bytes("public key of the peer")
    return [("public key", x25519_public(own)), ("agreed", x25519_agree(own, peer))]


OPERATIONS = {"": agree}
