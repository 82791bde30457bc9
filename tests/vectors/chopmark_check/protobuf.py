"""Protobuf, read strictly, by the schemas of `proto/` as they stand there (SPEC §1.3)."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import Refused

SCHEMAS = Path(__file__).parents[3] / "proto"
DEEPEST = 8
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Malformed(Refused):
    """Not protobuf as section 1.3 reads it."""

    expect = "malformed"


@dataclass(frozen=True)
class Field:
    number: int
    name: str
    type: str
    repeated: bool
    oneof: str | None
    most: int | None


@cache
def schema(file: str) -> dict[str, dict[int, Field]]:
    """Every message of a file by its name, with those of the files that it imports."""
    messages: dict[str, dict[int, Field]] = {}
    text = (SCHEMAS / file).read_text()
    for imported in re.findall(r'^import "(.*)";', text, re.M):
        messages |= schema(imported)
    name = oneof = most = None
    for line in text.splitlines():
        if begins := re.match(r"message (\w+) \{(\})?", line):
            name = begins[1]
            messages[name] = {}
        elif begins := re.match(r"\s+oneof (\w+)", line):
            oneof = begins[1]
        elif line.strip() == "}":
            name, oneof = (name, None) if oneof else (None, None)
        elif at_most := re.match(r"\s*// At most (\d[\d,]*)\.", line):
            most = int(at_most[1].replace(",", ""))
        elif name and (f := re.match(r"\s+(?:(optional|repeated) )?([\w.]+) (\w+) = (\d+);", line)):
            number, type = int(f[4]), f[2].split(".")[-1]
            messages[name][number] = Field(number, f[3], type, f[1] == "repeated", oneof, most)
            most = None
    return messages


def decode(file: str, name: str, data: bytes, depth: int = 1) -> dict:
    """The known fields by name, absent ones left out, unknown ones as (number, wire type) in `unknown`."""
    if depth > DEEPEST:
        raise Malformed("nested too deep")  # [nesting-is-bounded]
    messages = schema(file)
    fields, out, unknown = messages[name], {}, []
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 2**29 or wire not in (VARINT, FIXED64, BYTES, FIXED32):
            raise Malformed("a group, or no field number")  # [no-groups]
        value, at = read(data, at, wire)
        field = fields.get(number)
        if field is None:
            unknown.append((number, wire))
            continue
        known = of_type(file, messages, field, wire, value, depth)
        if field.repeated:
            out.setdefault(field.name, []).extend(known if isinstance(known, list) else [known])
            if field.most is not None and len(out[field.name]) > field.most:
                raise Malformed("too many elements")  # [elements-are-capped]
        elif field.name in out or any(
            field.oneof and f.oneof == field.oneof and f.name in out for f in fields.values()
        ):
            raise Malformed("a field stands twice")  # [field-once]
        else:
            out[field.name] = known
    return out | {"unknown": unknown}


def varint(data: bytes, at: int) -> tuple[int, int]:
    """In its shortest form, of at most 64 bits. [varint-shortest]"""
    value = 0
    for i in range(10):
        if at + i >= len(data):
            raise Malformed("ends within a varint")
        byte = data[at + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            if (i and not byte) or value >= 2**64:
                raise Malformed("a varint in another form")
            return value, at + i + 1
    raise Malformed("a varint of more than 64 bits")


def read(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == VARINT:
        return varint(data, at)
    length = {FIXED64: 8, FIXED32: 4}.get(wire)
    if length is None:
        length, at = varint(data, at)
    if at + length > len(data):
        raise Malformed("a length beyond the end")  # [lengths-within]
    return data[at : at + length], at + length


def of_type(file: str, messages: dict, field: Field, wire: int, value, depth: int):
    numbers = {"uint32": 2**32, "uint64": 2**64, "bool": 2}
    if field.type in numbers or field.type not in (*messages, "bytes", "string"):
        below = numbers.get(field.type, 2**32)  # an enum
        if field.repeated and wire == BYTES:
            return packed(value, below)
        if wire != VARINT or value >= below:
            raise Malformed(f"{field.name} has another type")
        return value
    if wire != BYTES:
        raise Malformed(f"{field.name} has another type")
    if field.type == "bytes":
        return value
    if field.type == "string":
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed(f"{field.name} is not UTF-8") from None
    return decode(file, field.type, value, depth + 1)


def packed(data: bytes, below: int) -> list[int]:
    out, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        if value >= below:
            raise Malformed("a value beyond its type")
        out.append(value)
    return out
