"""Contact links (SPEC §2.7)."""

from ..case import BadFile, Came, Given, refused_as
from ..errors import EndsEarly, OutsideLimits, TooLong
from ..link import Link, NotALink, bundle_key, knock


def children(given: Given) -> Came:
    secret = given.bytes("link secret")
    return [("knock capability", knock(secret)), ("bundle key", bundle_key(secret))]


def encode(given: Given) -> Came:
    flags = given.number("flags")
    if flags > 1:
        raise BadFile("flags that no link of version 1 has")
    keys = (given.bytes(name) for name in ("account id", "relay hash", "link secret"))
    link = Link(flags == 1, *keys, given.text("relay"))
    return [("link", link.encode()), ("text to copy", link.text()), ("text for a QR code", link.qr_text())]


@refused_as({kind: "malformed" for kind in (NotALink, EndsEarly, TooLong, OutsideLimits)})
def read(given: Given) -> Came:
    link = Link.parse(given.text("text"))
    return [
        ("flags", int(link.once)),
        ("account id", link.account),
        ("relay hash", link.relay),
        ("link secret", link.secret),
        ("relay", link.address),
    ]


OPERATIONS = {"children": children, "encode": encode, "read": read}
