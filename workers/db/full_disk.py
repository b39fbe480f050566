"""Errors of a database that cannot write because its disk is full."""

from sqlalchemy.exc import SQLAlchemyError

# SQLite says the latter two where its shared memory cannot grow, and where a quota is used up.
_SQLITE = {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}
_POSTGRESQL = "53100"


def means_full_disk(error: BaseException | None) -> bool:
    """True for an error of the database, or of its driver, which says that no space is left on its disk."""
    if isinstance(error, SQLAlchemyError):
        error = getattr(error, "orig", None)
    return getattr(error, "sqlite_errorname", None) in _SQLITE or getattr(error, "sqlstate", None) == _POSTGRESQL
