"""Backup and restore, on both databases and between them."""

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, inspect, select, text, update

from pipelines.state import State
from tests.support.archives import archive, plain_tar
from tests.support.builders import push
from workers import store
from workers.backup.archive import MANIFEST, Header, read_header
from workers.backup.backup import archive_file, write_backup
from workers.backup.restore import restore
from workers.backup.tables import PROCESSES, tables_of
from workers.db.models import Base, Job, Leader, Repo, User
from workers.db.schema import known_versions
from workers.db.session import make_engine, now_ms, reading, transaction, upgrade
from workers.errors import StartError
from workers.secrets.vault import new_key
from workers.settings import Settings
from workers.store.jobs import leases


def backed_up(settings: Settings, **parts: bool) -> io.BytesIO:
    file = io.BytesIO()
    write_backup(settings, file, **{"keys": False, "logs": False} | parts)
    return file


def rows_of(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    engine = make_engine(settings.database)
    with reading(engine) as session:
        rows = {
            name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for name, table in Base.metadata.tables.items()
        }
    engine.dispose()
    return rows


def changed(settings: Settings, *statements: object) -> None:
    engine = make_engine(settings.database)
    with transaction(engine) as session:
        for statement in statements:
            session.execute(statement)  # type: ignore[call-overload]
    engine.dispose()


def is_untouched(settings: Settings) -> bool:
    if not settings.database.startswith("sqlite"):
        engine = make_engine(settings.database)
        with reading(engine) as session:
            tables = inspect(session.connection()).get_table_names()
        engine.dispose()
        return not tables
    return not any(settings.data_dir.iterdir())


@pytest.mark.slow
def test_every_value_of_every_table_comes_back(source: Settings, target: Settings) -> None:
    restored = restore(target, backed_up(source))
    before = rows_of(source)
    assert all(len(rows) == 2 for name, rows in before.items() if name not in PROCESSES)
    assert rows_of(target) == before
    assert restored.rows["runs"] == 2


@pytest.mark.slow
def test_new_rows_get_ids_behind_those_that_came(source: Settings, target: Settings) -> None:
    changed(source, *(delete(table) for table in reversed(Base.metadata.sorted_tables)))
    changed(source, Base.metadata.tables["users"].insert().values(id=41, name="ada", is_admin=True, created_ms=1))
    restore(target, backed_up(source))
    changed(target, Base.metadata.tables["users"].insert().values(name="bob", is_admin=False, created_ms=1))
    assert [row[0] for row in rows_of(target)["users"]] == [41, 42]


@pytest.mark.slow
def test_keys_and_logs_come_back_by_choice(source: Settings, new_settings: Callable[..., Settings]) -> None:
    without, both = new_settings(), new_settings()
    key_id = source.key_file.read_text().split()[-1].partition(":")[0]
    assert restore(without, backed_up(source)).missing_key_ids == [key_id]
    assert not without.key_file.exists()
    assert not any(without.logs_dir.rglob("*.zst"))
    assert restore(both, backed_up(source, keys=True, logs=True)).missing_key_ids == []
    assert both.key_file.read_text() == source.key_file.read_text()
    assert both.key_file.stat().st_mode & 0o777 == 0o600
    assert (both.logs_dir / "0/7/7-1-1.zst").read_bytes() == b"compressed \x00 bytes"
    assert both.blobs_dir is not None
    assert (both.blobs_dir / "logs/ab/1").read_bytes() == b"a blob"


@pytest.mark.slow
def test_a_job_that_ran_starts_over(new_settings: Callable[..., Settings], database_url: str) -> None:
    source, target = new_settings(database_url=database_url), new_settings()
    engine = make_engine(database_url)
    with transaction(engine) as session:
        repo = store.add_repo(session, store.NewRepo("acme/roof", "file:///srv/roof.git"))
        job_id = store.queue_run(session, repo.id, push()).job_id
    with transaction(engine) as session:
        assert leases.claim(session, job_id, "w1", 15, host="host-1")
        session.execute(update(Job).values(lease_until_ms=1))
    engine.dispose()
    restore(target, backed_up(source))
    engine = make_engine(target.database)
    with transaction(engine) as session:
        (reaped,) = leases.reap(session, leases.held(session))
        assert reaped.state is State.QUEUED
    with transaction(engine) as session:
        again = leases.claim(session, job_id, "w2", 15, host="host-2")
        assert again is not None
        assert again.attempt == 2
    engine.dispose()


@pytest.mark.slow
def test_the_rows_are_those_of_one_moment(source: Settings, new_settings: Callable[..., Settings]) -> None:
    """A writer comes between the first member and the rest: what it adds and deletes does not show."""

    class Slow(io.BytesIO):
        came = False

        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            if not self.came:
                self.came = True
                changed(source, delete(User).where(User.id == 7), update(Repo).values(title_changed))
            return super().write(data)

    title_changed = {"web_url": "later"}
    before, file, target = rows_of(source), Slow(), new_settings()
    changed(source, *(_big_rows(number) for number in range(8)))
    before["audit"] = rows_of(source)["audit"]
    write_backup(source, file, keys=False, logs=False)
    assert file.came
    assert rows_of(source) != before
    restore(target, file)
    assert rows_of(target) == before


def _big_rows(number: int) -> object:
    # Random, so that they fill the compressor's buffer, and the file is written to before the tables behind are read.
    name = os.urandom(256 * 1024).hex()
    values = {"at_ms": number, "actor": "", "source": "", "action": "", "target": "", "detail": name}
    return Base.metadata.tables["audit"].insert().values(id=100 + number, **values)


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["0001", "0012"])
def test_an_older_schema_is_restored_and_migrated(
    new_settings: Callable[..., Settings], target: Settings, revision: str
) -> None:
    source = new_settings()
    engine = make_engine(source.database)
    upgrade(engine, revision)
    with transaction(engine) as session:
        repos = next(table for table in tables_of(session.connection()) if table.name == "repos")
        values: dict[str, object] = {
            column.name: [] if str(column.type) == "JSON" else 1 if "INT" in str(column.type) else ""
            for column in repos.columns
            if str(column.type) != "BOOLEAN"
        }
        flags = {column.name: True for column in repos.columns if str(column.type) == "BOOLEAN"}
        session.execute(repos.insert().values(values | flags | {"name": "acme/roof"}))
    engine.dispose()
    restore(target, backed_up(source))
    engine = make_engine(target.database)
    with reading(engine) as session:
        assert session.scalars(text("SELECT version_num FROM alembic_version")).one() == known_versions()[-1]
        assert session.scalars(select(Repo.name)).one() == "acme/roof"
    engine.dispose()


def test_a_newer_schema_is_refused(new_settings: Callable[..., Settings]) -> None:
    target = new_settings()
    newest = Header(
        format=1, headway="9.1", revision="9999", database="sqlite", created_ms=5, keys=False, logs=False, key_ids=[]
    )
    with pytest.raises(StartError, match=r"schema 9999, made by Headway 9\.1"):
        restore(target, io.BytesIO(archive([], newest)))
    assert is_untouched(target)


@pytest.fixture
def small(new_settings: Callable[..., Settings], sqlite_url: str) -> Settings:
    """An installation with a key, a log and a user."""
    settings = new_settings(database_url=sqlite_url)
    settings.key_file.write_text(f"{new_key()}\n")
    settings.logs_dir.mkdir()
    (settings.logs_dir / "1.zst").write_bytes(b"log")
    changed(settings, Base.metadata.tables["users"].insert().values(id=1, name="ada", is_admin=True, created_ms=1))
    return settings


@pytest.mark.slow
def test_a_damaged_archive_changes_nothing(small: Settings, target: Settings) -> None:
    whole = backed_up(small, logs=True).getvalue()  # with keys, they would be read before all else
    with pytest.raises(StartError, match="Nothing was restored"):
        restore(target, io.BytesIO(whole[:-3]))
    assert is_untouched(target)


def with_other_rows(file: io.BytesIO, change: Callable[[str, bytes], bytes]) -> io.BytesIO:
    """An archive with right checksums and wrong content."""
    header = read_header(file)
    members = [(info.name, change(info.name, data)) for info, data in plain_tar(file.getvalue())]
    return io.BytesIO(archive([each for each in members if "/" in each[0]], header))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"name":"ada"', b'"nome":"ada"'), (b'{"id":1', b'{"id":'), (b'{"id":1', b'[1]\n{"id":1')],
)
def test_rows_that_do_not_fit_take_back_everything(small: Settings, target: Settings, old: bytes, new: bytes) -> None:
    def change(name: str, data: bytes) -> bytes:
        return data.replace(old, new) if "/users/" in name else data

    with pytest.raises(StartError, match="does not fit"):
        restore(target, with_other_rows(backed_up(small, keys=True, logs=True), change))
    assert not target.key_file.exists()
    assert not target.logs_dir.exists() or not any(target.logs_dir.iterdir())
    engine = make_engine(target.database)
    with reading(engine) as session:
        assert inspect(session.connection()).get_table_names() == []
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ".", ".hidden", "a//b", ""])
def test_a_log_never_leads_out_of_its_folder(small: Settings, new_settings: Callable[..., Settings], name: str) -> None:
    file = backed_up(small, logs=True)
    members = [(info.name, data) for info, data in plain_tar(file.getvalue())]
    wrong = [*members[:-1], (f"logs/files/{name}", b"data")]
    target = new_settings()
    with pytest.raises(StartError, match="none of Headway's"):
        restore(target, io.BytesIO(archive([each for each in wrong if "/" in each[0]], read_header(file))))
    assert not any(target.data_dir.rglob("x"))
    assert not any(target.logs_dir.iterdir())  # the right one before it was taken back


@pytest.mark.slow
def test_logs_that_an_archive_does_not_admit_are_not_put_beside_those_that_are_there(
    small: Settings, target: Settings
) -> None:
    file = backed_up(small, logs=True)
    members = [(info.name, data) for info, data in plain_tar(file.getvalue())]
    header = read_header(file).model_copy(update={"logs": False})
    target.logs_dir.mkdir(parents=True)
    (target.logs_dir / "own").write_bytes(b"of this installation")
    with pytest.raises(StartError, match="says that it has none"):
        restore(target, io.BytesIO(archive([each for each in members if "/" in each[0]], header)))
    assert [path.name for path in target.logs_dir.iterdir()] == ["own"]


def test_logs_in_a_bucket_are_not_in_an_archive(small: Settings) -> None:
    with pytest.raises(StartError, match=r"The logs are in s3://builds: keep them with the copies .* leave out --logs"):
        backed_up(small.model_copy(update={"blob_url": "s3://builds"}), logs=True)


@pytest.mark.slow
def test_only_an_empty_installation_takes_a_backup(small: Settings, new_settings: Callable[..., Settings]) -> None:
    file = backed_up(small, keys=True, logs=True)
    with pytest.raises(StartError, match=r"logs has some already"):
        restore(small, file)
    with pytest.raises(StartError, match="its table users has rows"):
        restore(small, backed_up(small))
    other = new_settings(secret_keys=SecretStr(new_key()))
    with pytest.raises(StartError, match="is not in HEADWAY_SECRET_KEYS"):
        restore(other, file)
    assert is_untouched(other)
    same = new_settings(secret_keys=SecretStr(small.key_file.read_text().strip()))
    restore(same, file)
    assert not same.key_file.exists()


@pytest.mark.slow
def test_a_new_installation_that_has_stopped_counts_as_empty_but_not_while_it_runs(
    small: Settings, new_settings: Callable[..., Settings]
) -> None:
    target = new_settings()
    engine = make_engine(target.database)
    upgrade(engine)
    engine.dispose()
    lead = Base.metadata.tables[Leader.__tablename__]
    changed(small, lead.insert().values(name="scheduler", owner="y", until_ms=now_ms()))
    changed(target, lead.insert().values(name="scheduler", owner="x", until_ms=now_ms() + 9_000))
    with pytest.raises(StartError, match="Headway runs on this database"):
        restore(target, backed_up(small))
    changed(target, lead.update().values(until_ms=now_ms() - 1))
    restore(target, backed_up(small))
    assert [row[1] for row in rows_of(target)["users"]] == ["ada"]
    assert rows_of(target)["leaders"] == []


@pytest.mark.slow
def test_another_programs_tables_are_left_alone(small: Settings, new_settings: Callable[..., Settings]) -> None:
    target = new_settings()
    changed(target, text("CREATE TABLE wiki (page TEXT)"))
    with pytest.raises(StartError, match="its table wiki"):
        restore(target, backed_up(small))


@pytest.mark.slow
def test_a_copy_has_a_name_of_its_own_in_the_engine(small: Settings, new_settings: Callable[..., Settings]) -> None:
    target, names = new_settings(), []
    for settings, fresh in ((small, 1), (target, 2)):
        if settings is target:
            restore(target, backed_up(small))
        engine = make_engine(settings.database)
        with transaction(engine) as session:
            names.append(store.installation(session, fresh))
        engine.dispose()
    assert names == ["00000001", "00000002"]


def test_a_backup_makes_no_installation(new_settings: Callable[..., Settings]) -> None:
    nowhere = new_settings()
    with pytest.raises(StartError, match="There is no database"):
        backed_up(nowhere)
    assert is_untouched(nowhere)


def test_a_backup_with_keys_needs_some(small: Settings) -> None:
    small.key_file.unlink()
    with pytest.raises(StartError, match="There is no key to back up"):
        backed_up(small, keys=True)
    assert not small.key_file.exists()


def test_the_file_is_private_whole_and_never_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    with suppress(ZeroDivisionError), archive_file(path, force=False) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with archive_file(path, force=False) as file:
        file.write(b"one")
        assert not path.exists()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o600)
    with pytest.raises(StartError, match="exists already"), archive_file(path, force=False):
        pass
    with archive_file(path, force=True) as file:
        file.write(b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StartError, match="cannot be written"), archive_file(tmp_path / "no" / "file", force=False):
        pass


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    with pytest.raises(StartError, match="exists already"), archive_file(path, force=False):
        path.write_bytes(b"another")
    assert path.read_bytes() == b"another"


def test_a_table_longer_than_a_member_comes_in_several(small: Settings) -> None:
    big = Base.metadata.tables["counters"].insert()
    changed(small, *(big.values(name=f"{number:x<999999}", value=1) for number in range(6)))
    names = [info.name for info, _ in plain_tar(backed_up(small).getvalue())]
    assert [name for name in names if "/counters/" in name] == [f"database/counters/{n:06}.jsonl" for n in (1, 2)]
    assert names[-1] == MANIFEST
