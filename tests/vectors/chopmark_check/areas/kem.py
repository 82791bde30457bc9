"""ML-KEM keys, encapsulations and their confirmation (SPEC §1.2, §5.7)."""

from ..case import BadFile, Came, Draws, Given, step_numbers
from ..encoding import LH
from ..kem_epochs import BadEpoch, Machine, confirmation, receive
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


def machine(given: Given) -> Came:
    """One party's half of the machine by itself."""
    seed, we = given.bytes("ML-KEM seed"), given.text("we")
    half = Machine.of_a(seed) if we == "A" else Machine.of_b()
    came: Came = []
    for number in step_numbers(given):
        half.events.clear()
        came += [(f"{number} refused", word) for word in machine_step(half, given, number)]
        came += [
            (f"{number} stage", type(half.state).__name__),
            (f"{number} epoch", half.epoch),
            (f"{number} pending", half.pending()[0]),
        ]
    return came


def machine_step(half: Machine, given: Given, number: str) -> list[str]:
    """Why the step was refused, if it was."""
    match given.text(f"{number} do").split(" "):
        case ["introduce"]:
            half.introduce(kem_public(given.bytes("ML-KEM seed")))
        case ["seal"]:
            half.prepare(Draws(given, number))
            half.messages += 1
        case ["carry"]:
            half.carried = True
        case ["open"]:
            half.messages += 1
        case ["open", which, "in", epoch]:
            object = given.bytes(f"object {which}")
            half.take_in(int(epoch), object[0], object[1:])
            half.messages += 1
        case ["step"]:
            half.stepped(now=0)
        case ["peer", epoch]:
            try:
                half.mixes_when_peer_says(int(epoch))
            except BadEpoch:
                return ["epoch"]
            half.peer_stepped(int(epoch), now=0)
        case other:
            raise BadFile(f"unknown step `{' '.join(other)}`")
    return ["object" for event in half.events if event == ("event", "object refused")]


OPERATIONS = {
    "key pair": key_pair,
    "check key": check_key,
    "encapsulate": encapsulate,
    "decapsulate": decapsulate,
    "confirm": confirm,
    "receive": received,
    "machine": machine,
}
