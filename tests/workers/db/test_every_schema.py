"""Migrations keep the rows of every schema that there has been: one database goes up all, and gets rows at each."""

import enum
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, MetaData, Table, func, select, text

from pipelines.plan import JobPlan
from pipelines.trigger import Trigger
from workers.db.models import Base
from workers.db.schema import known_versions
from workers.db.session import reading, transaction, upgrade

pytestmark = pytest.mark.slow

LINES = (Path(__file__).parent.parent / "backup/stored_by_0_1.jsonl").read_text().splitlines()
FIXED = {("runs", "trigger"): LINES[0], ("jobs", "plan"): LINES[2]}
"""As version 0.1 wrote them."""
GIVEN_UP = {"0013": ("approvals",)}
"""What a migration removes on purpose: those approvals did not say into which branch."""


def add_rows(engine: Engine, number: int) -> Counter[str]:
    """A row in each table, as the tables are now; how many were added to which."""
    tables = MetaData()
    tables.reflect(engine)
    added: dict[str, dict[str, Any]] = {}
    with transaction(engine) as session:
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            values = {column.name: value_of(table, column, number, added) for column in table.columns}
            values = {name: value for name, value in values.items() if value is not None}
            session.execute(table.insert().values(values))
            added[table.name] = values
    return Counter(added.keys())


def value_of(table: Table, column: Column[Any], number: int, added: dict[str, dict[str, Any]]) -> Any:
    """A value that the column may have. ``number`` makes it another one than that of any other row."""
    for key in column.foreign_keys:
        if parent := added.get(key.column.table.name):
            return parent[key.column.name]
    if (table.name, column.name) in FIXED:
        return FIXED[table.name, column.name]
    model = Base.metadata.tables.get(table.name)
    known = model.columns.get(column.name) if model is not None else None
    if known is not None and isinstance(values := getattr(known.type, "enum_class", None), enum.EnumMeta):
        return next(iter(values)).value
    return by_type(column, known, number)


def by_type(column: Column[Any], known: Column[Any] | None, number: int) -> Any:
    match str(column.type).partition("(")[0].upper():
        case "BOOLEAN":
            return False
        case "BIGINT" | "INTEGER":
            return number
        case "JSON" | "JSONB":
            default = getattr(known.default, "arg", None) if known is not None else None
            return default(None) if callable(default) else {}
        case "BLOB" | "BYTEA" | "LARGEBINARY":
            return b"bytes"
        case _:
            return f"{column.name}-{number}"


def test_rows_of_every_schema_are_kept_and_can_be_read(empty_database: Engine) -> None:
    added = Counter[str]()
    for number, revision in enumerate(known_versions(), start=1):
        upgrade(empty_database, revision)
        for given_up in GIVEN_UP.get(revision, ()):
            added[given_up] = 0
        added += add_rows(empty_database, number)
    with reading(empty_database) as session:
        version = session.scalar(text("SELECT version_num FROM alembic_version"))
        assert version == known_versions()[-1]
        for name, made in Base.metadata.tables.items():
            assert session.execute(select(func.count()).select_from(made)).scalar_one() >= added[name] > 0, name
        for mapper in Base.registry.mappers:
            assert session.scalars(select(mapper.class_)).all(), "each value is one that the models know"


def test_what_the_oldest_version_stored_is_read_from_its_migrated_row(empty_database: Engine) -> None:
    upgrade(empty_database, known_versions()[0])
    add_rows(empty_database, 1)
    upgrade(empty_database)
    with reading(empty_database) as session:
        Trigger.model_validate_json(session.execute(text("SELECT trigger FROM runs")).scalar_one())
        JobPlan.model_validate_json(session.execute(text("SELECT plan FROM jobs")).scalar_one())
