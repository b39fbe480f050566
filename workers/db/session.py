"""Database engines, transactions, and the clock that all processes share. No other module commits."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import BigInteger, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from runner.private import new_private_file, private_file
from workers.ballast import Ballast
from workers.db.full_disk import means_full_disk, note_full_disk
from workers.db.schema import SchemaState, schema_of
from workers.db.sparing_pool import SparingPool

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_WRITE = "headway_write"
# Options of one connection: an engine with its own options would cost more than a short transaction.
_WRITING = {_WRITE: True}
_READING = {_WRITE: False, "postgresql_readonly": True}
_BUSY_TIMEOUT_MS = 10_000
_OTHER_SPELLINGS = frozenset({"postgresql", "postgres"})  # as other programs write the address
OUTAGE_S_MAX = 30.0
FULL_DISK_S_MAX = 3_600.0
"""How long what must not be lost waits for room on the disk. Meanwhile no other worker takes the job."""
_RETRY_AFTER_S = 0.2
_T = TypeVar("_T")
_CHECKPOINT_PAGES = 4000  # 16 MiB of log; a checkpoint waits for the disk, and no commit returns during it
_CONNECTIONS_MAX = 40  # as many as the web application's thread pool has threads
_CONNECTIONS_KEPT = 5

# Each of our statements reads few rows through an index. Compiling one costs a hundred times what it saves: 4 s for a
# claim of 50 ms. A plan for tables that were small once must not be kept, and one that reads whole tables must not look
# cheaper for want of fresh statistics.
_POSTGRESQL_SETTINGS = {
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


class now_ms(FunctionElement[int]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock: milliseconds since 1970 in UTC, the same for the whole of one statement."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_ms_sqlite(_element: now_ms, _compiler: SQLCompiler, **_options: object) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_ms_postgresql(_element: now_ms, _compiler: SQLCompiler, **_options: object) -> str:
    # now() would be the start of the transaction, which may have waited for a lock.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"


def db_now_ms(session: Session) -> int:
    """What the database's clock says, in milliseconds since 1970. Workers' own clocks are never compared."""
    return session.execute(select(now_ms())).scalar_one()


def make_engine(url: str, *, durable: bool = False, sparing: bool = False) -> Engine:
    """An engine for ``sqlite:///...`` or ``postgresql+psycopg://...``. Connects when first used.

    ``durable``: what is committed to SQLite survives a power cut, which takes a wait for the disk each time. PostgreSQL
    promises that by itself. Without it the newest commits may be lost then, and all others stay whole.
    ``sparing``: all threads take turns on one connection to PostgreSQL (see ``SparingPool``).
    Raises NotPrivateError if SQLite's file cannot be closed for other users.
    """
    parsed = make_url(url)
    if parsed.drivername in _OTHER_SPELLINGS:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        kept, pool = (1, SparingPool) if sparing else (_CONNECTIONS_KEPT, QueuePool)
        engine = create_engine(
            parsed, poolclass=pool, pool_size=kept, max_overflow=_CONNECTIONS_MAX - kept, pool_pre_ping=True
        )
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "handle_error", note_full_disk)
        return engine
    if parsed.database:
        _make_private(Path(parsed.database))
    engine = create_engine(parsed, pool_size=_CONNECTIONS_MAX, max_overflow=0)
    event.listen(engine, "connect", partial(_prepare_sqlite, durable=durable))
    event.listen(engine, "begin", _begin_sqlite)
    if parsed.database:
        event.listen(engine, "handle_error", partial(_give_up_ballast, Ballast(Path(parsed.database).parent)))
    return engine


def _give_up_ballast(ballast: Ballast, context: ExceptionContext) -> None:
    """The transaction fails all the same, but the next one has room."""
    if means_full_disk(context.original_exception):
        with suppress(OSError):
            ballast.give_up()


def _make_private(path: Path) -> None:
    """SQLite gives the files beside the database its permissions, but closes none of an older version."""
    new_private_file(path)
    for file in (path, *(path.with_name(f"{path.name}-{suffix}") for suffix in ("wal", "shm"))):
        with suppress(FileNotFoundError):
            private_file(file)


def _prepare_postgresql(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for name, value in _POSTGRESQL_SETTINGS.items():
        cursor.execute(f"SET {name} = {value}")
    cursor.close()
    connection.commit()


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry, *, durable: bool) -> None:
    connection.isolation_level = None  # sqlite3 would begin by itself, and too late
    cursor = connection.cursor()
    # The timeout comes first: switching to WAL waits for a lock when several processes start at the same time.
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
    cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once if another one wrote in between, whatever the
    # timeout. So a transaction that writes takes the write lock at its start, and any other one cannot write at all.
    write = bool(connection.get_execution_options().get(_WRITE))
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if write else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session that may write: committed at the end of the block, rolled back when the block raises.

    Rows stay readable after the block. Nothing slow belongs inside: on SQLite all other writers wait.
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        session.connection(execution_options=_WRITING)
        yield session


def persist(
    engine: Engine,
    change: Callable[[Session], _T],
    patience_s: float = OUTAGE_S_MAX,
    full_disk_s: float = FULL_DISK_S_MAX,
) -> _T:
    """A transaction for what must not be lost. Retries for ``patience_s`` while the database does not answer.

    While its disk is full, it retries for ``full_disk_s``. ``change`` must be idempotent: it runs again if the
    acknowledgement of the commit is lost.
    """
    began_s = time.monotonic()
    while True:
        try:
            with transaction(engine) as session:
                return change(session)
        except OperationalError as error:
            if time.monotonic() - began_s >= (full_disk_s if means_full_disk(error) else patience_s):
                raise
        time.sleep(_RETRY_AFTER_S)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session for reading; the database refuses writes. Rows stay readable after the block."""
    with Session(engine, expire_on_commit=False) as session:
        session.connection(execution_options=_READING)
        yield session


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrates the tables up to ``revision``, also from an empty database. Only one process at a time may call it."""
    if revision == "head" and schema_of(engine).state is SchemaState.CURRENT:
        return  # Alembic would import every migration to find that out, and each command asks
    with engine.execution_options(**{_WRITE: True}).begin() as connection:
        # 10 MB of memory that a database which is up to date does not need
        from alembic import command  # noqa: PLC0415

        command.upgrade(_alembic(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Migrates the tables down to ``revision``; ``base`` removes them all."""
    with engine.execution_options(**{_WRITE: True}).begin() as connection:
        from alembic import command  # noqa: PLC0415 - see upgrade

        command.downgrade(_alembic(connection), revision)


def migrate(connection: Connection, revision: str) -> None:
    """In a transaction that writes: migrates the tables up to ``revision``, or with ``base`` removes them all."""
    from alembic import command  # noqa: PLC0415 - see upgrade

    (command.downgrade if revision == "base" else command.upgrade)(_alembic(connection), revision)


def _alembic(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see upgrade

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config
