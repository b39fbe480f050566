"""What is kept of a delivery: its body without the webhook's secret, and those of its headers that can hold none.

Only headers that are known to be harmless keep their values. Of all others (signatures, tokens, cookies, logins, what
a proxy adds) the names alone are kept.
"""

import json
import re
import threading
from collections.abc import Mapping

import zstandard

from workers.store.runs.deliveries import Payload

NOT_KEPT = "(not kept)"
HEADERS_MAX = 64
VALUE_CHARS_MAX = 1_000
SECRET_CHARS_MIN = 8
"""A shorter secret would be found in ordinary words."""
_LEVEL = 1  # webhooks wait for it
_HARMLESS = """
    accept accept-encoding content-length content-type date user-agent
    x-attempt-number x-event-key x-event-time x-hook-uuid x-request-id x-request-uuid
    x-gitea-delivery x-gitea-event x-gitea-event-type x-gitea-hook-installation-target-type
    x-forgejo-delivery x-forgejo-event x-forgejo-event-type
    x-gogs-delivery x-gogs-event x-gogs-event-type
    x-github-delivery x-github-event x-github-hook-id x-github-hook-installation-target-id
    x-github-hook-installation-target-type
    x-gitlab-event x-gitlab-event-uuid x-gitlab-instance x-gitlab-webhook-uuid
    x-headway-delivery x-headway-event
"""
_KEPT = frozenset(_HARMLESS.split())
_of_thread = threading.local()
_NAME = re.compile(r"[a-z0-9-]{1,100}")


def kept_payload(headers: Mapping[str, str], body: bytes, secret: str) -> Payload:
    """What to store of a delivery with a valid signature. ``secret`` is the webhook's: old Gitea and Gogs send it."""
    if len(secret) >= SECRET_CHARS_MIN:
        body = body.replace(secret.encode(), b"***")
        if not secret.isalnum():
            body = body.replace(json.dumps(secret)[1:-1].encode(), b"***")
    return Payload(kept_headers(headers), _compressor().compress(body))


def _compressor() -> zstandard.ZstdCompressor:
    """One for each thread: to make one costs more than to use it."""
    if not hasattr(_of_thread, "compressor"):
        _of_thread.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    found: zstandard.ZstdCompressor = _of_thread.compressor
    return found


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by their lower-case names, without the values of those that may hold a secret."""
    named = ((name, value) for name, value in headers.items() if _NAME.fullmatch(name))
    kept = {name: value[:VALUE_CHARS_MAX] if name in _KEPT else NOT_KEPT for name, value in named}
    # Those with values go first: by them the payload is read again.
    wanted = sorted(kept, key=lambda name: (kept[name] == NOT_KEPT, name))[:HEADERS_MAX]
    return {name: kept[name] for name in wanted}


def body_of(payload: Payload) -> bytes:
    """The body, as it was sent but for the secret."""
    return zstandard.ZstdDecompressor().decompress(payload.compressed)
