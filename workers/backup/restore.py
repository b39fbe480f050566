"""``headway restore``: from an archive into an empty installation. All of it or nothing."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from sqlalchemy import Connection, func, select

from runner.private import private_umask
from workers.backup.archive import KEYS, LOGS, TABLES, Header, read_archive, read_header, verify
from workers.backup.key_part import missing_key_ids, needs_key_file, write_key_file
from workers.backup.log_part import check_no_logs, remove_logs, restore_log
from workers.backup.tables import Loader, is_used
from workers.db.models import Leader, Worker
from workers.db.schema import known_versions, revision_of
from workers.db.session import make_engine, migrate, now_ms, transaction
from workers.errors import StartError
from workers.settings import Settings
from workers.startup import prepare_data_dir
from workers.store.processes.installation import forget_installation

_KEYS_BYTES_MAX = 1024**2


@dataclass(frozen=True)
class Restored:
    """What came back. ``missing_key_ids``: keys without which values of it cannot be read."""

    header: Header
    rows: dict[str, int]
    missing_key_ids: list[str]


def restore(settings: Settings, file: IO[bytes]) -> Restored:
    """Checks the whole archive before it writes anything. Raises StartError, SQLAlchemyError, OSError."""
    header = read_header(file)
    if header.revision not in known_versions():
        raise StartError(
            f"The archive has the schema {header.revision}, made by Headway {header.headway}, and this program knows "
            f"up to {known_versions()[-1]}. Restore it with that version or a newer one."
        )
    verify(file)
    keys = _keys(file) if header.keys else ""
    new_keys = needs_key_file(settings, keys)
    if header.logs:
        check_no_logs(settings)
    prepare_data_dir(settings)
    engine = make_engine(settings.database)
    try:
        with ExitStack() as undo, private_umask():
            if header.logs:
                undo.callback(remove_logs, settings)
            with transaction(engine) as session:
                rows = _fill(settings, session.connection(), header, file)
                forget_installation(session)
                if new_keys:
                    write_key_file(settings, keys)
                    undo.callback(settings.key_file.unlink)
            undo.pop_all()
    finally:
        engine.dispose()
    return Restored(header, rows, missing_key_ids(settings, header.key_ids))


def _fill(settings: Settings, connection: Connection, header: Header, file: IO[bytes]) -> dict[str, int]:
    """In one transaction: the schema that the archive has, its rows, and then the newest schema."""
    _check_empty(connection)
    migrate(connection, "base")
    migrate(connection, header.revision)
    loader = Loader(connection)
    for name, data in read_archive(file):
        if name.startswith(f"{TABLES}/"):
            loader.load(name, data)
        elif name.startswith(f"{LOGS}/"):
            if not header.logs:  # nothing has looked whether there are some already, or would take them back
                raise StartError("The archive has logs, and says that it has none: it is not of `headway backup`.")
            restore_log(settings, name, data)
    loader.finish()
    migrate(connection, "head")
    return loader.rows


def _check_empty(connection: Connection) -> None:
    revision = revision_of(connection)
    if revision is not None and revision not in known_versions():
        raise StartError(f"The database has the schema {revision}, which this program does not know. Use a newer one.")
    if revision is not None and _is_running(connection):
        raise StartError("Headway runs on this database. Stop it, wait half a minute, and restore again.")
    if table := is_used(connection):
        raise StartError(
            f"The database is not empty: its table {table} has rows, or is not of Headway. A backup is restored into "
            "an empty one only: choose another with HEADWAY_DATABASE_URL or HEADWAY_DATA_DIR, or move that one away."
        )


def _is_running(connection: Connection) -> bool:
    return any(
        connection.scalar(select(func.count()).where(model.until_ms > now_ms()).select_from(model))
        for model in (Leader, Worker)
    )


def _keys(file: IO[bytes]) -> str:
    found = [data.read(_KEYS_BYTES_MAX) for name, data in read_archive(file) if name.startswith(f"{KEYS}/")]
    return b"".join(found).decode()
