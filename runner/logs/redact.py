"""Masks secrets in a stream of bytes, also if chunks split them, and in the encodings in which tools print them."""

import base64
import json
import shlex
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from urllib.parse import quote, quote_plus

from ahocorasick_rs import BytesAhoCorasick

MASK = b"********"
SECRET_BYTES_MIN = 4
"""Shorter values ("e", "no", "1") are not masked: that would blank half of every log."""
LINE_BYTES_MIN = 8
"""Each line of a multi-line secret is also masked on its own, from this length on."""
BASE64_LINE = 76
"""The ``base64`` program breaks lines after this many characters."""


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
    return {form for form in found if len(form) >= SECRET_BYTES_MIN}


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


class Redactor:
    """Masks the spellings of ``secrets`` in bytes. Immutable, so all streams of a job share it.

    Overlapping secrets are replaced by one mask: no part of either remains.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._patterns = sorted({form for secret in secrets for form in spellings(secret)})
        self._longest = max(map(len, self._patterns), default=0)
        self._search = _search(self._patterns)
        self._heads = _search({pattern[:SECRET_BYTES_MIN] for pattern in self._patterns})

    def mask(self, data: bytes) -> bytes:
        """The whole text ``data`` with every secret masked."""
        return self.take(data, 0, final=True)[0]

    def mask_text(self, text: str) -> str:
        """The same for text, such as an error message."""
        return self.mask(text.encode(errors="surrogateescape")).decode(errors="replace")

    def take(self, data: bytes, covered: int, *, final: bool) -> tuple[bytes, bytes, int]:
        """Masks ``data`` up to the bytes that could be the start of a secret, and returns these as the rest.

        The first ``covered`` bytes are already replaced by a mask that was returned before. The third value returned is
        the number of such bytes in the rest.
        """
        if not self._patterns:
            return data, b"", 0
        decided = len(data) if final else self._decided(data)
        pieces, position = [], covered
        for start, end in sorted((start, end) for _, start, end in self._search(data) if start < decided):
            if start >= position:
                pieces += [data[position:start], MASK]
            position = max(position, end)
        pieces.append(data[position:decided])
        return b"".join(pieces), data[decided:], max(0, position - decided)

    def _decided(self, data: bytes) -> int:
        """How many bytes of ``data`` can be decided: the bytes after them could be the start of a secret."""
        first = max(0, len(data) - self._longest + 1)
        begun = (first + start for _, start, _ in self._heads(data[first:]))
        for start in chain(begun, range(max(first, len(data) - SECRET_BYTES_MIN + 1), len(data))):
            rest = data[start:]
            # In sorted order, longer patterns that start with the rest come right after it.
            at = bisect_right(self._patterns, rest)
            if at < len(self._patterns) and self._patterns[at].startswith(rest):
                return start
        return len(data)


def _search(patterns: Iterable[bytes]) -> Callable[[bytes], list[tuple[int, int, int]]]:
    """Finds all matches of all patterns, also overlapping ones: (pattern, start, end), sorted by end."""
    return partial(BytesAhoCorasick(patterns).find_matches_as_indexes, overlapping=True)


class RedactedStream:
    """Masks one stream. Holds back only bytes that may be the start of a secret."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""
        self._covered = 0

    def feed(self, data: bytes) -> bytes:
        """The masked bytes that are decided by now."""
        return self._take(data, final=False)

    def flush(self) -> bytes:
        """The bytes held back, masked: the stream has ended."""
        return self._take(b"", final=True)

    def _take(self, data: bytes, *, final: bool) -> bytes:
        masked, self._held, self._covered = self._redactor.take(self._held + data, self._covered, final=final)
        return masked
