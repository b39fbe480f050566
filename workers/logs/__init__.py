"""Stored logs: every byte of every step, readable by byte and by line while it is being written."""

from workers.logs.disk import DiskLogs
from workers.logs.interface import Chunk, LogDamagedError, LogReader, LogStore, LogWriter
from workers.settings import Settings

__all__ = ["Chunk", "DiskLogs", "LogDamagedError", "LogReader", "LogStore", "LogWriter", "open_logs"]


def open_logs(settings: Settings) -> LogStore:
    """The log store of this installation."""
    return DiskLogs(settings.logs_dir)
