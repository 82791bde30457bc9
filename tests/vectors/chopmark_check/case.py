"""One vector file: what is given, what is expected, what comes (README.md beside the files)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from .errors import Refused


class BadFile(Exception):
    """Not a vector file, or one that the checker has no words for."""


class Given:
    """The lines above `expect`. It knows which were asked for, so that none is overlooked."""

    def __init__(self, lines: dict[str, str]):
        self.lines, self.asked = lines, set()

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def text(self, key: str) -> str:
        self.asked.add(key)
        if key not in self.lines:
            raise BadFile(f"`{key}` is not given")
        return self.lines[key]

    def bytes(self, key: str) -> bytes:
        return from_hex(self.text(key))

    def number(self, key: str) -> int:
        return from_decimal(self.text(key))

    def numbered(self, prefix: str) -> list[str]:
        """The keys `prefix 1`, `prefix 2`, … as far as they go."""
        keys, i = [], 1
        while f"{prefix} {i}" in self.lines:
            keys.append(f"{prefix} {i}")
            i += 1
        return keys

    def overlooked(self) -> list[str]:
        return [key for key in self.lines if key not in self.asked]


# What the implementation draws, and the README's word for it.
DRAWS = {
    "ratchet key": "ratchet private key",
    "kem seed": "ML-KEM seed",
    "encapsulation": "m",
    "body nonce": "hedge",
}


@dataclass
class Draws:
    """What a step draws, as it is given with the step."""

    given: Given
    step: str

    def take(self, what: str, length: int) -> bytes:
        drawn = self.given.bytes(f"{self.step} {DRAWS[what]}")
        if len(drawn) != length:
            raise BadFile(f"`{self.step} {DRAWS[what]}` has another length")
        return drawn


def step_numbers(given: Given) -> list[str]:
    """`01`, `02`, … as far as there is something to do."""
    numbers = []
    while f"{len(numbers) + 1:02} do" in given:
        numbers.append(f"{len(numbers) + 1:02}")
    return numbers


Came = list[tuple[str, str | int | bytes]]
Operation = Callable[[Given], Came]


@dataclass(frozen=True)
class Case:
    name: str
    operation: str
    given: dict[str, str]
    expect: str
    comes: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Case":
        return cls.parse(f"{path.parent.name}/{path.name}", path.read_bytes().decode("utf-8"))

    @classmethod
    def parse(cls, name: str, text: str) -> "Case":
        first, *lines = text.split("\n")
        if not first.startswith("# ") or not lines or lines.pop() != "":
            raise BadFile("no comment at the top, or no line feed at the end")
        pairs = []
        for line in lines:
            key, colon, value = line.partition(":")
            if not colon or not key or (value and (value[0] != " " or value == " ")):
                raise BadFile(f"not `key: value`: {line[:60]}")
            pairs.append((key, value[1:]))
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys) or "expect" not in keys:
            raise BadFile("a key stands twice, or there is no `expect`")
        at = keys.index("expect")
        given = dict(pairs[:at])
        return cls(name, given.pop("operation", ""), given, pairs[at][1], pairs[at + 1 :])

    def check(self, operations: dict[str, Operation]) -> str | None:
        """What is wrong, or None."""
        if self.operation not in operations:
            return f"unknown operation `{self.operation}`"
        if self.expect != "ok" and self.comes:
            return "something comes of what is refused"
        given = Given(self.given)
        try:
            came = operations[self.operation](given)
        except Refused as refused:
            if self.expect == refused.expect:
                return None
            return f"expect: `{self.expect}`, but it is refused: `{refused.expect}` ({refused})"
        except BadFile as bad:
            return str(bad)
        if self.expect != "ok":
            return f"expect: `{self.expect}`, but nothing is wrong with it"
        if given.overlooked():
            return f"given and not looked at: {', '.join(given.overlooked())}"
        return differs(self.comes, [(key, shown(value)) for key, value in came])

    def with_output(self, index: int, value: str) -> "Case":
        comes = list(self.comes)
        comes[index] = comes[index][0], value
        return replace(self, comes=comes)


def differs(stands: list[tuple[str, str]], came: list[tuple[str, str]]) -> str | None:
    for (key, value), (came_key, came_value) in zip(stands, came):
        if key != came_key:
            return f"`{key}` stands where `{came_key}` comes"
        if value != came_value:
            return f"`{key}` is {brief(value)}, but {brief(came_value)} comes"
    if len(stands) != len(came):
        more = stands[len(came) :] or came[len(stands) :]
        return f"{len(stands)} values stand, {len(came)} come; one of them has no `{more[0][0]}`"
    return None


def brief(value: str) -> str:
    return value if len(value) <= 80 else f"{value[:60]}… ({len(value)} characters)"


def shown(value: str | int | bytes) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.hex() if isinstance(value, bytes) else str(value)


def from_hex(text: str) -> bytes:
    if any(c not in "0123456789abcdef" for c in text) or len(text) % 2:
        raise BadFile("not lower-case hexadecimal")
    return bytes.fromhex(text)


def from_decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or (text[0] == "0" and text != "0"):
        raise BadFile(f"not a decimal number: {text[:20]}")
    return int(text)


def refused_as(words: dict[type[Refused], str]) -> Callable[[Callable], Callable]:
    """An operation's own words for what refuses it, or a part of it."""

    def wrap(part: Callable) -> Callable:
        def run(*arguments):
            try:
                return part(*arguments)
            except Refused as refused:
                for kind, word in words.items():
                    if isinstance(refused, kind):
                        refused.expect = word
                        break
                raise

        return run

    return wrap
