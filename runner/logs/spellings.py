"""The forms in which a secret may be printed: plain, in parts, as base64, escaped for URLs, JSON or shells."""

import base64
import json
import shlex
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SECRET_BYTES_MIN = 4
"""Shorter values ("e", "no", "1") are not masked: that would blank half of every log."""
LINE_BYTES_MIN = 8
"""Each line of a multi-line secret is also masked on its own, from this length on."""
BASE64_LINE = 76
"""The ``base64`` program breaks lines after this many characters."""
PART_BYTES_MAX = 256
"""Longer forms are masked in parts of this size. So the work for a byte of output does not grow with a secret."""


def spellings(secret: str) -> set[bytes]:
    """The forms in which a secret may be printed: plain, line by line, as base64, escaped for URLs, JSON or shells."""
    raw = secret.encode(errors="surrogateescape")
    if len(raw) < SECRET_BYTES_MIN:
        return set()
    lines = {line.strip() for line in raw.splitlines() if len(line.strip()) >= LINE_BYTES_MIN}
    found = {raw, raw.strip()} | lines
    for text in (secret, secret.strip()):
        found |= {quote(text, safe="", errors="surrogateescape").encode()}
        found |= {quote_plus(text, errors="surrogateescape").encode(), json.dumps(text)[1:-1].encode()}
        quoted = (shlex.quote(text), *(text.replace("'", quote_mark) for quote_mark in ("'\\''", "'\"'\"'", "\\'")))
        for form in (json.dumps(text, ensure_ascii=False)[1:-1], *quoted):
            found.add(form.encode(errors="surrogateescape"))
    found |= _base64_spellings(raw) | _base64_lines(raw)
    return {part for form in found if len(form) >= SECRET_BYTES_MIN for part in _parts(form)}


def _parts(form: bytes) -> Iterator[bytes]:
    """The form, or its parts if it is long. Each overlaps the next by a byte, so that one mask covers them all."""
    last = max(0, len(form) - PART_BYTES_MAX)
    for start in (*range(0, last, PART_BYTES_MAX - 1), last):
        yield form[start : start + PART_BYTES_MAX]


def _base64_spellings(raw: bytes) -> set[bytes]:
    """Base64 at its three alignments, without the characters that depend on neighbouring bytes.

    Tools often encode ``user:secret``, so the secret starts at byte 0, 1 or 2 of a group of three. The first and last
    characters of the encoding contain bits of the neighbouring bytes and are left out.
    """
    found = set()
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + raw)
        start = (0, 2, 3)[lead]
        end = len(text) - (0, 3, 2)[(lead + len(raw)) % 3]
        core = text[start:end]
        if len(core) >= LINE_BYTES_MIN:
            found |= {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def _base64_lines(raw: bytes) -> set[bytes]:
    """The lines into which ``base64`` breaks a long secret; the last without the characters that a newline changes."""
    text = base64.b64encode(raw)
    if len(text) <= BASE64_LINE:
        return set()
    lines = {text[start : start + BASE64_LINE] for start in range(0, len(text), BASE64_LINE)}
    lines |= {line.rstrip(b"=")[:-1] for line in lines if len(line) < BASE64_LINE}
    return {line for line in lines if len(line) >= LINE_BYTES_MIN}
