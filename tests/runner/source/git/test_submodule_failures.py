"""Submodules that cannot be fetched: a sentence for each, with their names and without folders of the worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.plan import Checkout
from pipelines.state import Reason
from runner.errors import MachineError
from runner.source.git.git import GitLogin
from runner.source.git.server import TransientGitError
from runner.source.mirrors.mirror import Mirror
from tests.support.git_server import PASSWORD, USER, GitServer, git_server
from tests.support.repos import Repo
from tests.support.services import free_port

LOGIN = GitLogin(USER, PASSWORD)


@pytest.fixture
def server(repo: Repo) -> Iterator[GitServer]:
    with git_server(repo.path.parent, login=True) as server:
        yield server


class Fails:
    """Checks out a commit with one submodule, which fails."""

    def __init__(self, repo: Repo, server: GitServer, folder: Path) -> None:
        self._repo, self.server, self.folder = repo, server, folder
        self.inner = Repo(folder / "inner.git")
        self.commit = self.inner.commit({"inner": "1"})

    def __call__(self, url: str, commit: str = "", *, trusted: bool = True, answer: int = 0) -> MachineError:
        modules = f'[submodule "sub"]\n\tpath = libs/sub\n\turl = {url}\n' if url else ""
        sha = self._repo.commit({".gitmodules": modules, "libs/sub+": commit or self.commit})
        mirror = Mirror(self.folder / "mirrors", f"{self.server.url}/remote.git", LOGIN, name="team/app")
        mirror.fetch(sha)
        self.server.instead = [(answer, {"Retry-After": "9"})] * 9 if answer else []
        with pytest.raises(MachineError) as failed:
            mirror.checkout(sha, self.folder / "work" / "checkout", Checkout(submodules=True), trusted=trusted)
        assert str(self.folder) not in failed.value.detail
        assert str(failed.value).startswith("cannot fetch the submodule libs/sub from ")
        return failed.value


@pytest.fixture
def fails(repo: Repo, server: GitServer, tmp_path: Path) -> Fails:
    return Fails(repo, server, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [503, 429])
def test_trouble_that_may_pass(fails: Fails, answer: int) -> None:
    away = fails("../inner.git", answer=answer)
    assert isinstance(away, TransientGitError)
    assert away.pause_s == 9
    assert f"from {fails.server.url}/inner.git: 127.0.0.1 " in str(away)


@pytest.mark.slow
def test_a_host_that_does_not_answer_may_do_so_later(fails: Fails) -> None:
    port = free_port()
    away = fails(f"http://127.0.0.1:{port}/inner.git")
    assert isinstance(away, TransientGitError)
    assert str(away).endswith(f"from http://127.0.0.1:{port}/inner.git: 127.0.0.1 accepts no connection at port {port}")


@pytest.mark.slow
def test_a_submodule_that_is_not_there(fails: Fails) -> None:
    no = fails("../none.git", answer=404)
    assert not isinstance(no, TransientGitError)
    assert "there is no such repository: " in str(no)
    assert "the account 'robot' may not see it; correct its address in .gitmodules, " in str(no)
    assert "into submodule path 'libs/sub' failed" in no.detail


@pytest.mark.slow
def test_an_untrusted_run_has_no_login_for_it(fails: Fails) -> None:
    no = fails("../inner.git", trusted=False)
    assert str(no).endswith(
        "it needs a login, or does not exist; an untrusted run fetches submodules and LFS files without the "
        "repository's login"
    )


@pytest.mark.slow
def test_another_host_gets_no_login(fails: Fails) -> None:
    with git_server(fails.folder, login=True) as other:
        no = fails(f"{other.url}/inner.git")
    assert "a submodule gets the login of its repository on the same host alone" in str(no)


@pytest.mark.slow
def test_a_commit_that_is_gone_is_named(fails: Fails) -> None:
    no = fails("../inner.git", commit="5" * 40)
    assert no.reason is Reason.COMMIT_MISSING
    assert f"it has no commit {'5' * 40}; push it there" in str(no)


@pytest.mark.slow
def test_a_submodule_without_an_address(fails: Fails) -> None:
    no = fails("")
    assert no.reason is Reason.COMMIT_MISSING
    assert "it has no address, or one that git refuses: correct it in .gitmodules" in str(no)


@pytest.mark.slow
def test_a_way_that_is_not_allowed(fails: Fails) -> None:
    no = fails("file:///srv/inner.git")
    assert "Headway does not fetch over 'file'; use https://" in str(no)
