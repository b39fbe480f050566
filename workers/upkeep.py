"""Keeps mirrors small and sound while there is nothing better to do."""

from pathlib import Path

import structlog
from sqlalchemy import Engine as Database

from runner.source.folder import tidy_mirrors
from workers import leases
from workers.db import reading

_log = structlog.get_logger()


def note_mirror(sentence: str) -> None:
    """What had to be done about a mirror, for the log."""
    _log.warning("a mirror", note=sentence)


def tidy(database: Database, mirrors: Path) -> None:
    """Tidies mirrors, each once a day, until a job waits."""

    def job_waits() -> bool:
        with reading(database) as session:
            return leases.next_ready(session) is not None

    tidy_mirrors(mirrors, note_mirror, job_waits)
