"""Fragments of other repositories: fetched from a real server, with a login or without, and what is refused."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.parser.fragment_addresses import Address
from runner.errors import StepError
from runner.source.git.foreign import ForeignServer
from runner.source.git.git import GitLogin
from runner.source.git.server import TransientGitError
from runner.source.mirrors.mirror import Mirror
from runner.source.other_repositories import REPOSITORIES_COUNT_MAX, OtherRepositories
from tests.support.git_server import PASSWORD, USER, GitServer, git_server
from tests.support.repos import Repo

STEPS = "steps: []\n"
LOGIN = GitLogin(USER, PASSWORD)
Make = Callable[..., OtherRepositories]
Change = Callable[[ForeignServer], ForeignServer]


@pytest.fixture
def served(tmp_path: Path) -> Repo:
    (tmp_path / "served").mkdir()
    return Repo(tmp_path / "served" / "ci.git")


@pytest.fixture
def server(served: Repo) -> Iterator[GitServer]:
    with git_server(served.path.parent) as found:
        yield found


@pytest.fixture
def closed(served: Repo) -> Iterator[GitServer]:
    with git_server(served.path.parent, login=True) as found:
        yield found


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes what reads other repositories, for a run of the repository at an address."""

    def others(
        own: str, *, login: GitLogin | None = None, trusted: bool = True, change: Change = lambda foreign: foreign
    ) -> OtherRepositories:
        def opened(url: str, with_: GitLogin | None, foreign: ForeignServer) -> Mirror:
            return Mirror(tmp_path / "m", url, with_, foreign=change(foreign))

        return OtherRepositories(own, opened, login, trusted=trusted)

    return others


def test_a_file_of_a_commit_that_is_at_no_tip(server: GitServer, served: Repo, make: Make) -> None:
    sha = served.commit({"ci/test.yml": STEPS})
    served.commit({"ci/test.yml": "newer"}, sha)
    others = make(f"{server.url}/app.git")
    address = Address("ci/test.yml", f"{server.url}/ci.git", sha)
    assert others.read(address) == STEPS.encode()
    asked = len(server.asked)
    assert others.read(address) == STEPS.encode()
    assert len(server.asked) == asked, "what is here is not fetched again"


def test_a_trusted_run_reads_its_own_host_with_the_login(closed: GitServer, served: Repo, make: Make) -> None:
    address = Address("test.yml", f"{closed.url}/ci.git", served.commit({"test.yml": STEPS}))
    assert make(f"{closed.url}/app.git", login=LOGIN).read(address) == STEPS.encode()


def test_an_untrusted_run_has_no_login(closed: GitServer, served: Repo, make: Make) -> None:
    address = Address("test.yml", f"{closed.url}/ci.git", served.commit({"test.yml": STEPS}))
    with pytest.raises(StepError, match=r"ci\.git@"):
        make(f"{closed.url}/app.git", login=LOGIN, trusted=False).read(address)
    assert set(closed.logins) == {None}


def test_no_other_port_gets_the_login(closed: GitServer, server: GitServer, served: Repo, make: Make) -> None:
    address = Address("test.yml", f"{closed.url}/ci.git", served.commit({"test.yml": STEPS}))
    with pytest.raises(StepError, match="at another host than that of this repository"):
        make(f"{server.url}/app.git", login=LOGIN).read(address)
    assert closed.logins == []


@pytest.mark.parametrize(
    ("own", "repo", "trusted", "why"),
    [
        ("https://a.test/app", "http://b.test/ci", True, "at another host"),
        ("https://a.test/app", "http://127.0.0.1:6379/ci", False, "at another host"),
        ("https://a.test/app", "ssh://git@b.test/ci", True, "at another host"),
        ("https://a.test/app", "git@b.test:team/ci", True, "at another host"),
        ("ssh://git@a.test/app", "git@a.test:team/ci", False, "without the machine's keys"),
        ("ssh://git@a.test:2222/app", "ssh://git@a.test/ci", True, "at another host"),
        ("", "http://b.test/ci", True, "at another host"),
        ("https://a.test/app", "https://127.0.0.1:8443/ci", False, "the worker's own machine"),
        ("https://a.test/app", "https://169.254.169.254/ci", True, "the metadata service of its cloud"),
        ("https://a.test/app", "https://[::ffff:7f00:1]/ci", True, "the worker's own machine"),
        ("https://a.test/app", "https://2130706433/ci", True, "the worker's own machine"),
        ("https://127.0.0.1/app", "https://127.0.0.1:8443/ci", True, "the worker's own machine"),
    ],
)
def test_an_address_that_a_run_may_not_ask(own: str, repo: str, trusted: bool, why: str, make: Make) -> None:
    with pytest.raises(StepError, match=why):
        make(own, trusted=trusted).read(Address("test.yml", repo, "0" * 40))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"README": "x"}, "test.yml is not a file in the commit"),
        ({"test.yml@": "../../../etc/passwd"}, r"test\.yml"),
    ],
)
def test_what_is_not_there_is_a_problem_of_the_include(
    server: GitServer, served: Repo, make: Make, files: dict[str, str], why: str
) -> None:
    address = Address("test.yml", f"{server.url}/ci.git", served.commit(files))
    with pytest.raises(StepError, match=why):
        make(f"{server.url}/app.git").read(address)


def test_a_commit_or_a_repository_that_is_not_there_is_one_too(server: GitServer, served: Repo, make: Make) -> None:
    served.commit({"test.yml": STEPS})
    others = make(f"{server.url}/app.git")
    with pytest.raises(StepError, match="the repository has no commit 1111") as error:
        others.read(Address("test.yml", f"{server.url}/ci.git", "1" * 40))
    assert type(error.value) is StepError
    with pytest.raises(StepError, match=r"none\.git") as error:
        others.read(Address("test.yml", f"{server.url}/none.git", "1" * 40))
    assert type(error.value) is StepError


def test_a_server_in_trouble_is_asked_again_later(server: GitServer, served: Repo, make: Make) -> None:
    address = Address("test.yml", f"{server.url}/ci.git", served.commit({"test.yml": STEPS}))
    server.instead = [(503, {})] * 20
    with pytest.raises(TransientGitError):
        make(f"{server.url}/app.git").read(address)


def test_the_number_of_repositories_is_limited(server: GitServer, served: Repo, make: Make) -> None:
    sha = served.commit({"test.yml": STEPS})
    others = make(f"{server.url}/app.git")
    for number in range(REPOSITORIES_COUNT_MAX):
        Repo(served.path.parent / f"{number}.git").commit({"test.yml": STEPS})
        assert others.read(Address("test.yml", f"{server.url}/{number}.git", sha)) == STEPS.encode()
    with pytest.raises(StepError, match="it is in one more than 5 other repositories"):
        others.read(Address("test.yml", f"{server.url}/ci.git", sha))


def test_a_redirect_to_the_worker_itself_is_not_followed(server: GitServer, served: Repo, make: Make) -> None:
    address = Address("test.yml", f"{server.url}/moved.git", served.commit({"test.yml": STEPS}))
    closed: list[str] = []
    server.moved = {"/moved.git": f"http://localhost:{server.server_address[1]}/ci.git"}

    def leads_to_host(host: str) -> bool:
        closed.append(host)
        return host == "localhost"

    def reaching(leads: Callable[[str], bool]) -> Change:
        return lambda foreign: replace(foreign, reach=replace(foreign.reach, leads_to_host=leads))

    with pytest.raises(StepError, match="the server sends to another place"):
        make(f"{server.url}/app.git", change=reaching(leads_to_host)).read(address)
    assert closed == ["localhost"]
    assert server.asked == []
    assert make(f"{server.url}/app.git", change=reaching(lambda _: False)).read(address)


@pytest.mark.parametrize("over", [0, 1])
def test_a_repository_that_is_too_large_fills_no_disk(server: GitServer, served: Repo, make: Make, over: int) -> None:
    """A hostile server may send without end; random bytes do not become fewer in a pack."""
    address = Address(
        "test.yml", f"{server.url}/ci.git", served.commit({"test.yml": STEPS, "big": random_text(300_000)})
    )
    make(f"{server.url}/app.git").read(address)
    (pack,) = served.path.parent.parent.glob("m/*.git/objects/pack/*.pack")
    most = pack.stat().st_size - over

    def limited(foreign: ForeignServer) -> ForeignServer:
        return replace(foreign, limits=replace(foreign.limits, file_bytes_max=most))

    shutil.rmtree(served.path.parent.parent / "m")
    others = make(f"{server.url}/app.git", change=limited)
    if over:
        with pytest.raises(StepError, match=f"the repository has more than {most:,} bytes to fetch"):
            others.read(address)
        assert list(served.path.parent.parent.glob("m/*.git/objects/pack/*")) == []
    else:
        assert others.read(address) == STEPS.encode()


def test_a_server_that_does_not_end_costs_only_so_much_time(server: GitServer, served: Repo, make: Make) -> None:
    server.hold = threading.Event()
    address = Address(
        "test.yml", f"{server.url}/ci.git", served.commit({"test.yml": STEPS, "big": random_text(2_000_000)})
    )

    def short(foreign: ForeignServer) -> ForeignServer:
        return replace(foreign, limits=replace(foreign.limits, deadline_s=time.monotonic() + 2))

    with pytest.raises(StepError, match="did not answer in time"):
        make(f"{server.url}/app.git", change=short).read(address)
    server.hold.set()
    assert list(served.path.parent.parent.glob("m/*.git/objects/pack/*")) == []


def random_text(size_bytes: int) -> str:
    return os.urandom(size_bytes // 2).hex()
