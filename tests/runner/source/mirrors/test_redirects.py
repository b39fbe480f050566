"""A repository that was renamed or moved on the forge: git follows, and the login goes to no other host."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from runner.errors import MachineError
from runner.source.git.git import GitLogin, origin
from runner.source.git.server import REDIRECTS_MAX, TransientGitError, redirected
from runner.source.mirrors.mirror import Mirror
from tests.support.git_server import PASSWORD, USER, GitServer, git_server
from tests.support.repos import Repo

LOGIN = GitLogin(USER, PASSWORD)


@pytest.fixture
def server(repo: Repo) -> Iterator[GitServer]:
    with git_server(repo.path.parent, login=True) as server:
        yield server


@pytest.fixture
def other(tmp_path: Path) -> Iterator[GitServer]:
    """Another host, which has the same repositories and asks for no login."""
    with git_server(tmp_path) as server:
        yield server


def old(folder: Path, server: GitServer, login: GitLogin | None = LOGIN) -> Mirror:
    return Mirror(folder / "mirrors", f"{server.url}/old/app.git", login, name="team/app")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_repository_that_moved_on_its_host_is_fetched_with_its_login(
    repo: Repo, server: GitServer, tmp_path: Path, status: int
) -> None:
    sha = repo.commit({"a": "1"})
    server.moved, server.redirect = {"/old/app.git": "/remote.git"}, status
    mirror = old(tmp_path, server)
    mirror.fetch(sha)
    assert mirror.tips()["refs/heads/main"] == sha
    assert mirror.moved_to == f"{server.url}/remote.git"
    assert all(login for login in server.logins)


def test_what_has_not_moved_or_was_not_asked_is_told_so(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git", LOGIN)
    assert mirror.moved_to is None
    mirror.fetch(sha)
    assert mirror.moved_to == ""
    local = Mirror(tmp_path / "local", repo.url)
    local.fetch(sha)
    assert local.moved_to is None, "git over SSH or on this machine is never redirected"


def test_a_repository_that_moved_twice_is_found(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    server.moved = {"/old/app.git": "/newer/app", "/newer/app": "/remote.git"}
    mirror = old(tmp_path, server)
    mirror.fetch(sha)
    assert mirror.moved_to == f"{server.url}/remote.git"


def test_the_same_address_with_git_at_its_end_is_no_move(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    server.moved = {"/remote": "/remote.git"}
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote/", LOGIN)
    mirror.fetch(sha)
    assert mirror.moved_to == ""


def test_redirects_in_a_circle_end(server: GitServer, tmp_path: Path) -> None:
    server.moved = {"/old/app.git": "/b.git", "/b.git": "/old/app.git"}
    with pytest.raises(MachineError, match=f"more than {REDIRECTS_MAX} redirects") as refused:
        old(tmp_path, server).tips()
    assert not isinstance(refused.value, TransientGitError)
    assert len(server.logins) == REDIRECTS_MAX + 1


def test_a_login_is_not_sent_to_another_host(repo: Repo, server: GitServer, other: GitServer, tmp_path: Path) -> None:
    sha = repo.commit({"a": "1"})
    server.moved = {"/old/app.git": f"{other.url}/remote.git"}
    mirror = old(tmp_path, server)
    mirror.fetch(sha)
    assert len(other.logins) > 1
    assert set(other.logins) == {None}
    assert mirror.moved_to == f"{other.url}/remote.git"


def test_another_host_that_wants_a_login_gets_none_and_the_sentence_says_what_to_do(
    repo: Repo, server: GitServer, other: GitServer, tmp_path: Path
) -> None:
    other.login = True
    server.moved = {"/old/app.git": f"{other.url}/remote.git"}
    with pytest.raises(MachineError) as refused:
        old(tmp_path, server).tips()
    new = f"{other.url}/remote.git"
    assert str(refused.value) == (
        f"cannot fetch from {server.url}/old/app.git, which has moved to {new}: it needs a login, or does not exist; "
        f"its login is for the old address: `headway repo url team/app {new}` changes its address, then "
        "`headway repo login team/app --username ACCOUNT` sets its login"
    )
    assert set(other.logins) == {None}


@pytest.mark.slow
def test_a_submodule_that_moved_is_found_beside_one_whose_name_begins_alike(
    repo: Repo, server: GitServer, tmp_path: Path
) -> None:
    library = Repo(tmp_path / "library.git").commit({"inner": "1"})
    extra = Repo(tmp_path / "lib-extra.git").commit({"inner": "2"})
    modules = '[submodule "a"]\n\tpath = a\n\turl = ../lib\n[submodule "b"]\n\tpath = b\n\turl = ../lib-extra\n'
    sha = repo.commit({".gitmodules": modules, "a+": library, "b+": extra})
    server.moved = {"/lib": "/library.git", "/lib-extra": "/lib-extra.git"}
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git", LOGIN)
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True), trusted=True)
    assert [(tmp_path / f"checkout/{name}/inner").read_text() for name in "ab"] == ["1", "2"]
    assert "library" not in (tmp_path / "checkout/.git/config").read_text()
    assert mirror.moved_to == ""


@pytest.mark.slow
def test_a_submodule_that_moved_twice_is_found(repo: Repo, server: GitServer, other: GitServer, tmp_path: Path) -> None:
    inner = Repo(tmp_path / "inner.git").commit({"inner": "1"})
    sha = repo.commit({".gitmodules": '[submodule "a"]\n\tpath = a\n\turl = ../gone.git\n', "a+": inner})
    server.moved = {"/gone.git": f"{other.url}/next.git"}
    other.moved = {"/next.git": "/inner.git"}
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git", LOGIN)
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True), trusted=True)
    assert (tmp_path / "checkout/a/inner").read_text() == "1"


@pytest.mark.slow
def test_a_submodule_that_moved_to_another_host_gets_no_login(
    repo: Repo, server: GitServer, other: GitServer, tmp_path: Path
) -> None:
    inner = Repo(tmp_path / "inner.git").commit({"inner": "1"})
    sha = repo.commit({".gitmodules": '[submodule "a"]\n\tpath = a\n\turl = ../gone.git\n', "a+": inner})
    server.moved = {"/gone.git": f"{other.url}/inner.git"}
    mirror = Mirror(tmp_path / "mirrors", f"{server.url}/remote.git", LOGIN)
    mirror.fetch(sha)
    mirror.checkout(sha, tmp_path / "checkout", Checkout(submodules=True), trusted=True)
    assert (tmp_path / "checkout/a/inner").read_text() == "1"
    assert set(other.logins) == {None}


@pytest.mark.parametrize(
    ("asked", "location", "new"),
    [
        ("http://h/a.git", "/b.git/info/refs?service=git-upload-pack", "http://h/b.git"),
        ("http://h/a.git", "https://h/a.git/info/refs?service=git-upload-pack", "https://h/a.git"),
        ("http://h/a", "https://me:pw@h/b/info/refs", "https://h/b"),
        ("http://h/a", "//other:8443/b/git-upload-pack", "http://other:8443/b"),
        ("https://h/a", "http://h/a/info/refs", ""),
        ("http://h/a", "/users/sign_in", ""),
        ("http://h/a", "", "http://h/a"),
        ("http://h/a", "file:///etc/info/refs", ""),
        ("http://h/a", "ext::sh/info/refs", ""),
        ("http://h/a", "/b;reboot/info/refs", ""),
        ("http://h/a", "/$(reboot)/info/refs", ""),
        ("http://h/a", "http://[::1/info/refs", ""),
        ("http://h/a", "http://-oProxy/info/refs", ""),
    ],
)
def test_where_a_redirect_leads(asked: str, location: str, new: str) -> None:
    assert redirected(asked, location) == new


@pytest.mark.parametrize(
    ("url", "its"),
    [
        ("https://h:443/a", "https://h"),
        ("http://h:80/a", "http://h"),
        ("http://h:443/a", "http://h:443"),
        ("http://[::1]:3000/a", "http://[::1]:3000"),
    ],
)
def test_a_login_is_for_one_scheme_host_and_port(url: str, its: str) -> None:
    assert origin(url) == its
