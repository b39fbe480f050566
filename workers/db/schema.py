"""The version of a database's tables, compared with what this program knows."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, inspect, text

VERSIONS = Path(__file__).parent / "migrations" / "versions"
_TABLE = "alembic_version"


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
        if _TABLE not in tables:
            return Schema(SchemaState.FOREIGN if tables else SchemaState.EMPTY)
        versions = connection.scalars(text(f"SELECT version_num FROM {_TABLE}")).all()  # noqa: S608 - a constant
    if not versions:
        return Schema(SchemaState.EMPTY if set(tables) == {_TABLE} else SchemaState.FOREIGN)
    return _compared(max(map(str, versions)))


def _compared(version: str) -> Schema:
    known = known_versions()
    if version == known[-1]:
        return Schema(SchemaState.CURRENT, version)
    if version in known:
        return Schema(SchemaState.OLDER, version)
    ours = re.fullmatch(r"[0-9]{4}", version) is not None
    return Schema(SchemaState.NEWER if ours and version > known[-1] else SchemaState.FOREIGN, version)
