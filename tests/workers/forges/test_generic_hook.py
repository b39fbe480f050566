"""The post-receive hook, run by real git against a real HTTP server."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from pipelines.trigger import Trigger
from workers.forges import generic

SECRET = "0123456789abcdef6\\%s'\"$x" * 2
SHELLS = [shell for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
HOSTILE = "$(id)\";<script>alert('1')</script>`x`"

pytestmark = pytest.mark.skipif(
    not (shutil.which("git") and shutil.which("curl") and shutil.which("openssl")),
    reason="the hook needs git, curl and openssl",
)


def git(where: Path, *args: str) -> subprocess.CompletedProcess[str]:
    who = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    for role in ("AUTHOR", "COMMITTER"):
        who |= {f"GIT_{role}_NAME": "Mara", f"GIT_{role}_EMAIL": "mara@example.org"}
    return subprocess.run(["git", *args], cwd=where, env=who, capture_output=True, text=True, check=True)


class Receiver:
    """Records requests, and answers as Headway does."""

    def __init__(self, server: HTTPServer) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.url = server.url_for("/hooks/acme/harbour")
        server.expect_request("/hooks/acme/harbour", method="POST").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.came.append((headers, request.get_data()))
        return Response("run 1: http://ci.example.org/repos/acme/harbour/runs/1\n", 202, content_type="text/plain")

    def triggers(self) -> list[Trigger]:
        found: list[Trigger] = []
        for headers, body in self.came:
            assert generic.verify(headers, body, SECRET)
            parsed = generic.parse(headers, body)
            assert isinstance(parsed, tuple)
            found += parsed
        return found


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "bare.git")
    git(tmp_path, "clone", "-q", "bare.git", "clone")
    (tmp_path / "clone" / "file").write_text("1")
    git(tmp_path / "clone", "checkout", "-q", "-b", "main")
    git(tmp_path / "clone", "add", "file")
    git(tmp_path / "clone", "commit", "-q", "-m", 'It\'s "quoted"\n\n$(id) \x01 é')
    return tmp_path / "clone"


def install(clone: Path, url: str, shell: list[str]) -> None:
    program = shutil.which(shell[0]) or ""
    script = generic.hook_script(url, SECRET).replace("#!/bin/sh", "#!" + " ".join([program, *shell[1:]]), 1)
    hook = clone.parent / "bare.git" / "hooks" / "post-receive"
    hook.write_text(script)
    hook.chmod(0o700)


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_push_of_branches_and_tags_sends_a_signed_delivery_for_each(
    clone: Path, httpserver: HTTPServer, shell: list[str]
) -> None:
    receiver = Receiver(httpserver)
    install(clone, receiver.url, shell)
    git(clone, "branch", HOSTILE)
    git(clone, "tag", "-a", "v1", "-m", "annotated")
    pushed = git(clone, "push", "-q", "origin", "main", HOSTILE, "v1")
    head = git(clone, "rev-parse", "HEAD").stdout.strip()
    assert {trigger.ref for trigger in receiver.triggers()} == {
        "refs/heads/main",
        "refs/heads/" + HOSTILE,
        "refs/tags/v1",
    }
    assert {trigger.sha for trigger in receiver.triggers()} == {head}
    keys = {generic.delivery_key(headers, body) for headers, body in receiver.came}
    assert len(keys) == 3
    assert "Headway: run 1: http://ci.example.org/repos/acme/harbour/runs/1" in pushed.stderr


def test_a_push_succeeds_though_no_server_answers(clone: Path) -> None:
    install(clone, "http://127.0.0.1:9/hooks/x", SHELLS[0])
    started = time.monotonic()
    pushed = git(clone, "push", "-q", "origin", "main")
    assert pushed.returncode == 0
    assert "Headway: curl:" in pushed.stderr
    assert time.monotonic() - started < 60


def test_the_script_does_not_hold_the_secret_as_an_argument_of_any_program() -> None:
    assert SECRET not in generic.hook_script("http://x/hooks/y", SECRET)


def test_a_url_full_of_quotes_stays_text() -> None:
    script = generic.hook_script("http://x/hooks/a'b;touch owned", SECRET)
    assert "url='http://x/hooks/a'\"'\"'b;touch owned'" in script
