"""Signatures of webhooks, and keys that recognize a delivery which is sent twice."""

import hashlib
import hmac

DELIVERY_KEY_CHARS_MAX = 200


def hmac_hex(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of the raw body, as the forges write it."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Equality in constant time. An empty ``expected`` equals nothing: without a secret no webhook is accepted."""
    return bool(expected) and hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def signed(given: str, body: bytes, secret: str) -> bool:
    """Whether ``given`` (with or without ``sha256=``) is the HMAC of the body under ``secret``."""
    return same(given.removeprefix("sha256="), hmac_hex(secret, body)) and bool(secret)


def signed_key(body: bytes) -> str:
    """The key of a delivery whose body is signed, and nothing else of it.

    Forges sign no header: with a header's id as the key, a delivery that was overheard could be sent again under a new
    id.
    """
    return key_of("", body)


def key_of(header: str, body: bytes) -> str:
    """A delivery's key: the forge's own id, or a hash of the body where the forge sent none."""
    if header and len(header) <= DELIVERY_KEY_CHARS_MAX and header.isascii() and header.isprintable():
        return header
    return "body-" + hashlib.sha256(header.encode(errors="replace") + b"\0" + body).hexdigest()
