"""Payloads, contents and message ids (SPEC §7.1 to §7.4)."""

from ..case import BadFile, Came, Given, refused_as
from ..content import conversation, decode_content, decode_payload, message_id
from ..errors import OutsideLimits
from ..protobuf import Malformed

NAMED = {17: "text", 18: "receipt"}
MALFORMED = {OutsideLimits: "malformed", Malformed: "malformed"}


def accounts(given: Given) -> tuple[bytes, bytes]:
    return given.bytes("account id 1"), given.bytes("account id 2")


def name_of_conversation(given: Given) -> Came:
    return [("conversation", conversation(*accounts(given)))]


def name_of_message(given: Given) -> Came:
    both, sender = accounts(given), given.bytes("sender")
    if sender not in both:
        raise BadFile("`sender` is neither account")
    return [("message id", message_id(conversation(*both), sender, given.bytes("content")))]


@refused_as(MALFORMED)
def read_content(given: Given) -> Came:
    content = decode_content(given.bytes("content"))
    number, body = content["body"]
    word = "unknown" if body is None else NAMED.get(number, "another")
    return [
        ("salt", content["salt"]),
        ("sent at", content.get("sent_at_ms", 0)),
        ("extensions", len(content.get("extensions", []))),
        ("body", word),
    ]


@refused_as(MALFORMED)
def read_payload(given: Given) -> Came:
    payload = decode_payload(given.bytes("payload"))
    came: Came = [
        ("recovery epoch", payload.get("recovery_epoch", 0)),
        ("version", payload.get("manifest_version", 0)),
        ("manifest hash", payload["manifest_hash"]),
        ("manifest", payload.get("manifest", "none")),
        ("content", payload.get("content", "none")),
    ]
    if resend := payload.get("resend_after"):
        came += [("chain id", resend["chain"]), ("count", resend.get("count", 0))]
    return came


OPERATIONS = {
    "conversation": name_of_conversation,
    "message id": name_of_message,
    "read content": read_content,
    "read payload": read_payload,
}
