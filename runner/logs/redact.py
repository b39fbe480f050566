"""Masks secrets in a stream of bytes, also if chunks split them, and in the encodings in which tools print them."""

from collections.abc import Iterable

from runner.logs.patterns import Patterns
from runner.logs.spellings import spellings

MASK = b"********"


class Redactor:
    """Masks the spellings of ``secrets`` in bytes. Immutable, so all streams of a job share it.

    Overlapping secrets are replaced by one mask: no part of either remains.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        patterns = {form for secret in secrets for form in spellings(secret)}
        self._patterns = Patterns(patterns) if patterns else None

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
        if self._patterns is None:
            return data, b"", 0
        decided = len(data) if final else self._patterns.undecided_from(data)
        pieces, position = [], covered
        for start, end in self._patterns.matches(data, decided):
            if start >= position:
                pieces += [data[position:start], MASK]
            position = max(position, end)
        pieces.append(data[position:decided])
        return b"".join(pieces), data[decided:], max(0, position - decided)


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
