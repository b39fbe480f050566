"""Logs as versions before the blob store wrote them: three files for each, which are only read and deleted."""

from typing import NamedTuple

from workers.blobs import BlobMissingError, BlobStore
from workers.logs import index
from workers.logs.index import Frame
from workers.logs.segments import Segment


class OldLog(NamedTuple):
    """One log: all of it as one segment, or none where there is no output."""

    complete: bool
    segments: list[Segment]


def folder_of_run(run_id: int) -> str:
    """The folder of a run's logs; a thousand runs share the one above it."""
    return f"{run_id // 1000}/{run_id}"


def read_old_log(blobs: BlobStore, run_id: int, job_id: int, step_number: int, attempt: int) -> OldLog:
    """Reads the index of a log. A frame without a record does not exist; a half-written record is left out."""
    stem = f"{folder_of_run(run_id)}/{job_id}-{step_number}-{attempt}"
    try:
        records = b"".join(blobs.get(f"{stem}.idx"))
    except BlobMissingError:
        return OldLog(complete=False, segments=[])
    known = len(records) - len(records) % index.FRAME_RECORD_BYTES
    found = list(index.unpack_frames(records[:known], Frame(), index.NO_LIMIT))
    frames = [frame for frame in found if frame]
    complete = len(found) > len(frames)
    if not frames:
        return OldLog(complete, [])
    last = frames[-1]
    segment = Segment(
        number=0,
        level=0,
        raw_offset=0,
        raw_bytes=last.raw_end,
        newlines_before=0,
        newlines=last.newlines_end,
        ends_line=last.ends_line,
        at_ms=frames[0].at_ms,
        blob=f"{stem}.zst",
        blob_bytes=last.file_end,
        frames_bytes=last.file_end,
        frames=records[: len(frames) * index.FRAME_RECORD_BYTES],
        sources_blob=f"{stem}.src",
    )
    return OldLog(complete, [segment])
