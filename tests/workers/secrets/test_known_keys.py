"""The key of an installation: another one, or none, is refused by every part. None is made beside what is sealed."""

import os
import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, delete, select

from pipelines.context import Trust
from pipelines.trigger import Event
from tests.support.builders import push
from tests.web.cli.command import URL, Headway
from workers import store
from workers.access.credentials import job_secrets, registry_logins_for
from workers.access.trust import permissions
from workers.db.models import Repo, SealingKey, Secret
from workers.db.session import make_engine, reading, transaction
from workers.errors import StartError
from workers.secrets.known_keys import check_keys
from workers.secrets.vault import new_key, parse_keys, registry_place, secret_place
from workers.settings import Settings
from workers.startup import open_keys

REPO = "acme/harbour"
COMMANDS = [("repo", "list"), ("db", "upgrade"), ("worker",), ("web",), ("serve",), ("secret", "list", REPO)]


@pytest.fixture
def headway(tmp_path: Path, sqlite_template: Path) -> Headway:
    """An installation with a key file, and a repository whose webhook has a secret."""
    command = Headway(tmp_path / "data")
    command.folder.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, command.folder / "headway.db")
    command.env |= {"HEADWAY_SECRET_KEYS": "", "HEADWAY_REDIS_URL": "redis://127.0.0.1:1/0", "HEADWAY_PORT": "0"}
    command.ok("repo", "add", URL)
    return command


def key_of(headway: Headway) -> Path:
    return headway.folder / "secret.key"


def key_id(path: Path) -> str:
    return next(iter(parse_keys(path.read_text().splitlines(), "").keys))


def forget_that_it_is_known(headway: Headway) -> None:
    """Makes it an installation from before the database knew its key."""
    engine = make_engine(f"sqlite:///{headway.folder}/headway.db")
    with transaction(engine) as session:
        session.execute(delete(SealingKey))
    engine.dispose()


@pytest.mark.parametrize("known", [True, False], ids=["known", "recognised"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_lost_key_is_refused_by_every_part_and_not_made_anew(
    headway: Headway, command: tuple[str, ...], known: bool
) -> None:
    wanted = key_id(key_of(headway))
    key_of(headway).unlink()
    if not known:
        forget_that_it_is_known(headway)
    sentence = headway.refused(*command)
    assert f"The key {wanted} that seals this installation's secrets is missing at {key_of(headway)}." in sentence
    assert "headway db new-key" in sentence
    assert not key_of(headway).exists()


@pytest.mark.parametrize("known", [True, False], ids=["known", "recognised"])
@pytest.mark.parametrize("place", ["file", "another file", "variable"])
def test_a_foreign_key_is_refused_wherever_it_comes_from(
    headway: Headway, tmp_path: Path, place: str, known: bool
) -> None:
    wanted, foreign = key_id(key_of(headway)), new_key()
    if not known:
        forget_that_it_is_known(headway)
    where = str(key_of(headway))
    if place == "variable":
        headway.env["HEADWAY_SECRET_KEYS"] = foreign
        where = "HEADWAY_SECRET_KEYS"
    elif place == "file":
        key_of(headway).write_text(foreign)
    else:
        (tmp_path / "other.key").write_text(foreign)
        (tmp_path / "other.key").chmod(0o600)
        where = headway.env["HEADWAY_SECRET_KEY_FILE"] = str(tmp_path / "other.key")
    sentence = headway.refused("repo", "list")
    assert f"sealed with the key {wanted}, and {where} has only {foreign.partition(':')[0]}." in sentence
    assert foreign.partition(":")[2] not in sentence


@pytest.mark.parametrize("known", [True, False], ids=["known", "recognised"])
def test_another_key_with_the_same_id_is_refused(headway: Headway, known: bool) -> None:
    wanted = key_id(key_of(headway))
    if not known:
        forget_that_it_is_known(headway)
    key_of(headway).write_text(f"{wanted}:{new_key().partition(':')[2]}\n")
    assert wanted in headway.refused("repo", "list")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"# only a comment\n", b"garbage"])
def test_a_damaged_key_file_is_refused_and_left_as_it_is(headway: Headway, content: bytes) -> None:
    key_of(headway).write_bytes(content)
    assert str(key_of(headway)) in headway.refused("repo", "list")
    assert key_of(headway).read_bytes() == content


def test_a_new_key_in_front_is_known_from_then_on_and_the_old_one_may_go_with_what_it_sealed(headway: Headway) -> None:
    old = key_of(headway).read_text()
    headway.ok("secret", "set", REPO, "old", stdin="hunter2-old")
    key_of(headway).write_text(f"{new_key()}\n{old}")
    headway.ok("secret", "set", REPO, "new", stdin="hunter2-new")
    both = key_of(headway).read_text()
    key_of(headway).write_text(both.splitlines()[0])
    headway.ok("repo", "list")
    key_of(headway).write_text(old)
    assert "has only" in headway.refused("repo", "list"), "the key that seals now is missing"


def test_what_one_key_cannot_read_breaks_only_what_needs_it(headway: Headway, tmp_path: Path) -> None:

    settings = Settings(data_dir=headway.folder)
    engine = make_engine(settings.database)
    vault, other = open_keys(settings, engine), parse_keys([new_key()], "")
    with transaction(engine) as session:
        repo = session.scalars(select(Repo)).one()
        for name, by in (("good", vault), ("bad", other)):
            store.put_secret(session, repo.id, name, by.seal(secret_place(repo.id, name), f"hunter2-{name}"))
            host = f"{name}.test"
            store.put_registry(session, repo.id, host, "bot", by.seal(registry_place(repo.id, host), "pw"))
    allowed = permissions(push(), Trust(), on_branch=True)
    found = job_secrets(engine, vault, repo.id, Event.PUSH, allowed)
    assert found.values == {"good": "hunter2-good"}
    assert "The secret at repo/1/secret/bad was sealed with key" in found.unreadable["bad"]
    assert list(registry_logins_for(engine, vault, repo.id, allowed)) == ["good.test"]
    engine.dispose()
    assert "bad" in headway.ok("secret", "list", REPO)


def test_a_lost_key_can_be_given_up(headway: Headway) -> None:
    key_of(headway).unlink()
    assert headway("db", "new-key", stdin="n\n").exit_code == 1
    headway.ok("db", "new-key", "--yes")
    assert key_id(key_of(headway)) in headway.ok("db", "new-key", "--yes")
    headway.ok("repo", "list")
    assert "Secret     " in headway.ok("repo", "hook", REPO)


def test_of_two_machines_that_start_at_once_one_key_wins(database: Engine) -> None:
    one, other = parse_keys([new_key()], ""), parse_keys([new_key()], "")
    check_keys(database, one, "one")
    with pytest.raises(Exception, match=f"sealed with the key {one.newest}, and other has only {other.newest}"):
        check_keys(database, other, "other")
    check_keys(database, one, "one")
    with reading(database) as session:
        assert [row.key_id for row in session.scalars(select(SealingKey))] == [one.newest]


def test_a_worker_with_a_data_directory_of_its_own_makes_no_key(sqlite_url: str, tmp_path: Path) -> None:
    first = Settings(data_dir=tmp_path / "first", database_url=sqlite_url)
    second = Settings(data_dir=tmp_path / "second", database_url=sqlite_url)
    engine = make_engine(sqlite_url)
    open_keys(first, engine)
    with pytest.raises(StartError, match=r"is missing at .*/second/secret\.key"):
        open_keys(second, engine)
    assert not os.path.lexists(second.key_file)
    open_keys(Settings(secret_keys=SecretStr(first.key_file.read_text().splitlines()[1])), engine)
    engine.dispose()


def test_the_fingerprint_is_not_the_key(headway: Headway) -> None:
    engine = make_engine(f"sqlite:///{headway.folder}/headway.db")
    with reading(engine) as session:
        (row,) = session.scalars(select(SealingKey))
        assert session.query(Secret).count() == 0
    engine.dispose()
    assert len(row.fingerprint) == 32
    assert row.fingerprint not in key_of(headway).read_text()
