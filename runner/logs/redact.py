"""Masks secrets in a stream of bytes, also if chunks split them, and in the forms in which tools print them."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from heapq import merge

from runner.logs.patterns import Patterns
from runner.logs.spellings import spellings

MASK = b"********"
_SPACE = b" \t\r\n"
_SPACES = re.compile(rb"[ \t\r\n]+")
_PACKED_BYTES_MAX = 2048
"""Of an encoded secret with white space in it, so many bytes are held back until the rest of it comes."""


class Redactor:
    """Masks the spellings of ``secrets`` in bytes. Immutable, so all streams of a job share it.

    Overlapping secrets are replaced by one mask: no part of either remains.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = [spellings(secret) for secret in set(secrets)]
        plain = {form for each in forms for form in each.plain}
        packed = {form for each in forms for form in each.packed}
        self._plain = Patterns(plain) if plain else None
        self._packed = _Packed(packed) if packed else None

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
        if self._plain is None or self._packed is None:
            return data, b"", 0
        decided = len(data)
        if not final:
            decided = min(self._plain.undecided_from(data), self._packed.undecided_from(data))
        pieces, position = [], covered
        for start, end in merge(self._plain.matches(data, decided), self._packed.matches(data, decided)):
            if start >= position:
                pieces += [data[position:start], MASK]
            position = max(position, end)
        pieces.append(data[position:decided])
        return b"".join(pieces), data[decided:], max(0, position - decided)


class _Packed:
    """Patterns without white space, found in a text that has some at any place: encodings are broken into lines."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._patterns = Patterns(patterns)

    def matches(self, text: bytes, end: int) -> Iterator[tuple[int, int]]:
        """As ``Patterns.matches``."""
        packed = text.translate(None, _SPACE)
        if len(packed) == len(text):
            yield from self._patterns.matches(text, end)
            return
        place = _Places(text)
        for first, last in self._patterns.matches(packed, len(text[:end].translate(None, _SPACE))):
            yield place.of(first), place.of(last - 1) + 1

    def undecided_from(self, text: bytes) -> int:
        """As ``Patterns.undecided_from``. What begins too far from the end is given up."""
        tail = text[-_PACKED_BYTES_MAX:]
        packed = tail.translate(None, _SPACE)
        undecided = self._patterns.undecided_from(packed)
        if undecided == len(packed):
            return len(text)
        at = bisect_left(range(len(tail)), undecided + 1, key=lambda n: len(tail[: n + 1].translate(None, _SPACE)))
        return len(text) - len(tail) + at


class _Places:
    """Where in a text the bytes of its packed form are. They are asked for in almost rising order."""

    def __init__(self, text: bytes) -> None:
        self._runs = _SPACES.finditer(text)
        # The bytes of the packed form before each run of white space, and how much white space is up to its end.
        self._before, self._space = [0], [0]

    def of(self, index: int) -> int:
        """The place of the byte of the packed form."""
        while self._before[-1] <= index and (run := next(self._runs, None)):
            self._before.append(run.start() - self._space[-1])
            self._space.append(self._space[-1] + run.end() - run.start())
        return index + self._space[self._up_to(index)]

    def _up_to(self, index: int) -> int:
        return bisect_left(self._before, index + 1) - 1


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
