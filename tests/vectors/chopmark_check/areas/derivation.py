"""Labelled hashes and derivations (SPEC §1.3), with whole labels."""

from ..case import BadFile, Came, Given
from ..chain import M
from ..encoding import LH, Derive, label
from ..primitives import Expand


def short(given: Given) -> str:
    """The label without what all labels begin with."""
    whole = given.text("label")
    if not whole.startswith("chopmark/1 "):
        raise BadFile("not a label")
    return whole.removeprefix("chopmark/1 ")


def labelled_hash(given: Given) -> Came:
    parts = [given.bytes(key) for key in given.numbered("part")]
    return [("hash", LH(short(given), *parts))]


def derive(given: Given) -> Came:
    return [("derived", Derive(given.bytes("prk"), short(given), given.bytes("x")))]


def mac(given: Given) -> Came:
    return [("mac", M(given.bytes("key"), short(given)))]


def expand(given: Given) -> Came:
    info = label(short(given)) + b"\0" + given.bytes("x")
    return [("expanded", Expand(given.bytes("prk"), info, 96))]


OPERATIONS = {"LH": labelled_hash, "Derive": derive, "M": mac, "Expand": expand}
