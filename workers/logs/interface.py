"""The interface of log stores. A log is one step's output in one attempt, addressed by byte offset from 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from runner.events import Stream

READ_BYTES_MAX = 1024 * 1024
CHUNKS_MAX = 20_000


class LogDamagedError(Exception):
    """A stored log cannot be read. The message says which."""


@dataclass(frozen=True)
class Chunk:
    """From byte ``offset`` on, up to the next chunk, output came from ``stream`` at ``at_ms``."""

    offset: int
    at_ms: int
    stream: Stream


class LogWriter(Protocol):
    """Appends to one log. May be used from several threads.

    Readers see what was written a second later at most, in a bucket five. While the store is away, output waits. Calls
    raise StaleAttemptError once the job belongs to another attempt.
    """

    @property
    def size_bytes(self) -> int:
        """Bytes appended so far, also by an earlier writer of the same log: where the next one begins."""
        ...

    @property
    def lines(self) -> int:
        """Lines appended so far; an unfinished one counts."""
        ...

    def append(self, data: bytes, stream: Stream, at_ms: int) -> None:
        """Adds output that came at ``at_ms``, in milliseconds since 1970."""
        ...

    def flush(self) -> None:
        """Makes everything appended so far readable. Raises OSError; then it waits for the next call."""
        ...

    def flush_older(self, at_ms: int) -> None:
        """Has everything flushed soon if something waits since ``at_ms`` or longer. Waits for no store."""
        ...

    def close(self) -> None:
        """Flushes, and marks the log as complete. Closing twice changes nothing.

        Tries for a bounded time; then it raises OSError, size and lines are those of what is stored, and the log says
        that it is cut.
        """
        ...

    def suspend(self) -> None:
        """Like ``close``, but the log is not complete: another writer continues it."""
        ...


class LogReader(Protocol):
    """One log as it was at the time of opening, or of the last ``refresh``. Not for several threads at once."""

    @property
    def size_bytes(self) -> int:
        """Bytes that can be read."""
        ...

    @property
    def lines(self) -> int:
        """Lines that can be read; an unfinished last one counts."""
        ...

    @property
    def complete(self) -> bool:
        """True when no more output will follow."""
        ...

    @property
    def cut_off(self) -> bool:
        """True where the writer was lost, or could not store the rest: the last output is missing."""
        ...

    def refresh(self) -> None:
        """Reads what was written since."""
        ...

    def read(self, offset: int, max_bytes: int = READ_BYTES_MAX) -> bytes:
        """At most ``max_bytes`` bytes from ``offset`` on; fewer only at the end. Raises LogDamagedError."""
        ...

    def read_lines(self, first_line: int, count: int, max_bytes: int = READ_BYTES_MAX) -> tuple[int, bytes]:
        """Where line ``first_line`` (the first is 1) begins, and ``count`` lines from there, ``max_bytes`` at most."""
        ...

    def line_offset(self, line: int) -> int:
        """The byte at which a line begins; the end of the log for a line that is not there (yet)."""
        ...

    def line_at(self, offset: int) -> int:
        """The number of the line in which a byte stands; at the end of the log, of the line that comes next there."""
        ...

    def chunks(self, offset: int, length: int) -> Sequence[Chunk]:
        """Where the bytes from ``offset`` on came from and when; the first chunk may begin before ``offset``.

        ``CHUNKS_MAX`` at most: where there are more, ask again from the last one's offset on.
        """
        ...

    def close(self) -> None:
        """Closes what is open."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class LogStore(Protocol):
    """Where logs are kept. A log's address is its step in one attempt; its blobs have a random name of their own."""

    @property
    def flush_after_ms(self) -> int:
        """Output older than this is to be flushed."""
        ...

    def writer(self, run_id: int, job_id: int, step_number: int, attempt: int) -> LogWriter:
        """Writes a new log, or continues one whose writer died. ``attempt`` is the one that writes.

        Raises StaleAttemptError.
        """
        ...

    def open(self, run_id: int, job_id: int, step_number: int, attempt: int) -> LogReader:
        """Reads a log. One that was never written is empty and not complete. ``attempt`` is the one that began it."""
        ...

    def delete_run(self, run_id: int) -> None:
        """Deletes all logs of a run, if there are any. Idempotent: a call that failed is made again."""
        ...

    def delete_old_files(self, run_ids: Sequence[int]) -> None:
        """Deletes what versions before the blob store kept of these runs."""
        ...

    def delete_marked(self) -> int:
        """Deletes what nothing shows any more: logs of removed runs, and blobs that were merged. Returns how much."""
        ...
