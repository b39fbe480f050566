"""Headway as a user starts it: `headway serve`, a registry, and git repositories with real hooks."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.support.registry import Registry
from tests.support.services import free_port
from workers import store
from workers.db.session import make_engine, reading

HEADWAY = Path(sys.executable).with_name("headway")
FINAL = {"passed", "failed", "broken", "canceled"}
PATIENCE_S = 90


def until(what: str, check: Callable[[], Any], patience_s: float = PATIENCE_S, every_s: float = 0.05) -> Any:
    """Polls until `check` returns something true, and returns it. Fails with `what` after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {patience_s} s")


def children(pid: int) -> list[int]:
    """The process ids of a process's children and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            own = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        found += own + [grandchild for child in own for grandchild in children(child)]
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30,
) -> Answer:
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return Answer(answer.status, answer.read(), dict(answer.headers))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(), dict(error.headers))


COMM_CHARS_MAX = 15  # of the kernel, in a process's name


class Stack:
    """One running server with all its parts in `folder`."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self.registry = registry
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.data = folder / "data"
        self.log_path = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.token = ""

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
        return kept | {
            "HEADWAY_DATA_DIR": str(self.data),
            "HEADWAY_PORT": str(self.port),
            "HEADWAY_BASE_URL": self.url,
            "HEADWAY_LEASE_S": "3",
            "HEADWAY_GRACE_S": "2",
            "HEADWAY_SHUTDOWN_S": "4",
            "HEADWAY_REGISTRY_RETRY_S": "2",
            "HEADWAY_STEP_MEMORY_BYTES_MAX": str(256 * 1024**2),
            # The rule would be for all builds on this engine, also for those of tests that build through a proxy here.
            "HEADWAY_BUILDS_REACH_HOST": "true",
        }

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [HEADWAY, "serve"], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(f"headway serve answers (see {self.log_path})", self._ready)
        if not self.token:
            self.token = self.headway("token", "create", "admin", "tests").strip().splitlines()[-1]

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log_path.read_text(errors="replace")[-3000:]
        try:
            return ask(f"{self.url}/readyz").status == 200
        except OSError:
            return False

    def stop(self) -> int:
        """Stops the server with TERM, waits for all its child processes; the exit status."""
        assert self.process is not None
        family = children(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        until("all children are gone", lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()])
        self.process = None
        return status

    def family(self, word: str) -> list[int]:
        """The server's processes for `word`: forked ones have that name, others have it in their command line."""
        assert self.process is not None
        name = f"headway-{word}"[:COMM_CHARS_MAX]
        return [pid for pid in children(self.process.pid) if word in command_line(pid) or name == name_of(pid)]

    @property
    def installation(self) -> str:
        """The prefix of the keys of the server's jobs."""
        database = make_engine(f"sqlite:///{self.data}/headway.db")
        with reading(database) as session:
            number = store.counters(session)["installation"]
        database.dispose()
        return f"{number:08x}"

    def left_behind(self) -> list[str]:
        """The leftovers of this server's jobs: containers, networks, image tags, workspaces and build clients."""
        own = f"{self.installation}-"
        found = [path.name for path in (self.data / "workspaces").iterdir()]
        for kind in (["ps", "--all"], ["network", "ls"]):
            show = ["docker", *kind, "--filter", "label=headway.job", "--format", '{{.Label "headway.job"}} {{.ID}}']
            found += [line for line in printed(show).splitlines() if line.startswith(own)]
        names = printed(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).splitlines()
        found += [name for name in names if name.startswith((f"headway/build:{own}", f"{self.registry.host}/"))]
        return found + [f"client {link.parent.name}" for link in Path("/proc").glob("[0-9]*/cwd") if self._holds(link)]

    def _holds(self, link: Path) -> bool:
        try:
            return link.readlink().is_relative_to(self.data / "workspaces")
        except OSError:
            return False

    def headway(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [HEADWAY, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"headway {arguments}: {done.stderr}{done.stdout}"
        return done.stdout

    def api(self, path: str, *, method: str = "GET", body: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return ask(f"{self.url}/api{path}", method=method, body=data, headers=headers)


class Server(Protocol):
    """A running server: all its parts on this machine (``Stack``), or on several."""

    folder: Path

    def headway(self, *arguments: str, stdin: str = "") -> str: ...

    def api(self, path: str, *, method: str = "GET", body: Any = None) -> Answer: ...


class RepositoryOn:
    """A bare git repository with the hook of `headway repo add`, and a working copy."""

    def __init__(self, stack: Server, name: str, *options: str) -> None:
        self.stack = stack
        self.name = name
        self.bare = stack.folder / f"{name.replace('/', '-')}.git"
        self.work = stack.folder / f"{name.replace('/', '-')}"
        git(stack.folder, "init", "--quiet", "--bare", str(self.bare))
        git(stack.folder, "init", "--quiet", str(self.work))
        git(self.work, "remote", "add", "origin", str(self.bare))
        hook = self.bare / "hooks" / "post-receive"
        stack.headway("repo", "add", f"file://{self.bare}", "--name", name, "--hook-file", str(hook), *options)

    def push(self, files: Mapping[str, str], message: str = "a commit", branch: str = "main") -> int:
        """Writes files, commits and pushes; the number of the run in the hook's output."""
        output = self.push_raw(files, message, branch)
        numbers = [word.rsplit("/", 1)[1] for word in output.split() if "/runs/" in word]
        assert numbers, f"the hook named no run: {output}"
        return int(numbers[-1])

    def push_raw(self, files: Mapping[str, str], message: str = "a commit", branch: str = "main") -> str:
        for path, text in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "-m", message)
        return git(self.work, "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")

    @property
    def sha(self) -> str:
        return git(self.work, "rev-parse", "HEAD").strip()

    def run(self, number: int) -> Any:
        return self.stack.api(f"/repos/{self.name}/runs/{number}").json

    def ended(self, number: int, patience_s: float = PATIENCE_S) -> Any:
        """Waits for the end of the run; the run."""

        def look() -> Any:
            run = self.run(number)
            return run if run["state"] in FINAL else None

        return until(f"run {number} of {self.name} ends", look, patience_s)

    def step(self, number: int, name: str) -> Any:
        steps = [step for job in self.run(number)["jobs"] for step in job["steps"] if step["name"] == name]
        return steps[0] if steps else None

    def running(self, number: int, name: str, said: str) -> Any:
        """Waits until the log of the step contains `said`; the step."""

        def look() -> Any:
            step = self.step(number, name)
            return step if step and said.encode() in self.log(step) else None

        return until(f"step {name} of run {number} says {said!r}", look)

    def log(self, step: Any) -> bytes:
        return self.stack.api(f"/steps/{step['id']}/log").body


class Repository(RepositoryOn):
    """A repository of a server that is all on this machine."""

    stack: Stack


def printed(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada Example", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments], capture_output=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, (arguments, done.stderr)
    return (done.stdout + done.stderr).decode(errors="replace")
