"""Runs ``docker build`` with BuildKit through its command line client: the engine's API has no secrets and logins."""

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.state import Reason
from runner.builds.command import (
    INSTALL_BUILDX,
    Builder,
    BuildRequest,
    ResultFiles,
    command_of,
    context_of,
    environment_of,
)
from runner.builds.failures import failure
from runner.builds.landlock import confined
from runner.builds.progress import Instruction, Progress
from runner.builds.resolved import resolved_add, resolved_image, step_in_line
from runner.cancellation import Cancel
from runner.errors import DiskNearlyFullError, MachineError
from runner.logs.output import Write, no_disk_problem

__all__ = ["Builder", "Watch", "build", "find_builder"]

CLIENT_TIMEOUT_S = 20
DISK_POLL_S = 0.5
CLIENT_EXIT_S = 2
_RAWJSON_SINCE = (0, 13)
PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins", "/Applications/Docker.app/Contents/Resources/cli-plugins",
)  # fmt: skip
"""Where docker looks for plugins, besides the user's home folder."""
_BUILDKIT_BUILT_IN = range(19, 23)
"""Major versions of the client that need no plugin: since 23 buildx is a package of its own."""


def find_builder(search_path: str, home: str, plugin_folders: Sequence[str] = PLUGIN_FOLDERS) -> Builder:
    """The best build client: buildx itself, docker with a buildx plugin, or an older docker with BuildKit built in.

    Looks for buildx in docker's plugin folders and on ``search_path``. It is called directly: docker would start it
    twice, and would look in the home folder of the job. Raises MachineError if there is none.
    """
    folders = [folder for folder in search_path.split(os.pathsep) if folder]
    plugins = _programs("docker-buildx", [f"{home}/.docker/cli-plugins", *plugin_folders, *folders])
    clients = _programs("docker", folders)
    for words in [*((plugin,) for plugin in plugins), *((client, "buildx") for client in clients)]:
        found = re.search(r"v?(\d+)\.(\d+)\.", _output([*words, "version"], home))
        if found:
            rawjson = (int(found[1]), int(found[2])) >= _RAWJSON_SINCE
            return Builder((*words, "build", "--provenance=false", "--load"), rawjson, metadata=True)
    for client in clients:
        found = re.search(r"version (\d+)\.", _output([client, "--version"], home))
        if found and int(found[1]) in _BUILDKIT_BUILT_IN:
            return Builder((client, "build"), rawjson=False, environment={"DOCKER_BUILDKIT": "1"})
    what = "this machine has no docker client that can build with BuildKit"
    raise MachineError(Reason.NO_BUILDER, f"{what}; {INSTALL_BUILDX}")


def _programs(name: str, folders: Sequence[str]) -> list[str]:
    return [path for folder in folders if os.access(path := f"{folder}/{name}", os.X_OK)]


def _output(command: list[str], home: str) -> str:
    environment = {"PATH": os.defpath, "HOME": home}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


@dataclass(frozen=True)
class Watch:
    """Who gets the output of a build, and what ends it early: cancellation, or ``deadline`` by the monotonic clock.

    Where ``disk_problem`` returns a sentence, it raises DiskNearlyFullError.
    """

    write: Write
    on_instruction: Callable[[Instruction], None]
    cancel: Cancel
    deadline: float
    disk_problem: Callable[[], str] = no_disk_problem


def build(builder: Builder, request: BuildRequest, watch: Watch) -> tuple[str, ...]:
    """Builds the image and returns its digests, or none if it was canceled or the deadline came first.

    One of the digests is the image's id in the engine. Which one depends on the image store: in the containerd store it
    is the digest of the manifest (of the index for several platforms), else that of the configuration.

    Raises StepError if the Dockerfile or a limit is the cause, MachineError if the machine is.
    """
    results = ResultFiles(request.scratch / "image-id", request.scratch / "metadata.json")
    images = request.separation.contexts
    progress = Progress(watch.write, watch.on_instruction, lambda step: _check_step(request, step), images)
    plain = _PlainOutput(watch.write, lambda line: _check_step(request, step_in_line(line)))
    feed = progress.feed if builder.rawjson else plain.feed
    client = _Client(command_of(builder, request, results), environment_of(builder, request), request)
    status = _run(client, feed, watch)
    if status is None:
        return ()
    progress.flush()
    if status != 0:
        raise failure(progress, progress.plain or plain.last, context_of(request))
    return _digests(results)


def _check_step(request: BuildRequest, step: str) -> None:
    """Ends the build, by an error, before it runs anything in an image, or uses a download, that it must not use."""
    if name := resolved_image(step):
        request.check_image(name)
    if instruction := resolved_add(step):
        request.check_add(instruction)


def _digests(results: ResultFiles) -> tuple[str, ...]:
    """The manifest's digest, if the client returns it, and the configuration's."""
    known = json.loads(results.metadata.read_text()) if results.metadata.exists() else {}
    found = (str(known.get("containerimage.digest", "")), results.image_id.read_text().strip())
    return tuple(dict.fromkeys(digest for digest in found if digest))


class _PlainOutput:
    """The plain output of an older client. Keeps the last lines, to explain why a build failed."""

    def __init__(self, write: Write, on_line: Callable[[str], None]) -> None:
        self._write = write
        self._on_line = on_line
        self._line = b""
        self.last: list[str] = []

    def feed(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            self.last = [*self.last[-30:], text]
            self._write(text)
            self._on_line(text)


@dataclass(frozen=True)
class _Client:
    """How to start a build client."""

    command: Sequence[str]
    environment: Mapping[str, str]
    request: BuildRequest

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it confined: it can read what steps can read and its own files, and no other files of this machine."""
        own: list[Path | str] = [os.path.realpath(self.command[0]), *self.request.egress.build_secrets().values()]
        request = self.request
        return confined(self._start, (*own, request.workspace, request.scratch, request.docker_config))

    def _start(self) -> subprocess.Popen[bytes]:
        # If the client took some value for a relative path, there would be nothing: its settings have unknown names.
        empty = self.request.scratch / "empty"
        empty.mkdir(mode=0o500, exist_ok=True)
        return subprocess.Popen(
            list(self.command), env=dict(self.environment), cwd=empty, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def _run(client: _Client, feed: Callable[[bytes], None], watch: Watch) -> int | None:
    """Runs the client, passes its output to ``feed``, and returns its exit status; None if it was stopped early."""
    with client.start() as process:
        ended = False
        try:
            ended = _forward_output(process, feed, watch)
        finally:
            _stop(process, timeout_s=CLIENT_EXIT_S if ended else 0)
    return process.returncode if ended else None


def _forward_output(process: subprocess.Popen[bytes], feed: Callable[[bytes], None], watch: Watch) -> bool:
    """Passes on the client's output until its end; False if cancellation or the deadline came first."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    with selectors.DefaultSelector() as selector:
        output = selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(watch.cancel, selectors.EVENT_READ)
        while not watch.cancel and (left_s := watch.deadline - time.monotonic()) > 0:
            if problem := watch.disk_problem():
                raise DiskNearlyFullError(problem)
            ready = [key for key, _ in selector.select(min(left_s, DISK_POLL_S))]
            if watch.cancel or output not in ready:
                continue
            data = os.read(process.stdout.fileno(), 64 * 1024)
            if not data:
                feed(b"\n")
                return True
            feed(data)
    return False


def _stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Ends the client and its child processes, if it does not exit by itself within ``timeout_s``."""
    for name, within_s in ((None, timeout_s), (signal.SIGTERM, 5), (signal.SIGKILL, 30)):
        if name is not None:
            os.killpg(process.pid, name)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=within_s)
            break
