"""``headway backup``: writes the archive, while the server runs."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, make_url, select

from workers.backup.archive import FORMAT, KEYS, ArchiveWriter, Header, Manifest
from workers.backup.key_part import current_keys, vault_of
from workers.backup.log_part import log_members
from workers.backup.tables import PROCESSES, dump, snapshot, tables_of
from workers.db.schema import revision_of
from workers.db.session import make_engine, now_ms, reading
from workers.errors import StartError
from workers.settings import Settings

_ZEROS = bytes(1024**2)


@contextmanager
def archive_file(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A new file for this user alone. It is at ``path`` only when it is whole. Raises StartError.

    With ``force`` it takes the place of another.
    """
    if path.exists() and not force:
        raise _exists(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with ExitStack() as stack:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            stack.callback(part.unlink, missing_ok=True)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if force:
                part.replace(path)
            else:
                os.link(part, path)  # unlike renaming, it does not replace what came meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise StartError(f"The archive {path} cannot be written: {error.strerror}. Name another file.") from None


def write_backup(settings: Settings, file: IO[bytes], *, keys: bool, logs: bool) -> Manifest:
    """Writes the archive. The rows are those of one moment; logs may be newer. Raises StartError, SQLAlchemyError."""
    text = current_keys(settings)
    if keys and not text:
        raise StartError(
            f"There is no key to back up: {settings.key_file} is missing. Look at HEADWAY_DATA_DIR, or leave out "
            "--keys."
        )
    vault = vault_of(text, str(settings.key_file))
    with _rows(settings) as connection:
        header = Header(
            format=FORMAT,
            headway=version("headway"),
            revision=_revision(connection),
            database=connection.dialect.name,
            created_ms=connection.execute(select(now_ms())).scalar_one(),
            keys=keys,
            logs=logs,
            key_ids=list(vault.keys) if vault else [],
        )
        writer = ArchiveWriter(file, header)
        for table in tables_of(connection):
            if table.name not in PROCESSES:
                for name, lines, rows in dump(table, connection):
                    writer.add_bytes(name, lines, rows)
    if keys:
        writer.add_bytes(f"{KEYS}/secret.key", text.encode())
    if logs:
        for name, path in log_members(settings):
            _add_file(writer, name, path)
    return writer.finish()


@contextmanager
def _rows(settings: Settings) -> Iterator[Connection]:
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise StartError(f"There is no database {url.database}. Look at HEADWAY_DATA_DIR and HEADWAY_DATABASE_URL.")
    engine = make_engine(settings.database)
    try:
        with reading(engine) as session:
            snapshot(session.connection())
            yield session.connection()
    finally:
        engine.dispose()


def _revision(connection: Connection) -> str:
    revision = revision_of(connection)
    if revision is None:
        raise StartError("The database is empty: there is nothing to back up. Look at HEADWAY_DATABASE_URL.")
    return revision


def _add_file(writer: ArchiveWriter, name: str, path: Path) -> None:
    try:
        source = path.open("rb")
    except FileNotFoundError:  # its run was deleted meanwhile
        return
    with source:
        writer.add(name, os.fstat(source.fileno()).st_size, _Padded(source))


class _Padded:
    """A file that may become shorter while it is read: a worker cuts off the end that a dead one left half written."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def read(self, size: int, /) -> bytes:
        return self._source.read(size) or _ZEROS[:size]


def _exists(path: Path) -> StartError:
    return StartError(f"{path} exists already. Name another file, or replace it with --force.")
