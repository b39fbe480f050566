"""The three files of a log on disk, and their repair after a crash."""

import os
from pathlib import Path
from typing import NamedTuple

import zstandard

from workers.logs import index
from workers.logs.index import Frame


class LogFiles(NamedTuple):
    """Compressed frames, their index, and the sources of the bytes."""

    frames: Path
    records: Path
    sources: Path


def log_files(root: Path, run_id: int, job_id: int, step_number: int, attempt: int) -> LogFiles:
    """The files of a log under ``root``."""
    stem = run_folder(root, run_id) / f"{job_id}-{step_number}-{attempt}"
    return LogFiles(stem.with_suffix(".zst"), stem.with_suffix(".idx"), stem.with_suffix(".src"))


def run_folder(root: Path, run_id: int) -> Path:
    """The folder of a run's logs; a thousand runs share the one above it."""
    return root / str(run_id // 1000) / str(run_id)


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """``length`` bytes from ``offset`` on; fewer only at the end of the file."""
    parts = []
    while length > 0 and (part := os.pread(descriptor, length, offset)):
        parts.append(part)
        offset, length = offset + len(part), length - len(part)
    return b"".join(parts)


def write_at(descriptor: int, offset: int, data: bytes) -> None:
    """All of ``data`` at ``offset``."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def decompress(data: bytes, raw_length: int) -> bytes | None:
    """A frame's bytes, or None if it is damaged."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=raw_length)
    except zstandard.ZstdError:
        return None
    return raw if len(raw) == raw_length else None


def repair(data: int, index_file: int, source: int) -> tuple[Frame, int, int]:
    """Truncates what a crash left half written.

    Takes the three open files. Returns the last complete frame, and how many bytes of the index and the sources remain.
    """
    records = read_at(index_file, 0, os.fstat(index_file).st_size)
    frames = [frame for frame in index.unpack_frames(records, Frame(), os.fstat(data).st_size) if frame]
    while frames and not _is_complete(data, frames[-1]):
        frames.pop()
    last = frames[-1] if frames else Frame()
    index_bytes = len(frames) * index.FRAME_RECORD_BYTES
    source_bytes = _complete_sources(source, last.raw_end)
    os.ftruncate(data, last.file_end)
    os.ftruncate(index_file, index_bytes)
    os.ftruncate(source, source_bytes)
    return last, index_bytes, source_bytes


def _is_complete(data: int, frame: Frame) -> bool:
    return decompress(read_at(data, frame.file_offset, frame.file_length), frame.raw_length) is not None


def _complete_sources(source: int, raw_end: int) -> int:
    count, before = 0, -1
    for offset in index.source_offsets(read_at(source, 0, os.fstat(source).st_size)):
        if not before < offset < raw_end:
            break
        count, before = count + 1, offset
    return count * index.SOURCE_RECORD_BYTES
