"""`headway repo`."""

import stat
from pathlib import Path

import pytest

from pipelines.clone_address import forge_from, name_from
from tests.web.cli.command import URL, Headway
from tests.web.conftest import REPO
from workers import store
from workers.db.models import Repo
from workers.db.session import make_engine, reading
from workers.secrets.vault import hook_place, open_vault
from workers.settings import Settings, load_settings


def test_adding_a_repository_shows_what_to_enter_on_the_forge(headway: Headway) -> None:
    printed = headway.ok("repo", "add", URL)
    assert "Repository acme/harbour" in printed
    assert "http://localhost:8080/hooks/acme/harbour" in printed
    assert "In the repository on GitHub: Settings, Webhooks" in printed
    assert headway.ok("repo", "list") == f"acme/harbour\tgithub\t{URL}\n"


@pytest.mark.usefixtures("settings_of")
def test_the_shown_webhook_secret_is_the_stored_one(headway: Headway) -> None:
    printed = headway.ok("repo", "add", URL)
    settings = load_settings()
    engine = make_engine(settings.database)
    with reading(engine) as session:
        repo = session.query(Repo).one()
    engine.dispose()
    secret = open_vault(settings).unseal(hook_place(repo.id), repo.hook_secret_sealed)
    assert f"Secret     {secret} " in printed
    assert secret not in headway.ok("repo", "list")


def test_a_hook_file_is_executable_and_readable_by_its_owner_only(headway: Headway, tmp_path: Path) -> None:
    hook = tmp_path / "post-receive"
    printed = headway.ok("repo", "add", str(tmp_path / "bare.git"), "--name", "plain", "--hook-file", str(hook))
    assert stat.S_IMODE(hook.stat().st_mode) == 0o700
    assert hook.read_text().startswith("#!/bin/sh")
    assert "url=http://localhost:8080/hooks/plain" in hook.read_text()
    assert "Secret" not in printed


def test_a_hook_file_is_for_plain_git_only_and_must_be_writable(headway: Headway, tmp_path: Path) -> None:
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
def test_an_invalid_address_name_or_forge_is_refused(headway: Headway, arguments: tuple[str, ...]) -> None:
    result = headway("repo", "add", *arguments)
    assert result.exit_code in {2, 3}
    assert "password@" not in result.output


def test_a_refused_repository_is_not_stored(headway: Headway) -> None:
    headway.refused("repo", "add", "ftp://git.test/x.git")
    engine = make_engine(f"sqlite:///{headway.folder / 'headway.db'}")
    try:
        with reading(engine) as session:
            assert store.repos(session) == []
    finally:
        engine.dispose()


@pytest.mark.slow
def test_a_repository_is_removed_only_after_a_yes(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    assert headway("repo", "remove", "acme/harbour", stdin="n\n").exit_code == 1
    assert headway.ok("repo", "list")
    headway.ok("repo", "remove", "acme/harbour", "--yes")
    assert headway.ok("repo", "list") == ""
    assert "no repository named acme/harbour" in headway.refused("repo", "hook", "acme/harbour")


@pytest.mark.slow
def test_a_renewed_webhook_secret_is_another_one(headway: Headway) -> None:
    assert headway.ok("repo", "add", URL) != headway.ok("repo", "hook", "acme/harbour")


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


@pytest.mark.slow
def test_the_newest_wins_for_the_chosen_events(headway: Headway) -> None:
    headway.ok("repo", "add", URL)
    headway.ok("repo", "newest-wins", REPO, "--push")
    engine = make_engine(Settings(data_dir=headway.folder).database)
    with reading(engine) as session:
        assert [repo.newest_wins for repo in store.repos(session)] == [["push"]]
    engine.dispose()
    assert "no repository named nobody" in headway.refused("repo", "newest-wins", "nobody")
