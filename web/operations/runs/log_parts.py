"""Reads parts of stored logs: by bytes, by lines and from the end."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from web.operations.errors import GoneError, NotFoundError
from workers.db.models import Run, Step
from workers.logs import Chunk, LogReader, LogStore
from workers.logs.interface import CHUNKS_MAX
from workers.store import StepPlace

BLOBS_AWAY = "The stored log cannot be read now: the blob store does not answer. Headway's log says more."
PART_BYTES_MAX = 4 * 1024**2
LINES_MAX = 20_000
EARLIER_MAX = 10
_SLUG_CHARS_MAX = 100
_PIECE_BYTES = 256 * 1024

StepLogAddress = tuple[int, int, int, int]
"""Run, job, number of the step, attempt."""


def address_of(place: StepPlace) -> StepLogAddress:
    """The address of the log of a step's last attempt."""
    return place.run.id, place.job.id, place.step.number, place.step.attempt


def why_deleted(run: Run, step: Step, how_long: Callable[[], str]) -> str:
    """When and why the log of a step was deleted; empty if it was not, or if the step wrote nothing.

    ``how_long`` says for how long logs are kept (``retention.logs_kept``).
    """
    if run.logs_deleted_ms is None or not step.log_bytes:
        return ""
    day = datetime.fromtimestamp(run.logs_deleted_ms / 1000, UTC).strftime("%Y-%m-%d")
    return f"The log was deleted on {day}: {how_long()}."


def kept_log(place: StepPlace, how_long: Callable[[], str], attempt: int | None = None) -> StepLogAddress:
    """The address of the log of a step's attempt, or of its last one. Raises GoneError if the log was deleted."""
    if why := why_deleted(place.run, place.step, how_long):
        raise GoneError(why)
    if attempt is None:
        return address_of(place)
    if attempt > place.step.attempt:
        raise NotFoundError(f"This step has no attempt {attempt}; its last one is {place.step.attempt}.")
    return (*address_of(place)[:3], attempt)


@dataclass(frozen=True)
class EarlierLog:
    """The log of an attempt that lost its worker. ``cut_off``: its last output is missing."""

    attempt: int
    size_bytes: int
    cut_off: bool


def earlier_logs(logs: LogStore, run_id: int, step: Step) -> list[EarlierLog]:
    """What is stored of the attempts before a step's last one; those without output are left out."""
    found = []
    for attempt in range(max(1, step.attempt - EARLIER_MAX), step.attempt):
        with logs.open(run_id, step.job_id, step.number, attempt) as reader:
            found.append(EarlierLog(attempt, reader.size_bytes, reader.cut_off))
    return [each for each in found if each.size_bytes]


@dataclass(frozen=True)
class LogPart:
    """A part of a log. ``offset`` and ``line`` say where it begins; the other fields describe the whole log.

    ``cut_off``: its last output is missing, because its worker was lost or could not store it.
    """

    data: bytes
    offset: int
    line: int
    size_bytes: int
    lines: int
    complete: bool
    cut_off: bool = False


def _part(reader: LogReader, data: bytes, offset: int, line: int) -> LogPart:
    return LogPart(data, offset, line, reader.size_bytes, reader.lines, reader.complete, reader.cut_off)


def part_by_bytes(logs: LogStore, address: StepLogAddress, offset: int, max_bytes: int) -> LogPart:
    """At most ``max_bytes`` bytes from ``offset`` on."""
    with logs.open(*address) as reader:
        data = reader.read(offset, max_bytes)
        return _part(reader, data, offset, reader.line_at(offset))


def part_by_lines(logs: LogStore, address: StepLogAddress, line: int, count: int) -> LogPart:
    """At most ``count`` whole lines from ``line`` on, which counts from 1."""
    with logs.open(*address) as reader:
        offset, data = reader.read_lines(line, count, PART_BYTES_MAX)
        return _part(reader, data, offset, line)


def last_lines(logs: LogStore, address: StepLogAddress, count: int) -> LogPart:
    """The last ``count`` lines, or as many as fit in ``PART_BYTES_MAX``; of one longer line, its end."""
    with logs.open(*address) as reader:
        offset = reader.line_offset(reader.lines - count + 1)
        data = reader.read(max(offset, reader.size_bytes - PART_BYTES_MAX), PART_BYTES_MAX)
        if len(data) < reader.size_bytes - offset:
            data = data[data.find(b"\n", 0, -1) + 1 :]
        offset = reader.size_bytes - len(data)
        return _part(reader, data, offset, reader.line_at(offset))


def sources(logs: LogStore, address: StepLogAddress, offset: int, max_bytes: int) -> tuple[int, Sequence[Chunk]]:
    """When, and from which stream, ``max_bytes`` bytes from ``offset`` on came; and up to which byte that is known."""
    with logs.open(*address) as reader:
        chunks = reader.chunks(offset, max_bytes)
        end = min(offset + max_bytes, reader.size_bytes)
        return (chunks[-1].offset if len(chunks) == CHUNKS_MAX else end), chunks


def raw_name(repo: str, run: int, step: str) -> str:
    """The name of the file in which a browser saves a log: ``team-app-41-test.log``."""
    return "-".join(slug for part in (repo, str(run), step) if (slug := slug_of(part))) + ".log"


def slug_of(name: str) -> str:
    """A name as a part of an address or a file's name: letters and digits, and hyphens between them."""
    return re.sub(r"[^a-z0-9_.]+", "-", name[:_SLUG_CHARS_MAX].lower()).strip("-._")


def pieces(logs: LogStore, address: StepLogAddress) -> Iterator[bytes]:
    """The whole log, in pieces."""
    with logs.open(*address) as reader:
        offset = 0
        while piece := reader.read(offset, _PIECE_BYTES):
            yield piece
            offset += len(piece)
