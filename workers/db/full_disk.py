"""Errors of a database that cannot write because its disk is full."""

import time
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import SQLAlchemyError

NOTED_S = 30.0
"""How long a database whose disk was full counts as such: only a write would tell that it has room again."""

# SQLite says the latter two where its shared memory cannot grow, and where a quota is used up.
_SQLITE = {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}
_POSTGRESQL = "53100"
_seen_s: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()


def means_full_disk(error: BaseException | None) -> bool:
    """True for an error of the database, or of its driver, which says that no space is left on its disk."""
    if isinstance(error, SQLAlchemyError):
        error = getattr(error, "orig", None)
    return getattr(error, "sqlite_errorname", None) in _SQLITE or getattr(error, "sqlstate", None) == _POSTGRESQL


def note_full_disk(context: ExceptionContext) -> None:
    """A listener for the errors of a database on another machine, whose disk cannot be looked at."""
    if context.engine is not None and means_full_disk(context.original_exception):
        _seen_s[context.engine] = time.monotonic()


def was_full(engine: Engine, at_s: float | None = None) -> bool:
    """True if the database said in the ``NOTED_S`` before ``at_s`` (now) that its disk is full, to this process."""
    return (time.monotonic() if at_s is None else at_s) - _seen_s.get(engine, -NOTED_S) < NOTED_S
