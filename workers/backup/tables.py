"""The database's part of an archive: each table's rows as lines of JSON, the same from SQLite and from PostgreSQL.

The tables are those that the database has, so that a schema of any version can be written and read.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from sqlalchemy import Connection, LargeBinary, MetaData, Table, func, select, text
from sqlalchemy.types import JSON

from workers.backup.archive import TABLES
from workers.db.models import Base, DiskReport, FailedDuty, Leader, SealingKey, Worker
from workers.db.schema import VERSION_TABLE
from workers.errors import StartError

PROCESSES = frozenset(each.__tablename__ for each in (Leader, Worker, FailedDuty, DiskReport))
"""What processes say of themselves while they run: nothing for a backup."""
_OF_EACH_INSTALLATION = frozenset({"counters", SealingKey.__tablename__})
CHUNK_BYTES = 4 * 1024**2
_ROWS_AT_ONCE = 500
_Row = Mapping[str, Any]


def snapshot(connection: Connection) -> None:
    """Must come first in a transaction: all that follows is read as it is now. SQLite always reads like that."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def tables_of(connection: Connection) -> list[Table]:
    """The tables that the database has, those first to which others refer."""
    metadata = MetaData()
    metadata.reflect(connection)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type.none_as_null = True
    return [table for table in metadata.sorted_tables if table.name != VERSION_TABLE]


def dump(table: Table, connection: Connection) -> Iterator[tuple[str, bytes, int]]:
    """A table's rows as members of an archive: name, lines and how many. An empty table has one without a line."""
    # By the primary key: a row that refers to another one of its table is younger.
    rows = connection.execute(
        select(table).order_by(*table.primary_key.columns), execution_options={"yield_per": _ROWS_AT_ONCE}
    )
    write = {column.name: _to_json(column.type) for column in table.columns}
    chunk, count, number = bytearray(), 0, 1
    for row in rows.mappings():
        values = {name: write[name](value) for name, value in row.items()}
        chunk += json.dumps(values, separators=(",", ":")).encode() + b"\n"
        count += 1
        if len(chunk) >= CHUNK_BYTES:
            yield _member(table.name, number), bytes(chunk), count
            chunk, count, number = bytearray(), 0, number + 1
    if chunk or number == 1:
        yield _member(table.name, number), bytes(chunk), count


ROW_BYTES_MAX = 512 * 1024**2
"""Of a row in an archive: a row of a table has far less, and a hostile archive has one without end."""


class Loader:
    """Puts the rows of an archive into the empty tables of the same schema."""

    def __init__(self, connection: Connection, row_bytes_max: int = ROW_BYTES_MAX) -> None:
        self._connection, self._row_bytes_max = connection, row_bytes_max
        self._tables = {table.name: table for table in tables_of(connection)}
        self.rows = dict.fromkeys(self._tables, 0)

    def load(self, name: str, lines: IO[bytes]) -> None:
        """Inserts the rows of one member. Raises StartError if they do not fit the schema."""
        table = self._tables.get(_table_of(name))
        if table is None:
            raise StartError(f"The archive has a table {_table_of(name)!r}, which its schema does not have.")
        read = {column.name: _from_json(column.type) for column in table.columns}
        rows: list[_Row] = []
        waiting_bytes = 0
        while line := lines.readline(self._row_bytes_max + 1):
            if len(line) > self._row_bytes_max:
                raise StartError(
                    f"The archive has a row of more than {self._row_bytes_max:,} bytes; no backup has one."
                )
            rows.append(_row(table, read, line))
            waiting_bytes += len(line)
            if len(rows) >= _ROWS_AT_ONCE or waiting_bytes >= CHUNK_BYTES:
                self._insert(table, rows)
                rows, waiting_bytes = [], 0
        self._insert(table, rows)

    def finish(self) -> None:
        """PostgreSQL's sequences go on behind the largest ids that came."""
        if self._connection.dialect.name != "postgresql":
            return
        for table in self._tables.values():
            for column in table.primary_key.columns:
                name = f'"{table.name}"'
                sequence = self._connection.scalar(select(func.pg_get_serial_sequence(name, column.name)))
                largest = self._connection.scalar(select(func.max(column))) if sequence else None
                if largest is not None:
                    self._connection.execute(select(func.setval(sequence, largest)))

    def _insert(self, table: Table, rows: list[_Row]) -> None:
        if rows:
            self._connection.execute(table.insert(), rows)
            self.rows[table.name] += len(rows)


def is_used(connection: Connection) -> str:
    """The name of a table with rows that would be missed, or nothing."""
    for table in tables_of(connection):
        known = table.name in Base.metadata.tables
        if table.name in PROCESSES | _OF_EACH_INSTALLATION and known:
            continue
        if not known or connection.execute(select(table).limit(1)).first() is not None:
            return table.name
    return ""


def _row(table: Table, read: Mapping[str, Callable[[Any], Any]], line: bytes) -> _Row:
    try:
        values = json.loads(line)
        if values.keys() == read.keys():
            return {name: read[name](value) for name, value in values.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        pass
    raise StartError(f"The archive has a row for the table {table.name} that does not fit its schema.")


def _member(table: str, number: int) -> str:
    return f"{TABLES}/{table}/{number:06}.jsonl"


def _table_of(member: str) -> str:
    return member.split("/")[1]


def _same(value: object) -> object:
    return value


def _to_json(kind: object) -> Callable[[Any], Any]:
    return (lambda data: data and base64.b64encode(data).decode()) if isinstance(kind, LargeBinary) else _same


def _from_json(kind: object) -> Callable[[Any], Any]:
    return (lambda data: data and base64.b64decode(data)) if isinstance(kind, LargeBinary) else _same
