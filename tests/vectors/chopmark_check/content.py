"""Payloads, contents and message ids (SPEC §7.1 to §7.4)."""

import re

from . import protobuf
from .encoding import LH
from .errors import OutsideLimits
from .link import address

LARGEST_PAYLOAD = 64_147
LARGEST_CONTENT = 56_000
LARGEST_FALLBACK = 4096
RELAY = re.compile("chop-relay:(.+)#[0-9a-f]{32}")
LARGEST_BODY = 32_768
LATEST_MS = 253_402_300_799_999  # the last millisecond of the year 9999


def conversation(one: bytes, other: bytes) -> bytes:
    """Of two accounts, the same from both sides."""
    return LH("conversation", *sorted((one, other)))


def message_id(conversation: bytes, sender: bytes, content: bytes) -> bytes:
    """Over the content as received. [hash-what-came]"""
    return LH("message id", conversation, sender, content)


def within(what: str, holds: bool) -> None:
    if not holds:
        raise OutsideLimits(what)


def decode_payload(data: bytes) -> dict:
    """[payload-parts]"""
    within("payload", len(data) <= LARGEST_PAYLOAD)
    payload = protobuf.decode("envelope.proto", "Payload", data)
    within("manifest hash", len(payload.get("manifest_hash", b"")) == 16)
    within("manifest", len(payload.get("manifest", b"x")) > 0)
    within("content", 1 <= len(payload.get("content", b"x")) <= LARGEST_CONTENT)
    if "resend_after" in payload:
        within("chain id", len(payload["resend_after"].get("chain", b"")) == 8)
    return payload


def decode_content(data: bytes) -> dict:
    """The content with its body under `body` as (field number, what it is); None for one that is unknown."""
    within("content", 1 <= len(data) <= LARGEST_CONTENT)
    content = protobuf.decode("content.proto", "Content", data)
    within("salt", len(content.get("salt", b"")) == 16)
    within("sending time", content.get("sent_at_ms", 0) <= LATEST_MS)
    for name in ("reply_to", "thread_root"):
        within(name, len(content.get(name, bytes(32))) == 32)
    fallback = content.get("fallback", {}).get("text", "")
    within("fallback", len(fallback.encode()) <= LARGEST_FALLBACK)
    critical = False
    for extension in content.get("extensions", []):
        within("extension", extension.get("id", 0) != 0 and len(extension.get("data", b"")) <= 4096)
        critical |= extension.get("critical", 0) == 1
    fields = protobuf.schema("content.proto")["Content"].values()
    known = [(f.number, content[f.name]) for f in fields if f.oneof and f.name in content]
    bodies = known + [(n, None) for n, wire in content["unknown"] if 16 <= n <= 127 and wire == 2]
    within("bodies", len(bodies) == 1)  # [one-body]
    number, body = bodies[0]
    if critical or (number == 18 and body.get("kind", 0) > 1):
        body = None  # [critical-extension] [unknown-body]
    if body is not None:
        body_within(number, body)
    return content | {"body": (number, body)}


def body_within(number: int, body) -> None:
    """The table of section 7.3."""

    def text(of: dict) -> None:
        within("text", 1 <= len(of.get("text", "").encode()) <= LARGEST_BODY)

    def id(of: dict) -> None:
        within("message id", len(of.get("message", b"")) == 32)

    if number == 16:
        within("endpoints", 1 <= len(body.get("endpoints", [])) <= 4)
        for endpoint in body["endpoints"]:
            within("relay", is_relay(endpoint.get("relay", "")))
            within("capability", len(endpoint.get("capability", b"")) == 32)
            within("renewal secret", len(endpoint.get("renewal", bytes(16))) == 16)
        within("lock keys", all(len(k) == 33 and k[0] in (2, 3) for k in body.get("lock_keys", [])))
    elif number == 17:
        text(body)
    elif number == 18:
        messages = body.get("messages", [])
        within("receipt", 1 <= len(messages) <= 64 and all(len(m) == 32 for m in messages))
    elif number == 19:
        id(body)
        within("emoji", len(body.get("emoji", "").encode()) <= 64)
    elif number == 20:
        id(body)
        text(body)
    elif number == 21:
        id(body)
    elif 22 <= number <= 26:
        within("payment", 1 <= len(body) <= LARGEST_BODY)
    elif number == 27:
        within("kind", re.fullmatch("[a-z0-9.-]{1,64}", body.get("kind", "")) is not None)


def is_relay(text: str) -> bool:
    """A relay's address (SPEC §6.2); here its host may have capitals."""
    parts = RELAY.fullmatch(text)
    if parts is None:
        return False
    try:
        address(parts[1].lower().encode())
    except OutsideLimits:
        return False
    return True
