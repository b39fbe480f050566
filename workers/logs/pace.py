"""How often a log's output goes to the blob store, and in which pieces."""

from dataclasses import dataclass

FRAME_BYTES_MAX = 256 * 1024
"""Output that is compressed at once: what must be read to show a line."""


@dataclass(frozen=True)
class Pace:
    """``flush_after_ms``: output older than this is sent. ``end_patience_s``: so long the end of a log is tried again.

    A segment has ``segment_bytes_max`` of output at most. ``merge_count`` segments of one level become one of the next,
    of ``merged_bytes_max`` at most. ``waiting_bytes_max`` wait in memory for a store that is away; more goes to the
    spool. Without a spool the step waits for the store.
    """

    flush_after_ms: int
    end_patience_s: float
    segment_bytes_max: int = 4 * 1024**2
    merge_count: int = 16
    merged_bytes_max: int = 8 * 1024**2
    waiting_bytes_max: int = 8 * 1024**2
    spools: bool = True


FOLDER_PACE = Pace(
    flush_after_ms=1000,
    end_patience_s=0,
    segment_bytes_max=512 * 1024,
    merged_bytes_max=4 * 1024**2,
    waiting_bytes_max=512 * 1024,
    spools=False,
)
"""Little waits: a folder that does not take it is on a full disk, and the step must end."""
BUCKET_PACE = Pace(flush_after_ms=4000, end_patience_s=120)
"""Stored at the latest five seconds after it came: a second is left for the request."""
