"""Contact links (SPEC §2.7)."""

import base64
import ipaddress
import re
from dataclasses import dataclass

from .encoding import Derive, Reader, u8
from .errors import OutsideLimits, Refused, UnknownVersion
from .primitives import Extract

LONGEST_HOST = 249


class NotALink(Refused):
    """Not a text of a link."""

    expect = "not a link"


@dataclass(frozen=True)
class Link:
    once: bool
    account: bytes
    relay: bytes
    secret: bytes
    address: str

    def encode(self) -> bytes:
        address = self.address.encode("ascii")
        return u8(1) + u8(self.once) + self.account + self.relay + self.secret + u8(len(address)) + address

    @classmethod
    def decode(cls, data: bytes) -> "Link":
        r = Reader(data)
        if r.u8() != 1:
            raise UnknownVersion("link")
        flags = r.u8()
        if flags > 1:
            raise UnknownVersion("flags of a link")
        link = cls(flags == 1, r.bytes(32), r.bytes(16), r.bytes(16), address(r.bytes(r.u8())))
        r.end()
        return link

    def text(self) -> str:
        return "chop:" + base64.urlsafe_b64encode(self.encode()).decode().rstrip("=")

    def qr_text(self) -> str:
        return "CHOP:" + base64.b32encode(self.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Link":
        scheme, colon, code = text.partition(":")
        if not colon or scheme.lower() != "chop":
            raise NotALink("another scheme")
        if re.match("A[E-P]|a[e-p]", code):
            return cls.decode(unpadded(code.upper(), "[A-Z2-7]*", 8, base64.b32decode, base64.b32encode))
        return cls.decode(
            unpadded(code, "[A-Za-z0-9_-]*", 4, base64.urlsafe_b64decode, base64.urlsafe_b64encode)
        )


def knock(secret: bytes) -> bytes:
    """The capability that a link's holder knocks with."""
    return Derive(Extract(b"chopmark/1 extract link", secret), "link knock")


def bundle_key(secret: bytes) -> bytes:
    """The key under which the pieces of a link's bundle are published. [link-children-are-apart]"""
    return Derive(Extract(b"chopmark/1 extract link", secret), "link bundle key")


def unpadded(code: str, alphabet: str, block: int, decode, encode) -> bytes:
    """The bytes of a text without padding, which has no other spelling. [one-encoding]"""
    if not re.fullmatch(alphabet, code):
        raise NotALink("a character outside the alphabet")
    try:
        data = decode(code + "=" * (-len(code) % block))
    except ValueError:
        raise NotALink("no whole number of bytes") from None
    if encode(data).decode().rstrip("=") != code:
        raise NotALink("bits left over")
    return data


def address(data: bytes) -> str:
    """`host:port` in its one spelling."""
    text = data.decode("ascii", "replace")
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise OutsideLimits("port")
    if len(host) > LONGEST_HOST or not (is_ipv6(host) if host.startswith("[") else is_name(host)):
        raise OutsideLimits("host")
    return text


def is_name(host: str) -> bool:
    """A DNS name, or an IPv4 address in its one spelling."""
    if re.fullmatch("[0-9.]+", host):
        try:
            return host == str(ipaddress.IPv4Address(host))
        except ValueError:
            return False
    label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    return re.fullmatch(rf"{label}(\.{label})*", host) is not None


def is_ipv6(host: str) -> bool:
    """As RFC 5952 writes it: what embeds an IPv4 address behind ::ffff: shows it as one."""
    try:
        read = ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    written = f"::ffff:{read.ipv4_mapped}" if read.ipv4_mapped else str(read)
    return "%" not in host and host == f"[{written}]"
