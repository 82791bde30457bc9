"""The algorithms of suite 1 (SPEC §1.1, §1.2), with the refusals that section asks for."""

import hashlib
import hmac
import struct
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from dilithium_py.ml_dsa import ML_DSA_65
from kyber_py.ml_kem import ML_KEM_768

from .errors import Forged, InvalidKey

P25519 = 2**255 - 19
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def H(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def HMAC(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def Extract(salt: bytes, ikm: bytes) -> bytes:
    return HMAC(salt, ikm)


def Expand(prk: bytes, info: bytes, length: int) -> bytes:
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = HMAC(prk, block + info + bytes([counter]))
        out += block
        counter += 1
    return out[:length]


def aead_seal(key: bytes, nonce: bytes, aad: bytes, text: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(nonce, text, aad)


def aead_open(key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Forged("the tag is wrong") from None


# XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): a subkey from the first 16 bytes of the nonce, then the AEAD.


def xaead_seal(key: bytes, nonce: bytes, aad: bytes, text: bytes) -> bytes:
    return aead_seal(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], aad, text)


def xaead_open(key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
    return aead_open(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], aad, sealed)


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            mixed = s[z] ^ s[x]
            s[z] = (mixed << turn | mixed >> (32 - turn)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


# X25519. A clamped scalar is a multiple of 8, so a point of low order is one that any agreement takes to zero.


def x25519_public(private: bytes) -> bytes:
    return x25519.X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def x25519_checked(public: bytes) -> bytes:
    """The key, unless section 1.2 refuses it. [x25519-inputs-refused]"""
    if len(public) != 32 or int.from_bytes(public, "little") >= P25519:
        raise InvalidKey("X25519 key is not canonical")
    agree(bytes(32), public)
    return public


def x25519_agree(private: bytes, public: bytes) -> bytes:
    return agree(private, x25519_checked(public))


def agree(private: bytes, public: bytes) -> bytes:
    key = x25519.X25519PrivateKey.from_private_bytes(private)
    try:
        agreed = key.exchange(x25519.X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise InvalidKey("X25519 key is of low order") from None
    if agreed == bytes(32):
        raise InvalidKey("X25519 key is of low order")
    return agreed


# Ed25519, strict. OpenSSL verifies without the cofactor, recomputes R and compares bytes; the rest is checked here.


def ed25519_public(seed: bytes) -> bytes:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def ed25519_checked(public: bytes) -> bytes:
    """The key, unless section 1.2 refuses it. [ed25519-strict]"""
    if len(public) != 32 or edwards_is_small_or_none(public):
        raise InvalidKey("Ed25519 key is refused")
    return public


def ed25519_verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    ed25519_checked(public)
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= ED25519_ORDER:
        return False
    if edwards_is_small_or_none(signature[:32]):
        return False
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=4096)
def edwards_is_small_or_none(encoded: bytes) -> bool:
    """Whether these bytes are no point in canonical form, or one that eight times gives the neutral one."""
    y, sign = int.from_bytes(encoded, "little") & (2**255 - 1), encoded[31] >> 7
    if y >= P25519:
        return True
    d = -121665 * pow(121666, -1, P25519) % P25519
    xx = (y * y - 1) * pow(d * y * y + 1, -1, P25519) % P25519
    x = pow(xx, (P25519 + 3) // 8, P25519)
    if x * x % P25519 != xx:
        x = x * pow(2, (P25519 - 1) // 4, P25519) % P25519
    if x * x % P25519 != xx or (x == 0 and sign):
        return True
    for _ in range(3):
        slope = d * x * x * y * y % P25519
        x, y = (
            2 * x * y * pow(1 + slope, -1, P25519) % P25519,
            (y * y + x * x) * pow(1 - slope, -1, P25519) % P25519,
        )
    return (x, y) == (0, 1)


# ML-KEM-768 (FIPS 203). A private key is its seed d | z.


@lru_cache(maxsize=1024)
def kem_keys(seed: bytes) -> tuple[bytes, bytes]:
    return ML_KEM_768.key_derive(seed)


def kem_public(seed: bytes) -> bytes:
    return kem_keys(seed)[0]


def kem_checked(ek: bytes) -> bytes:
    """The key, unless a coefficient is not below 3329. [kem-modulus-check]"""
    if len(ek) != 1184:
        raise InvalidKey("ML-KEM key has another length")
    bits = int.from_bytes(ek[:1152], "little")
    if any((bits >> shift & 0xFFF) >= 3329 for shift in range(0, 1152 * 8, 12)):
        raise InvalidKey("ML-KEM key has a coefficient above the modulus")
    return ek


def kem_encapsulate(ek: bytes, randomness: bytes) -> tuple[bytes, bytes]:
    """The ciphertext and the secret: Encaps_internal with m = the 32 random bytes."""
    secret, ciphertext = ML_KEM_768._encaps_internal(kem_checked(ek), randomness)
    return ciphertext, secret


def kem_decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    return ML_KEM_768.decaps(kem_keys(seed)[1], ciphertext)


# ML-DSA-65 (FIPS 204), pure, deterministic, the label as its context. A private key is its seed.


@lru_cache(maxsize=256)
def dsa_keys(seed: bytes) -> tuple[bytes, bytes]:
    return ML_DSA_65.key_derive(seed)


def dsa_public(seed: bytes) -> bytes:
    return dsa_keys(seed)[0]


@lru_cache(maxsize=256)
def dsa_sign(seed: bytes, context: bytes, message: bytes) -> bytes:
    return ML_DSA_65.sign(dsa_keys(seed)[1], message, ctx=context, deterministic=True)


@lru_cache(maxsize=1024)
def dsa_verifies(public: bytes, context: bytes, message: bytes, signature: bytes) -> bool:
    if len(signature) != 3309:
        return False
    return ML_DSA_65.verify(public, message, signature, ctx=context)
