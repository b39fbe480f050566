"""Which database and which folder a part works with: its own, of its own version, or none."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support.services import PostgresServer
from tests.web.cli.command import Headway
from workers.db.schema import SchemaState, known_versions, schema_of
from workers.db.session import make_engine, upgrade
from workers.errors import NotYetError, StartError
from workers.settings import Settings
from workers.startup import check_installation

ADMINISTRATION = [
    ("repo", "list"),
    ("user", "add", "ada"),
    ("secret", "list", "*"),
    ("audit",),
    ("db", "new-key", "--yes"),
]
PARTS = [*ADMINISTRATION[:1], ("web",), ("worker",)]
NEWEST = known_versions()[-1]


@pytest.fixture
def headway(tmp_path: Path, sqlite_template: Path) -> Headway:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, folder / "headway.db")
    command = Headway(folder)
    command.env |= {"HEADWAY_REDIS_URL": "redis://127.0.0.1:1/0", "HEADWAY_PORT": "0"}
    return command


def change(headway: Headway, *statements: str) -> None:
    with sqlite3.connect(headway.folder / "headway.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("command", [*ADMINISTRATION, *PARTS])
def test_in_the_wrong_folder_nothing_is_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = tmp_path / "nowhere" / "data"
    headway = Headway(folder)
    headway.env["HEADWAY_PORT"] = "0"
    sentence = headway.refused(*command)
    assert f"There is no installation here: {folder}/headway.db does not exist. Is HEADWAY_DATA_DIR right?" in sentence
    assert "`headway serve` makes a new installation, and so does `headway db upgrade`." in sentence
    assert not folder.parent.exists()


def test_a_database_that_is_named_and_not_there_is_not_made(headway: Headway, tmp_path: Path) -> None:
    headway.env["HEADWAY_DATABASE_URL"] = f"sqlite:///{tmp_path}/other.db"
    assert f"{tmp_path}/other.db does not exist. Is HEADWAY_DATABASE_URL right?" in headway.refused("repo", "list")
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("command", [*PARTS, ("serve",), ("db", "upgrade"), ("scheduler",)])
@pytest.mark.parametrize("version", ["9999", f"{int(NEWEST) + 1:04}"])
def test_a_newer_database_is_refused_by_every_part(headway: Headway, command: tuple[str, ...], version: str) -> None:
    change(headway, f"UPDATE alembic_version SET version_num = '{version}'")
    sentence = headway.refused(*command)
    assert f"has tables of version {version}, and this Headway knows {NEWEST}: a newer one has upgraded it" in sentence


@pytest.mark.parametrize("command", PARTS)
def test_an_older_database_is_refused_with_what_to_run(headway: Headway, command: tuple[str, ...]) -> None:
    change(headway, "UPDATE alembic_version SET version_num = '0001'")
    assert f"has tables of version 0001, and this Headway needs {NEWEST}. Run: headway db upgrade" in headway.refused(
        *command
    )


@pytest.mark.parametrize("command", PARTS)
def test_an_empty_database_is_refused_with_what_to_run(headway: Headway, command: tuple[str, ...]) -> None:
    (headway.folder / "headway.db").unlink()
    (headway.folder / "headway.db").touch(0o600)
    assert "is empty." in headway.refused(*command)
    assert "db upgrade" in headway.refused(*command)


@pytest.mark.parametrize("command", [*PARTS, ("serve",), ("db", "upgrade")])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(headway: Headway, command: tuple[str, ...]) -> None:
    (headway.folder / "headway.db").unlink()
    change(headway, "CREATE TABLE users (id INTEGER)")
    assert "holds tables of another program" in headway.refused(*command)
    change(headway, "CREATE TABLE alembic_version (version_num TEXT)")
    change(headway, "INSERT INTO alembic_version VALUES ('ae1027a6')")
    assert "holds tables of another program" in headway.refused(*command)
    with sqlite3.connect(headway.folder / "headway.db") as connection:
        found = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    assert found == [("alembic_version",), ("users",)]


@pytest.mark.parametrize("command", [("repo", "list"), ("serve",), ("db", "upgrade")])
def test_a_file_that_is_no_database_keeps_its_content_and_permissions(
    headway: Headway, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy bread")
    file.chmod(0o644)
    headway.env["HEADWAY_DATABASE_URL"] = f"sqlite:///{file}"
    assert f"{file} is no SQLite database" in headway.refused(*command)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("buy bread", 0o644)


@pytest.mark.parametrize("command", [("db", "upgrade"), ("serve",), ("worker",)])
def test_a_folder_of_something_else_is_refused_and_stays_open(
    headway: Headway, tmp_path: Path, command: tuple[str, ...]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir(mode=0o755)
    photos.chmod(0o755)
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (photos / name).touch()
    headway.env["HEADWAY_DATABASE_URL"] = f"sqlite:///{headway.folder}/headway.db"
    headway.env["HEADWAY_DATA_DIR"] = str(photos)
    sentence = headway.refused(*command)
    assert f"{photos} is no data directory of Headway: it holds a.jpg, b.jpg, c.jpg, ..." in sentence
    assert photos.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("names", [(), (".bashrc", "lost+found"), ("logs",), ("workspaces", "notes.txt")])
def test_a_folder_that_is_empty_or_headways_is_used(tmp_path: Path, names: tuple[str, ...], sqlite_url: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    for name in names:
        (folder / name).mkdir()
    check_installation(Settings(data_dir=folder, database_url=sqlite_url))


def test_what_others_may_still_mend_can_be_waited_for(headway: Headway, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "none", database_url="")
    with pytest.raises(NotYetError):
        check_installation(settings)
    with pytest.raises(NotYetError):
        check_installation(Settings(database_url="postgresql+psycopg://headway@127.0.0.1:1/x", data_dir=headway.folder))
    change(headway, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartError) as caught:
        check_installation(Settings(data_dir=headway.folder))
    assert not isinstance(caught.value, NotYetError)


@pytest.mark.postgres
def test_the_state_of_a_database_is_known_on_postgresql(postgres_server: PostgresServer) -> None:
    engine = make_engine(postgres_server.new_database())
    assert schema_of(engine).state is SchemaState.EMPTY
    upgrade(engine)
    assert schema_of(engine).state is SchemaState.CURRENT
    engine.dispose()


@pytest.mark.parametrize("spelling", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_may_be_written_as_other_programs_write_it(spelling: str) -> None:
    engine = make_engine(f"{spelling}://headway@127.0.0.1:1/x")
    assert engine.url.drivername == "postgresql+psycopg"
    engine.dispose()
