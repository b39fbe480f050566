"""What a shell completes of commands that speak to a server: against a real server on a socket."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.state import PASSED
from runner.events import StepFinished, StepStarted
from tests.web.conftest import REPO, Site, serving
from web.cli import completion
from web.client.servers import Server, keep_token

pytestmark = pytest.mark.slow


@pytest.fixture
def server(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a server with repositories, which the environment names, with a token."""
    for name in (REPO, "acme/lamp", "acme/lamps", "other/x"):
        site.add_repo(name)
    with serving(site.services) as url:
        monkeypatch.setenv("HEADWAY_SERVER", url)
        monkeypatch.setenv("HEADWAY_TOKEN", site.token(site.add_user()))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        yield url


def context(command: str = "rerun", **params: object) -> Any:
    return SimpleNamespace(command=SimpleNamespace(name=command), params=params)


def test_repositories_and_the_newest_runs_of_one(server: str, site: Site) -> None:
    assert completion.repos(context(), "") == [REPO, "acme/lamp", "acme/lamps", "other/x"]
    assert completion.repos(context(), "acme/lamp") == ["acme/lamp", "acme/lamps"]
    assert completion.repos(context(), "z") == []
    for _ in range(12):
        site.queue()
    assert completion.runs(context(repo=REPO), "")[:3] == ["12", "11", "10"]
    assert completion.runs(context(repo=REPO), "1") == ["12", "11", "10", "1"]
    assert completion.runs(context(repo="acme/none"), "") == []
    assert completion.runs(context(), "") == []


def test_the_words_of_a_shell_are_repository_run_and_a_running_step(server: str, site: Site) -> None:
    with site.begin().recorder() as record:
        record(StepStarted(1))
        record(StepFinished(1, PASSED))
        record(StepStarted(2))
    for words, said in (
        ([], [REPO]), ([REPO], ["1"]), ([REPO, "1"], ["test"]), ([REPO, "x"], []), ([REPO, "1", "test"], []),
    ):  # fmt: skip
        assert completion.shell_words(context("shell", words=words), REPO[:7] if not words else "") == said


def test_without_a_named_server_only_the_commands_for_servers_ask_the_one_of_the_login(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_token(Server(server, os.environ["HEADWAY_TOKEN"]), os.environ)
    monkeypatch.delenv("HEADWAY_SERVER")
    monkeypatch.delenv("HEADWAY_TOKEN")
    assert completion.repos(context("logs"), "other") == ["other/x"]
    assert completion.repos(context("rerun"), "other") == []
    assert completion.repos(context("rerun", server=server), "other") == ["other/x"]


def test_silence_where_the_token_or_the_server_is_wrong(
    server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWAY_TOKEN", "wrong")
    assert completion.repos(context(), "") == []
    for address in ("http://127.0.0.1:1", "nonsense"):
        monkeypatch.setenv("HEADWAY_SERVER", address)
        assert completion.repos(context(), "") == []
        assert completion.runs(context(repo=REPO), "") == []
    assert capfd.readouterr() == ("", "")


def test_a_server_that_does_not_answer_is_waited_for_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HEADWAY_SERVER", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("HEADWAY_TOKEN", "t")
        begun = time.monotonic()
        assert completion.repos(context(), "") == []
        assert completion.ANSWER_S <= time.monotonic() - begun < completion.ANSWER_S + 1


def test_a_name_that_a_shell_takes_for_more_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not Headway may answer with anything."""
    body = b'[{"name": "a/$(reboot)"}, {"name": "a/b c"}, {"name": "a/\\u001b[2J"}, {"name": "a/ok"}]'
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body)
    program = "import socket, sys\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
    program += f"c, _ = s.accept()\nc.recv(65536)\nc.sendall({answer!r})\nc.close()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        monkeypatch.setenv("HEADWAY_SERVER", f"http://127.0.0.1:{other.stdout.readline().strip()}")
        monkeypatch.setenv("HEADWAY_TOKEN", "t")
        assert completion.repos(context(), "a") == ["a/ok"]


@pytest.mark.parametrize(
    ("line", "said"),
    [("headway logs acme/h", [REPO]), (f"headway rerun {REPO} ", ["1"]), (f"headway shell {REPO} ", ["1"])],
)
def test_a_shell_gets_the_names(server: str, site: Site, line: str, said: list[str]) -> None:
    site.queue()
    words = line.split(" ")
    variables = {"_HEADWAY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    program = "import sys; from runner.cli.start import main; sys.argv = ['headway']; main()"
    for _ in range(5):  # a busy machine may need more than the second that a server has
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        if done.stdout:
            break
    assert done.stdout.split() == said
