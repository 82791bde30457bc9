"""ML-KEM keys, encapsulations and their confirmation (SPEC §1.2, §5.7)."""

from ..case import Came, Given
from ..encoding import LH
from ..kem_epochs import confirmation, receive
from ..primitives import kem_checked, kem_decapsulate, kem_encapsulate, kem_public
from ..root import Mixed


def hash_of_key(ek: bytes) -> tuple[str, bytes]:
    return "hash of ek", LH("kem encapsulation key", ek)


def key_pair(given: Given) -> Came:
    ek = kem_public(given.bytes("ML-KEM seed"))
    return [("ek", ek), hash_of_key(ek)]


def check_key(given: Given) -> Came:
    return [hash_of_key(kem_checked(given.bytes("ek")))]


def encapsulate(given: Given) -> Came:
    ct, ss = kem_encapsulate(given.bytes("ek"), given.bytes("m"))
    return [("ct", ct), ("ss", ss), ("hash of ct", LH("kem ciphertext", ct))]


def decapsulate(given: Given) -> Came:
    return [("ss", kem_decapsulate(given.bytes("ML-KEM seed"), given.bytes("ct")))]


def confirm(given: Given) -> Came:
    ek, ct, ss = given.bytes("ek"), given.bytes("ct"), given.bytes("ss")
    confirmed = confirmation(ss, given.number("epoch"), ek, ct)
    return [("confirmation", confirmed), ("transcript", Mixed(ss, ek, ct).transcript)]


def received(given: Given) -> Came:
    seed, epoch = given.bytes("ML-KEM seed"), given.number("epoch")
    mixed = receive(seed, epoch, given.bytes("ct"), given.bytes("confirmation"))
    return [("ss", mixed.secret), ("transcript", mixed.transcript)]


OPERATIONS = {
    "key pair": key_pair,
    "check key": check_key,
    "encapsulate": encapsulate,
    "decapsulate": decapsulate,
    "confirm": confirm,
    "receive": received,
}
