"""The version of a database's tables, compared with what this program knows."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

VERSIONS = Path(__file__).parent / "migrations" / "versions"
VERSION_TABLE = "alembic_version"
"""Where Alembic keeps the version of the tables."""


class SchemaState(Enum):
    """How a database's tables stand to this program."""

    CURRENT = "current"
    EMPTY = "empty"
    OLDER = "older"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Schema:
    """The state of a database's tables, and their version, if they have one."""

    state: SchemaState
    version: str = ""


@cache
def known_versions() -> tuple[str, ...]:
    """The versions that this program knows, oldest first; migrations are named by their versions, in order."""
    return tuple(sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py")))


def schema_of(engine: Engine) -> Schema:
    """What the database holds. Raises SQLAlchemyError."""
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        version = revision_of(connection)
    if version is None:
        return Schema(SchemaState.FOREIGN if set(tables) - {VERSION_TABLE} else SchemaState.EMPTY)
    return _compared(version)


def revision_of(connection: Connection) -> str | None:
    """The version of the tables as it is written there; None of an empty database, or of another program's."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    versions = connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")).all()  # noqa: S608 - a constant
    return max(map(str, versions), default=None)


def _compared(version: str) -> Schema:
    known = known_versions()
    if version == known[-1]:
        return Schema(SchemaState.CURRENT, version)
    if version in known:
        return Schema(SchemaState.OLDER, version)
    ours = re.fullmatch(r"[0-9]{4}", version) is not None
    return Schema(SchemaState.NEWER if ours and version > known[-1] else SchemaState.FOREIGN, version)
