"""Checks of the database and of what it says: schema, clock, scheduler, workers, key."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from runner.private import NotPrivateError
from workers import store
from workers.backup.key_part import current_keys, vault_of
from workers.db.models import Base, Repo
from workers.db.schema import known_versions, revision_of
from workers.db.session import db_now_ms, make_engine, reading
from workers.doctor.finding import Finding, ok, problem, warning
from workers.errors import StartError
from workers.secrets.vault import Vault, VaultError, hook_place
from workers.settings import Settings
from workers.store.processes import leaders

CLOCK_MS_MAX = 2_000
_LOOK = "Look at HEADWAY_DATABASE_URL"
_HOOKS_MAX = 20


def database(settings: Settings) -> list[Finding]:
    """Whether it answers and has this program's schema; if so, its clock, the scheduler and the workers."""
    try:
        with opened(settings) as session:
            revision, newest = revision_of(session.connection()), known_versions()[-1]
            if revision != newest:
                return [_other_schema(revision, newest)]
            kind = session.connection().dialect.name
            return [
                ok("database", f"{kind}, schema {newest}"),
                clock(_apart_ms(session)),
                *_scheduler(session),
                *_workers(session),
            ]
    except (SQLAlchemyError, NotPrivateError, StartError) as error:
        return [problem("database", f"{_first_line(error)}. {_LOOK}.")]


def key(settings: Settings) -> list[Finding]:
    """Whether the keys are there, private, and those with which the database's values were sealed."""
    try:
        vault = vault_of(current_keys(settings), str(settings.key_file))
        used, hooks = _sealed(settings)
    except OSError as error:
        return [problem("key", f"{settings.key_file} cannot be read: {error.strerror}. Look at its owner.")]
    except (SQLAlchemyError, NotPrivateError, StartError) as error:
        return [problem("key", str(error).strip().partition("\n")[0])]
    if vault is None and used:
        sentence = f"{settings.key_file} is missing. Values in the database were sealed with {_ids(used)}: put it back."
        return [problem("key", sentence)]
    if vault is None:
        return [ok("key", "there is none, and nothing is sealed; the server makes one")]
    if missing := used - vault.keys.keys():
        sentence = f"values were sealed with {_ids(missing)}, which is not among the keys. Add that key."
        return [problem("key", sentence)]
    return [*_wrong_hooks(vault, hooks), *_open_file(settings)] or [ok("key", f"{len(vault.keys)} there, and they fit")]


@contextmanager
def opened(settings: Settings) -> Iterator[Session]:
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise StartError(f"there is no database {url.database}")
    engine = make_engine(settings.database)
    try:
        with reading(engine) as session:
            yield session
    finally:
        engine.dispose()


def _other_schema(revision: str | None, newest: str) -> Finding:
    if revision in known_versions() or revision is None:
        has = f"has the schema {revision}, older than {newest}" if revision else "is empty"
        return problem("database", f"it {has}. Run: headway db upgrade")
    return problem("database", f"it has the schema {revision}, and this program knows up to {newest}. Use a newer one.")


def clock(apart_ms: float) -> Finding:
    """What it means that the database's clock and this machine's are so far apart."""
    if apart_ms > CLOCK_MS_MAX:
        sentence = f"the database's clock and this machine's are {apart_ms / 1000:,.1f} s apart. Run NTP on both."
        return warning("clock", sentence)
    return ok("clock", "the same as the database's")


def _apart_ms(session: Session) -> float:
    before_ms = time.time() * 1000
    database_ms = db_now_ms(session)
    return max(before_ms - database_ms, database_ms - time.time() * 1000, 0)


def _scheduler(session: Session) -> list[Finding]:
    lead = leaders.leader(session, leaders.SCHEDULER)
    if lead is None or lead.until_ms < db_now_ms(session):
        return [problem("scheduler", "none runs: crons and waiting jobs do not start. Run: headway scheduler")]
    failing = [warning("scheduler", f"{duty.name}: {duty.problem}") for duty in store.failed_duties(session)]
    return failing or [ok("scheduler", f"{lead.owner} leads")]


def _workers(session: Session) -> list[Finding]:
    alive = store.workers(session)
    if not alive:
        return [problem("workers", "none is alive: no job starts. Run: headway worker")]
    troubled = [warning("workers", f"{worker.name}: {worker.problem}") for worker in alive if worker.problem]
    slots = sum(worker.slots for worker in alive)
    return troubled or [ok("workers", f"{len(alive)} alive, {sum(each.busy for each in alive)} of {slots} slots busy")]


def _sealed(settings: Settings) -> tuple[set[str], list[tuple[int, str]]]:
    """The ids of all keys that sealed something, and some webhook secrets. Another schema is not read."""
    columns = [column for table in Base.metadata.tables.values() for column in table.columns if "sealed" in column.name]
    with opened(settings) as session:
        if revision_of(session.connection()) != known_versions()[-1]:
            return set(), []
        values = [value for column in columns for value in session.scalars(select(column).where(column != ""))]
        hooks = select(Repo.id, Repo.hook_secret_sealed).where(Repo.hook_secret_sealed != "").limit(_HOOKS_MAX)
        ids = {value.split("|")[1] for value in values if "|" in value}
        return ids, [(row[0], row[1]) for row in session.execute(hooks)]


def _wrong_hooks(vault: Vault, hooks: list[tuple[int, str]]) -> list[Finding]:
    for repo_id, sealed in hooks:
        try:
            vault.unseal(hook_place(repo_id), sealed)
        except VaultError as error:
            return [problem("key", str(error))]
    return []


def _open_file(settings: Settings) -> list[Finding]:
    if settings.secret_keys.get_secret_value():
        return []
    found = settings.key_file.stat()
    shared = stat.S_IRWXO if found.st_uid == 0 and os.geteuid() != 0 else stat.S_IRWXG | stat.S_IRWXO
    if not found.st_mode & shared:
        return []
    return [problem("key", f"{settings.key_file} is open to other users. Run chmod 600 on it, and change the secrets.")]


def _ids(keys: set[str]) -> str:
    return f"key {', '.join(sorted(keys))}"


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0].rstrip(".")
