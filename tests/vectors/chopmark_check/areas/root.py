"""Root steps (SPEC §5.4). The operation is `plain` or `mixed`, or not said: then `ss` decides."""

from ..case import Came, Given
from ..primitives import x25519_agree, x25519_public
from ..root import Mixed, step


def root_step(given: Given) -> Came:
    own = given.bytes("ratchet private key")
    agreed = x25519_agree(own, given.bytes("ratchet key of the peer"))
    mixed = None
    if "ss" in given:
        mixed = Mixed(given.bytes("ss"), given.bytes("ek"), given.bytes("ct"))
    made = step(given.bytes("RK"), agreed, given.number("e"), mixed)
    return [
        ("ratchet key", x25519_public(own)),
        ("agreed", agreed),
        ("RK'", made.root),
        ("CK", made.chain),
        ("NHK", made.next_header),
    ]


OPERATIONS = {"": root_step}
