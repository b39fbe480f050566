"""`headway repo url`: a repository that was renamed or moved keeps its runs; its logins stay on their host."""

import pytest
from pydantic import SecretStr

from tests.web.cli.command import Headway
from tests.web.conftest import REPO
from web.operations.repos.clone_urls import is_same_host, moved_page
from workers.db.models import Repo
from workers.db.session import make_engine, reading
from workers.settings import Settings

OLD = "https://git.corp/old/app.git"


def stored(headway: Headway) -> Repo:
    settings = Settings(data_dir=headway.folder, secret_keys=SecretStr(headway.env["HEADWAY_SECRET_KEYS"]))
    engine = make_engine(settings.database)
    with reading(engine) as session:
        repo = session.query(Repo).one()
    engine.dispose()
    return repo


@pytest.fixture
def moved(headway: Headway) -> Headway:
    headway.ok("repo", "add", OLD, "--name", REPO, "--forge", "gitea", "--web-url", "https://git.corp/old/app")
    headway.ok("repo", "login", REPO, "-u", "bot", stdin="pass-word")
    headway.ok("repo", "token", REPO, stdin="tok-1")
    return headway


@pytest.mark.slow
def test_a_repository_renamed_on_its_host_keeps_its_logins(moved: Headway) -> None:
    assert moved.ok("repo", "url", REPO, "https://git.corp/new/app.git") == (
        f"{REPO} is cloned from https://git.corp/new/app.git now.\n"
    )
    repo = stored(moved)
    assert (repo.clone_url, repo.web_url) == ("https://git.corp/new/app.git", "")
    assert repo.clone_password_sealed
    assert repo.forge_token_sealed
    assert repo.hook_secret_sealed, "its webhook works on"


@pytest.mark.slow
def test_the_logins_of_another_host_are_forgotten(moved: Headway) -> None:
    printed = moved.ok("repo", "url", REPO, "https://evil.test/old/app.git")
    assert f"set them again with headway repo login {REPO} and headway repo token {REPO}." in printed
    repo = stored(moved)
    assert (repo.clone_username, repo.clone_password_sealed, repo.forge_token_sealed) == ("", "", "")


@pytest.mark.slow
def test_adding_it_again_elsewhere_forgets_them_too(moved: Headway) -> None:
    moved.ok("repo", "add", "https://git.corp/new/app.git", "--name", REPO, "--forge", "gitea", "--replace")
    assert stored(moved).clone_password_sealed
    moved.ok("repo", "add", "https://evil.test/app.git", "--name", REPO, "--forge", "gitea", "--replace")
    assert (stored(moved).clone_password_sealed, stored(moved).forge_token_sealed) == ("", "")


@pytest.mark.parametrize("url", ["ext::sh -c x", "https://me:pw@git.corp/a", "ftp://git.corp/a"])
def test_an_address_that_cannot_be_used_is_refused(moved: Headway, url: str) -> None:
    moved.refused("repo", "url", REPO, url)
    assert stored(moved).clone_url == OLD


def test_a_repository_that_is_not_there_is_missing(headway: Headway) -> None:
    assert "There is no repository named" in headway.refused("repo", "url", "a/b", OLD)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("https://h/a", "https://h/b", True),
        ("https://h/a", "https://h:443/b", True),
        ("http://h/a", "https://h/b", True),
        ("http://h:3000/a", "https://h/b", False),
        ("https://h/a", "http://h/a", False),
        ("https://h/a", "https://h:8443/a", False),
        ("https://h/a", "https://h.evil/a", False),
        ("git@h:a", "ssh://git@h/b", True),
        ("git@h:a", "https://h/a", False),
    ],
)
def test_what_counts_as_the_same_host(old: str, new: str, same: bool) -> None:
    assert is_same_host(old, new) is same


@pytest.mark.parametrize(
    ("page", "old", "new", "now"),
    [
        ("", OLD, "https://git.corp/new/app", ""),
        ("https://git.corp/old/app", OLD, "https://git.corp/new/app", ""),
        (
            "https://git.corp/old/app",
            "git@git.corp:old/app.git",
            "git@git.corp:new/app.git",
            "https://git.corp/new/app",
        ),
        ("https://pages.test/project", OLD, "https://git.corp/new/app", "https://pages.test/project"),
    ],
)
def test_the_page_moves_with_the_repository(page: str, old: str, new: str, now: str) -> None:
    assert moved_page(page, old, new) == now
