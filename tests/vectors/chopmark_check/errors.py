"""Why something is refused (SPEC §1.5). Each class carries the word that a vector's `expect` uses for it."""


class Refused(Exception):
    """What was given is refused, and nothing changed."""

    expect = "refused"


class EndsEarly(Refused):
    """The bytes end before the encoding does."""

    expect = "ends too early"


class TooLong(Refused):
    """Bytes are left over."""

    expect = "too long"


class UnknownVersion(Refused):
    """A version or kind that this version does not know."""

    expect = "unknown version"


class OutsideLimits(Refused):
    """A number, count or order that the section does not allow."""

    expect = "outside limits"


class InvalidKey(Refused):
    """A public key that section 1.2 refuses."""

    expect = "invalid key"


class BadSignature(Refused):
    """A signature does not verify."""

    expect = "bad signature"


class Forged(Refused):
    """A tag is wrong."""

    expect = "forged"


class Mismatch(Refused):
    """Two things that belong together name different ones."""

    expect = "mismatch"


class Expired(Refused):
    """Past its time."""

    expect = "expired"


class Replayed(Refused):
    """It was opened before."""

    expect = "replayed"
