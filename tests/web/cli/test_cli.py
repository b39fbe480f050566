"""The server's verbs, in one process, on a database of their own."""

import stat
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.support.services import TEST_KEY
from web.cli.main import register as register_web
from web.operations.clone_urls import forge_from, name_from
from workers import store
from workers.cli.main import register as register_workers
from workers.db.models.runs import Registry, Repo, Secret
from workers.db.session import make_engine, reading
from workers.secrets.vault import hook_place, open_vault, registry_place, secret_place
from workers.settings import load_settings

URL = "https://github.com/acme/harbour.git"


class Headway:
    """The command with settings that point into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"HEADWAY_DATA_DIR": str(folder), "HEADWAY_SECRET_KEYS": TEST_KEY, "HEADWAY_DATABASE_URL": ""}
        self._app = typer.Typer()
        register_web(self._app)
        register_workers(self._app)

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(self._app, arguments, input=stdin, env=self.env)

    def ok(self, *arguments: str, stdin: str = "") -> str:
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """The sentence with which it refuses."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 3, result.output
        assert result.stderr.startswith("headway: ")
        assert "Traceback" not in result.output
        return result.stderr


@pytest.fixture
def headway(tmp_path: Path) -> Headway:
    return Headway(tmp_path / "data")


@pytest.fixture
def settings_of(headway: Headway, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in headway.env.items():
        monkeypatch.setenv(name, value)


def test_adding_a_repository_says_what_to_paste_where(headway: Headway) -> None:
    told = headway.ok("repo", "add", URL)
    assert "Repository acme/harbour" in told
    assert "http://localhost:8080/hooks/acme/harbour" in told
    assert "In the repository on GitHub: Settings, Webhooks" in told
    assert headway.ok("repo", "list") == f"acme/harbour\tgithub\t{URL}\n"


@pytest.mark.usefixtures("settings_of")
def test_the_secret_that_is_shown_is_the_one_that_is_kept(headway: Headway) -> None:
    told = headway.ok("repo", "add", URL)
    settings = load_settings()
    engine = make_engine(settings.database)
    with reading(engine) as session:
        repo = session.query(Repo).one()
    engine.dispose()
    secret = open_vault(settings).unseal(hook_place(repo.id), repo.hook_secret_sealed)
    assert f"Secret     {secret} " in told
    assert secret not in headway.ok("repo", "list")


def test_a_hook_file_is_ready_to_run_and_its_owners_alone(headway: Headway, tmp_path: Path) -> None:
    hook = tmp_path / "post-receive"
    told = headway.ok("repo", "add", str(tmp_path / "bare.git"), "--name", "plain", "--hook-file", str(hook))
    assert stat.S_IMODE(hook.stat().st_mode) == 0o700
    assert hook.read_text().startswith("#!/bin/sh")
    assert "url=http://localhost:8080/hooks/plain" in hook.read_text()
    assert "Secret" not in told


def test_a_hook_file_is_for_plain_git_alone_and_must_be_writable(headway: Headway, tmp_path: Path) -> None:
    assert "plain git" in headway.refused("repo", "add", URL, "--hook-file", str(tmp_path / "x"))
    nowhere = tmp_path / "no" / "such" / "folder"
    assert str(nowhere) in headway.refused("repo", "add", "/srv/x.git", "--hook-file", str(nowhere))


def test_a_name_that_is_taken_is_refused_or_replaced(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    assert "--replace" in headway.refused("repo", "add", URL)
    headway.ok("repo", "add", "https://git.test/acme/harbour.git", "--replace", "--forge", "gitea")
    assert headway.ok("repo", "list") == "acme/harbour\tgitea\thttps://git.test/acme/harbour.git\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--upload-pack=touch x",),
        ("ext::sh -c id",),
        ("ftp://git.test/x.git",),
        ("https://",),
        ("https://user:password@git.test/x.git",),
        (URL, "--name", "a b"),
        (URL, "--name", "../etc"),
        (URL, "--name", "a/runs/b"),
        (URL, "--name", "/a"),
        (URL, "--forge", "sourceforge"),
    ],
)
def test_what_could_not_be_cloned_or_addressed_is_refused(headway: Headway, arguments: tuple[str, ...]) -> None:
    result = headway("repo", "add", *arguments)
    assert result.exit_code in {2, 3}
    assert "password@" not in result.output


def test_a_repository_is_removed_only_after_a_yes(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    assert headway("repo", "remove", "acme/harbour", stdin="n\n").exit_code == 1
    assert headway.ok("repo", "list")
    headway.ok("repo", "remove", "acme/harbour", "--yes")
    assert headway.ok("repo", "list") == ""
    assert "no repository named acme/harbour" in headway.refused("repo", "hook", "acme/harbour")


def test_a_new_hook_secret_is_another_one(headway: Headway) -> None:
    assert headway.ok("repo", "add", URL) != headway.ok("repo", "hook", "acme/harbour")


@pytest.mark.usefixtures("settings_of")
def test_a_secret_comes_from_standard_input_and_is_kept_sealed(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    headway.ok("secret", "set", "acme/harbour", "Key", "--event", "tag", stdin="two\nlines\n")
    assert headway.ok("secret", "list", "acme/harbour") == "key\ttag\n"
    settings = load_settings()
    engine = make_engine(settings.database)
    with reading(engine) as session:
        row = session.query(Secret).one()
    engine.dispose()
    assert "lines" not in row.sealed
    assert open_vault(settings).unseal(secret_place(row.repo_id, "key"), row.sealed) == "two\nlines"
    headway.ok("secret", "remove", "acme/harbour", "key")
    assert "no secret named key" in headway.refused("secret", "remove", "acme/harbour", "key")


def test_an_empty_secret_and_an_odd_name_are_refused(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    assert "no value" in headway.refused("secret", "set", "acme/harbour", "key")
    assert "letters, digits" in headway.refused("secret", "set", "acme/harbour", "a b", stdin="x")


@pytest.mark.usefixtures("settings_of")
def test_a_registry_login_is_kept_for_all_or_for_one(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    headway.ok("registry", "login", "registry.test", "-u", "robot", stdin="pass word\n")
    headway.ok("registry", "login", "registry.test", "-u", "own", "--repo", "acme/harbour", stdin="other")
    told = headway.ok("registry", "list")
    assert "registry.test\trobot\tall repositories\n" in told
    assert "registry.test\town\tacme/harbour\n" in told
    settings = load_settings()
    engine = make_engine(settings.database)
    with reading(engine) as session:
        shared = session.query(Registry).filter(Registry.repo_id.is_(None)).one()
    engine.dispose()
    assert open_vault(settings).unseal(registry_place(None, "registry.test"), shared.sealed_password) == "pass word"
    headway.ok("registry", "logout", "registry.test")
    assert "no login" in headway.refused("registry", "logout", "registry.test")
    assert "empty" in headway.refused("registry", "login", "registry.test", "-u", "robot")


def test_users_get_links_and_tokens(headway: Headway) -> None:
    link = headway.ok("user", "add", "ada", "--admin").strip()
    assert link.startswith("http://localhost:8080/login?link=")
    other = headway.ok("user", "link", "ada").strip()
    assert other.startswith("http://localhost:8080/login?link=")
    assert link != other
    assert headway.ok("user", "list") == "ada\tadministrator\n"
    assert headway.ok("token", "create", "ada", "deploy", "--days", "1").startswith("hw_")
    assert "already" in headway.refused("user", "add", "ada")
    assert "no user named bob" in headway.refused("user", "link", "bob")
    assert "no user named bob" in headway.refused("token", "create", "bob", "x")


def test_the_database_can_be_brought_up_to_date_again_and_again(headway: Headway) -> None:
    assert headway.ok("db", "upgrade") == headway.ok("db", "upgrade")
    assert stat.S_IMODE(headway.folder.stat().st_mode) == 0o700


def test_a_key_file_is_made_at_first_start_for_its_owner_alone(headway: Headway) -> None:
    headway.env["HEADWAY_SECRET_KEYS"] = ""
    headway.ok("db", "upgrade")
    assert stat.S_IMODE((headway.folder / "secret.key").stat().st_mode) == 0o600


def test_a_data_directory_that_cannot_be_used_is_named(headway: Headway, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    headway.env["HEADWAY_DATA_DIR"] = str(file)
    assert "it is a file" in headway.refused("repo", "list")
    headway.env["HEADWAY_DATA_DIR"] = "/proc/headway"
    assert "HEADWAY_DATA_DIR" in headway.refused("repo", "list")


def test_a_database_that_does_not_answer_is_a_sentence_without_its_password(headway: Headway) -> None:
    headway.env["HEADWAY_DATABASE_URL"] = "postgresql+psycopg://u:hunter2@127.0.0.1:9/x?connect_timeout=2"
    sentence = headway.refused("db", "upgrade")
    assert "The database cannot be used" in sentence
    assert "hunter2" not in sentence


def test_settings_that_make_no_sense_are_named(headway: Headway) -> None:
    headway.env["HEADWAY_PORT"] = "many"
    assert "HEADWAY_PORT" in headway.refused("repo", "list")


def test_a_damaged_key_is_a_sentence(headway: Headway) -> None:
    headway.env["HEADWAY_SECRET_KEYS"] = "k1:tooshort"
    assert "HEADWAY_SECRET_KEYS" in headway.refused("repo", "list")


@pytest.mark.parametrize(
    ("url", "name", "forge"),
    [
        ("https://github.com/acme/harbour.git", "acme/harbour", "github"),
        ("git@gitlab.com:group/sub/project.git", "sub/project", "gitlab"),
        ("ssh://git@bitbucket.org/team/app", "team/app", "bitbucket"),
        ("https://codeberg.org/a/b/", "a/b", "gitea"),
        ("file:///srv/git/plain.git", "plain", "generic"),
    ],
)
def test_a_repositorys_name_and_forge_follow_from_its_address(url: str, name: str, forge: str) -> None:
    assert name_from(url) == name
    assert forge_from(url) == forge


def test_the_store_knows_nothing_of_a_refused_repository(headway: Headway) -> None:
    headway.refused("repo", "add", "ftp://git.test/x.git")
    engine = make_engine(f"sqlite:///{headway.folder / 'headway.db'}")
    try:
        with reading(engine) as session:
            assert store.repos(session) == []
    finally:
        engine.dispose()
