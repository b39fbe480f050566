"""What other users of the machine can reach of an installation: nothing, also where it was left open before."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from runner.private import NotPrivateError
from tests.support.other_user import OTHER, as_other, can_read, needs_root, open_folder
from tests.web.cli.command import Headway
from workers.db.session import make_engine, reading
from workers.secrets.vault import open_vault
from workers.settings import Settings
from workers.startup import database

URL = "https://github.com/acme/harbour.git"


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def headway(place: Path) -> Headway:
    command = Headway(place / "data")
    command.env["HEADWAY_SECRET_KEYS"] = ""
    return command


@pytest.fixture
def installed(headway: Headway) -> Headway:
    headway.ok("db", "upgrade")
    return headway


def open_to_all(path: Path) -> None:
    path.chmod(0o755 if path.is_dir() else 0o644)


def leave_open(data: Path) -> list[Path]:
    """Makes an installation as it was where the folder was made by hand; the files that others must not read."""
    workspace = data / "workspaces" / "job" / "workspace"
    workspace.mkdir(parents=True)
    tool = workspace / "cat"
    tool.write_bytes(Path("/bin/cat").read_bytes())
    for folder in ("logs", "mirrors", "redis"):
        (data / folder).mkdir()
        (data / folder / "file").write_text("x")
    for path in (data, *data.rglob("*")):
        open_to_all(path)
    tool.chmod(0o4755)
    return [path for path in data.rglob("*") if path.is_file()]


@pytest.mark.slow
@needs_root
def test_an_installation_that_was_open_is_closed_at_the_start(installed: Headway) -> None:
    installed.ok("repo", "add", URL)
    files = leave_open(installed.folder)
    tool, key = installed.folder / "workspaces/job/workspace/cat", installed.folder / "secret.key"
    assert {"headway.db", "secret.key"} <= {path.name for path in files}
    assert all(can_read(path) for path in files)
    stolen = as_other(tool, key)
    assert stolen.returncode == 0, "a program with the set-user-id bit reads the key for anybody"
    key.chmod(0o600)
    assert as_other(tool, key).stdout == stolen.stdout
    result = installed("repo", "list")
    assert result.exit_code == 0
    assert result.stderr == f"headway: {installed.folder} was open to other users of this machine, and is closed now.\n"
    assert [path for path in files if can_read(path)] == []
    assert as_other(tool, key).returncode != 0
    for path, mode in (("", 0o700), ("headway.db", 0o600), ("secret.key", 0o600), ("workspaces", 0o700)):
        assert stat.S_IMODE((installed.folder / path).stat().st_mode) == mode, path


def test_a_folder_that_is_a_link_to_another_disk_is_closed_too(installed: Headway, place: Path) -> None:
    installed.ok("repo", "list")
    (place / "big").mkdir()
    open_to_all(place / "big")
    (installed.folder / "workspaces").symlink_to(place / "big")
    installed.ok("repo", "list")
    assert stat.S_IMODE((place / "big").stat().st_mode) == 0o700


@needs_root
def test_a_folder_in_it_may_belong_to_another_user_unless_it_is_a_link(installed: Headway, place: Path) -> None:
    installed.ok("repo", "list")
    (installed.folder / "logs").mkdir()
    os.chown(installed.folder / "logs", OTHER, OTHER)
    installed.ok("repo", "list")
    (installed.folder / "logs").rename(place / "logs")
    (installed.folder / "logs").symlink_to(place / "logs")
    assert f"belongs to user {OTHER}" in installed.refused("repo", "list")


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_what_a_command_makes_is_private_whatever_the_umask(headway: Headway, umask: int) -> None:
    before = os.umask(umask)
    try:
        headway.ok("db", "upgrade")
        headway.ok("repo", "add", URL)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    made = [headway.folder, *headway.folder.rglob("*")]
    assert len(made) >= 3
    assert [path for path in made if path.stat().st_mode & 0o077] == []


@needs_root
@pytest.mark.parametrize("command", [("repo", "list"), ("db", "upgrade"), ("worker",), ("scheduler",), ("serve",)])
def test_no_process_starts_in_a_data_directory_of_another_user(headway: Headway, command: tuple[str, ...]) -> None:
    headway.folder.mkdir()
    os.chown(headway.folder, OTHER, OTHER)
    sentence = headway.refused(*command)
    assert f"{headway.folder} belongs to user {OTHER}" in sentence
    assert "HEADWAY_DATA_DIR" in sentence
    assert list(headway.folder.iterdir()) == []


def test_a_data_directory_where_anybody_can_replace_it_is_refused(headway: Headway) -> None:
    shared = headway.folder.parent / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    headway.env["HEADWAY_DATA_DIR"] = str(shared / "data")
    assert f"{shared} can be changed by other users" in headway.refused("repo", "list")


def test_a_key_that_is_elsewhere_is_closed_and_the_user_is_told(headway: Headway, place: Path) -> None:
    headway.ok("db", "upgrade")
    (headway.folder / "secret.key").rename(place / "the.key")
    key = place / "the.key"
    open_to_all(key)
    headway.env["HEADWAY_SECRET_KEY_FILE"] = str(key)
    result = headway("repo", "add", URL)
    assert result.exit_code == 0
    assert f"{key} was open to other users of this machine" in result.stderr
    assert "add a new key" in result.stderr
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@needs_root
def test_a_key_of_another_user_is_refused(headway: Headway, place: Path) -> None:
    headway.ok("db", "upgrade")
    (headway.folder / "secret.key").rename(place / "the.key")
    key = place / "the.key"
    key.chmod(0o600)
    os.chown(key, OTHER, OTHER)
    headway.env["HEADWAY_SECRET_KEY_FILE"] = str(key)
    assert f"{key} belongs to user {OTHER}" in headway.refused("repo", "list")
    with pytest.raises(NotPrivateError):
        open_vault(Settings(data_dir=place / "data", secret_key_file=key))


def test_a_database_that_is_elsewhere_is_closed_with_the_files_beside_it(place: Path) -> None:
    path = place / "db" / "headway.db"
    path.parent.mkdir()
    beside = [path, *(path.with_name(f"headway.db-{suffix}") for suffix in ("wal", "shm"))]
    for file in beside:
        file.touch()
        open_to_all(file)
    make_engine(f"sqlite:///{path}").dispose()
    assert [stat.S_IMODE(file.stat().st_mode) for file in beside] == [0o600] * 3


@needs_root
def test_a_database_that_another_user_could_replace_is_a_sentence(headway: Headway, place: Path) -> None:
    (place / "db").mkdir()
    os.chown(place / "db", OTHER, OTHER)
    headway.env["HEADWAY_DATABASE_URL"] = f"sqlite:///{place}/db/headway.db"
    assert f"{place}/db can be changed by user {OTHER}" in headway.refused("repo", "list")


def test_what_web_server_and_commands_commit_to_sqlite_survives_a_power_cut(settings: Settings) -> None:
    with database(settings) as engine, reading(engine) as session:
        assert session.scalar(text("PRAGMA synchronous")) == 2, "FULL"
