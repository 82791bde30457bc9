"""Handshakes from both sides (SPEC §4)."""

from ..case import Came, Given, refused_as
from ..errors import InvalidKey, OutsideLimits
from ..handshake import InitBlock, Keys, initiate, respond
from ..identity import DeviceSecrets
from ..prekeys import ONE_TIME, SIGNED, Bundle, PrekeySecret


def device(given: Given, side: str) -> tuple[bytes, int, DeviceSecrets]:
    secrets = DeviceSecrets.decode(given.bytes(f"{side} device secrets"))
    return given.bytes(f"{side} account id"), given.number(f"{side} device id"), secrets


def prekeys(given: Given) -> tuple[PrekeySecret, PrekeySecret | None]:
    signed = PrekeySecret.decode(given.bytes("SPKb secrets"), SIGNED)
    if "OPKb secrets" not in given:
        return signed, None
    return signed, PrekeySecret.decode(given.bytes("OPKb secrets"), ONE_TIME)


def schedule(block: InitBlock, keys: Keys) -> Came:
    return [
        ("init id", block.init_id()),
        ("T", keys.t),
        ("RK", keys.root),
        ("HKa", keys.header_a),
        ("NHKb", keys.next_header_b),
        ("session id", keys.session_id),
    ]


def from_a(given: Given) -> Came:
    account, id, secrets = device(given, "A")
    account_b, id_b, secrets_b = device(given, "B")
    entry, entry_b = secrets.entry(id), secrets_b.entry(id_b)
    signed, once = (
        secret and secret.public(secrets_b.ed25519_seed, account_b, id_b) for secret in prekeys(given)
    )
    bundle = Bundle(account_b, entry_b, signed, once, fresh=True)
    drawn = (given.bytes(name) for name in ("EK private key", "m of ct1", "m of ct2"))
    block, keys = initiate(account, entry, secrets.x25519, bundle, *drawn)
    agreed = [(f"DH{i}", dh) for i, dh in enumerate(keys.shared.agreements, 2)]
    return [
        ("A device entry hash", entry.hash()),
        ("B device entry", entry_b.encode()),
        *agreed,
        ("ss1", keys.shared.ss1),
        ("ss2", keys.shared.ss2),
        ("T0", keys.t0),
        ("ck", keys.ck),
        ("init block", block.encode()),
        *schedule(block, keys),
    ]


def from_b(given: Given) -> Came:
    account, id, secrets = device(given, "B")
    block = decode_block(given.bytes("init block"))
    claimed, keys = respond(account, secrets.entry(id), secrets, *prekeys(given), block)
    return [
        ("A account id", claimed.account),
        ("A device id", claimed.device),
        ("A device entry hash", claimed.entry_hash),
        ("IKa", claimed.x25519),
        ("T0", keys.t0),
        *schedule(block, keys),
    ]


@refused_as({InvalidKey: "malformed", OutsideLimits: "malformed"})
def decode_block(data: bytes) -> InitBlock:
    return InitBlock.decode(data)


OPERATIONS = {"initiate": from_a, "respond": from_b}
