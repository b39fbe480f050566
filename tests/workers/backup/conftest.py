"""Installations with rows of every table to back up, and empty ones to restore into."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Engine, Enum, Integer, LargeBinary, insert
from sqlalchemy.types import JSON, Boolean

from tests.support.services import PostgresServer
from workers.backup.tables import PROCESSES
from workers.db.models import Base
from workers.db.session import make_engine, transaction
from workers.secrets.vault import new_key
from workers.settings import Settings

STRANGE = 'Dächer 🏠 \\ " \x01 \u2028 end'


def fill_all_tables(engine: Engine) -> None:
    """Two rows for each table: one with values that are easily lost, one with as few values as possible."""
    with transaction(engine) as session:
        for table in Base.metadata.sorted_tables:
            for number in (7, 2**40):
                values = {column.name: _value(column, number) for column in table.columns}
                session.execute(insert(table).values(values))
        for name in PROCESSES:
            session.execute(Base.metadata.tables[name].delete())


def _value(column: Column[Any], number: int) -> object:
    if column.foreign_keys and isinstance(column.type, Integer):
        return number if column.primary_key or not column.nullable else None if number == 7 else 7
    if column.nullable and number == 7:
        return None
    match column.type:
        case JSON():
            return [{"a": STRANGE, "b": [1.5, None, True]}] if number == 7 else {}
        case Boolean():
            return number == 7
        case Integer():
            return number
        case Enum():
            return next(iter(column.type.enum_class or ()))
        case LargeBinary():
            return bytes(range(256))
        case _:
            return f"{STRANGE} {number}"


@pytest.fixture
def new_settings(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    """Makes settings with a data folder of their own."""

    def make(**values: object) -> Settings:
        folder: Path = tmp_path_factory.mktemp("data")
        return Settings(**{"data_dir": folder, "secret_keys": SecretStr("")} | values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def source(new_settings: Callable[..., Settings], database_url: str) -> Settings:
    """An installation with rows, a key and a log; its database is each of the two in turn."""
    settings = new_settings(database_url=database_url)
    settings.key_file.write_text(f"# a comment\n{new_key()}\n")
    log = settings.logs_dir / "0" / "7" / "7-1-1.zst"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"compressed \x00 bytes")
    blob = settings.data_dir / "blobs" / "logs" / "ab" / "1"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"a blob")
    engine = make_engine(database_url)
    fill_all_tables(engine)
    engine.dispose()
    return settings


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest, new_settings: Callable[..., Settings]) -> Settings:
    """An installation without a database file, or with an empty database of PostgreSQL."""
    if request.param == "sqlite":
        return new_settings()
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return new_settings(database_url=server.new_database())
