"""Stored logs: every byte of every step, readable by byte and by line while it is being written."""

from sqlalchemy import Engine

from workers.blobs import open_blobs
from workers.logs.interface import Chunk, LogDamagedError, LogReader, LogStore, LogWriter
from workers.logs.pace import BUCKET_PACE, FOLDER_PACE
from workers.logs.segment_logs import SegmentLogs
from workers.settings import Settings

__all__ = ["Chunk", "LogDamagedError", "LogReader", "LogStore", "LogWriter", "SegmentLogs", "open_logs"]


def open_logs(settings: Settings, database: Engine) -> LogStore:
    """The log store of this installation."""
    pace = BUCKET_PACE if settings.blobs_dir is None else FOLDER_PACE
    return SegmentLogs(database, open_blobs(settings), pace, settings.spool_dir, settings.logs_dir)
