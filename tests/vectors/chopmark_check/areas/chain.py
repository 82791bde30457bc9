"""Chains: leaves, and what is left of the tree after steps (SPEC §5.3)."""

import re

from ..case import BadFile, Came, Given
from ..chain import HIGHEST, BeyondEnd, Chain, leaf


def one_leaf(given: Given) -> Came:
    n = given.number("n")
    if n > HIGHEST:
        raise BeyondEnd(f"index {n}")
    return [("leaf", leaf(given.bytes("CK"), n))]


def steps(given: Given) -> Came:
    chain, came = Chain(given.bytes("CK")), []
    for step in given.text("steps").split(", "):
        match re.fullmatch(r"(take|end|mark|expire|give up) (\d+)(?: day (\d+))?", step):
            case None:
                raise BadFile(f"unknown step `{step}`")
            case parsed:
                verb, number, day = parsed[1], int(parsed[2]), int(parsed[3] or 0)
        if verb == "take":
            came.append((f"leaf {number}", chain.take(number)))
        elif verb == "end":
            chain.finish(number)
            chain.note(day)
        elif verb == "mark":
            chain.note(number)
        elif verb == "expire":
            chain.expire(number)
        else:
            for _ in range(number):
                chain.give_up_lowest()
    came += [(f"node {node.first} of height {node.height}", node.key) for node in chain.nodes]
    if chain.spine is not None:
        came.append((f"spine {chain.segment}", chain.spine))
    return came + [("next", chain.length), ("first gap", chain.first_gap)]


OPERATIONS = {"leaf": one_leaf, "steps": steps}
