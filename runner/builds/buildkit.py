"""``docker build`` by BuildKit, through the command line client: the engine's API alone lacks secrets and logins."""

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

from pipelines import platforms
from pipelines.state import Reason
from runner.builds.command import Builder, BuildRequest, ResultFiles, command_of, environment_of
from runner.builds.landlock import confined
from runner.builds.progress import FOREIGN_PROGRAM, Instruction, Progress
from runner.cancellation import Cancel
from runner.docker.error_mapping import classify_text, is_refusal
from runner.errors import MachineError, StepError
from runner.logs.output import Write

__all__ = ["Builder", "Watch", "build", "find_builder"]

CLIENT_TIMEOUT_S = 20
CLIENT_EXIT_S = 2
_ENGINE_GONE = ("Cannot connect to the Docker daemon", "failed to receive status", "error reading from server")
_RAWJSON_SINCE = (0, 13)
_WRAPPING = re.compile(
    r"^(?:failed to build: )?(?:failed to solve(?: with frontend dockerfile\.v0)?: )?"
    r"(?:failed to create LLB definition: )?"
)
"""What clients put before the reason: the first of them buildx 0.28 and newer, the last Docker 20.10."""
_SHOWN = re.compile(r" > (\[.+\] .+):")
"""The line with which a client without data for programs names the instruction that failed."""
_COMMAND_FAILED = ('process "', "executor failed running [")
"""How the reason begins where a command of RUN ended badly; the second in Docker 20.10."""
PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins", "/Applications/Docker.app/Contents/Resources/cli-plugins",
)  # fmt: skip
"""Where docker looks for plugins, beside the home's own folder."""
_BUILDKIT_BUILT_IN = range(19, 23)
"""Major versions of the client that need no plugin: with 23 buildx became a package of its own."""


def find_builder(search_path: str, home: str, plugin_folders: Sequence[str] = PLUGIN_FOLDERS) -> Builder:
    """The best client here: buildx itself, a docker that knows of a buildx, or an older one with BuildKit built in.

    buildx is looked for where docker looks for its plugins, and on ``search_path``: called by docker it starts twice,
    and docker would look in the home of the job. Raises MachineError where there is none.
    """
    folders = [folder for folder in search_path.split(os.pathsep) if folder]
    plugins = _programs("docker-buildx", [f"{home}/.docker/cli-plugins", *plugin_folders, *folders])
    clients = _programs("docker", folders)
    for words in [*((plugin,) for plugin in plugins), *((client, "buildx") for client in clients)]:
        found = re.search(r"v?(\d+)\.(\d+)\.", _ask([*words, "version"], home))
        if found:
            rawjson = (int(found[1]), int(found[2])) >= _RAWJSON_SINCE
            return Builder((*words, "build", "--provenance=false", "--load"), rawjson, metadata=True)
    for client in clients:
        found = re.search(r"version (\d+)\.", _ask([client, "--version"], home))
        if found and int(found[1]) in _BUILDKIT_BUILT_IN:
            return Builder((client, "build"), rawjson=False, environment={"DOCKER_BUILDKIT": "1"})
    hint = "install Docker's buildx plugin (docker-buildx-plugin, in Debian docker-buildx)"
    raise MachineError(Reason.NO_BUILDER, f"no docker client here can build with BuildKit; {hint}")


def _programs(name: str, folders: Sequence[str]) -> list[str]:
    return [path for folder in folders if os.access(path := f"{folder}/{name}", os.X_OK)]


def _ask(command: list[str], home: str) -> str:
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
    """Who listens to a build, and what may end it early: a cancel, or ``deadline`` by the monotonic clock."""

    write: Write
    on_instruction: Callable[[Instruction], None]
    cancel: Cancel
    deadline: float


def build(builder: Builder, request: BuildRequest, watch: Watch) -> tuple[str, ...]:
    """Builds and returns the image's digests, or none when it was canceled or the deadline came first.

    One of them is the id by which the engine knows the image. Which one depends on its image store: in the containerd
    store it is the digest of the manifest (of the index, where there are several platforms), else that of the
    configuration.

    Raises StepError where the Dockerfile or a limit ended it, MachineError for faults of ours.
    """
    results = ResultFiles(request.scratch / "image-id", request.scratch / "metadata.json")
    progress = Progress(watch.write, watch.on_instruction)
    plain = _Plain(watch.write)
    feed = progress.feed if builder.rawjson else plain.feed
    client = _Client(command_of(builder, request, results), environment_of(builder, request), request)
    status = _run(client, feed, watch)
    if status is None:
        return ()
    progress.flush()
    if status != 0:
        raise _failure(progress, progress.plain or plain.last)
    return _digests(results)


def _digests(results: ResultFiles) -> tuple[str, ...]:
    """The manifest's digest, where the client tells it, and the configuration's."""
    known = json.loads(results.metadata.read_text()) if results.metadata.exists() else {}
    found = (str(known.get("containerimage.digest", "")), results.image_id.read_text().strip())
    return tuple(dict.fromkeys(digest for digest in found if digest))


class _Plain:
    """The plain words of an older client: written as they come, the last ones kept to tell why it failed."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._line = b""
        self.last: list[str] = []

    def feed(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            self.last = [*self.last[-30:], text]
            self._write(text)


def _failure(progress: Progress, said: list[str]) -> StepError:
    """Why the build failed: which instruction, on which lines, or what was wrong around it."""
    last = next((line for line in reversed(said) if line), "")
    error = next((line.removeprefix("ERROR: ") for line in reversed(said) if line.startswith("ERROR: ")), last)
    error = _WRAPPING.sub("", error) or "the build client ended without saying why"
    place = next((line for line in said if re.fullmatch(r"\S+:\d+", line)), "")
    at = f" ({place})" if place else ""
    if error.startswith(_COMMAND_FAILED):
        # The user's own command ended badly. What it is called must not be taken for what went wrong.
        shown = next((found[1] for line in said if (found := _SHOWN.fullmatch(line))), "RUN")
        named = progress.failed.text if progress.failed else shown
        foreign = progress.foreign_program or any(line.endswith(FOREIGN_PROGRAM.decode()) for line in said)
        hint = f"; this machine cannot run programs of that platform: {platforms.EMULATION}" if foreign else ""
        return StepError(Reason.BUILD_FAILED, f"the instruction {named!r} failed{at}: {error}{hint}")
    if any(sign in error for sign in _ENGINE_GONE):
        return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away while the image was built: {error}")
    known = classify_text(error)
    if known.reason is not Reason.INTERNAL:
        return known
    if _is_about_a_base_image(error):
        hint = "check the name in FROM; for a private image log in: headway registry login HOST"
        return StepError(Reason.IMAGE_NOT_FOUND, f"the base image cannot be had: {error}; {hint}")
    if progress.failed:
        return StepError(
            Reason.BUILD_FAILED, f"the instruction {progress.failed.text!r} failed{at}: {progress.failed.error}"
        )
    return StepError(Reason.BUILD_FAILED, f"the image could not be built{at}: {error}")


def _is_about_a_base_image(error: str) -> bool:
    resolving = "failed to resolve source metadata" in error or "failed to authorize" in error
    if re.fullmatch(r"[^\s\"]+: not found|pulling from host \S+ failed with status code .*: 40[13] .*", error):
        return True  # in the words of Docker 20.10
    return "pull access denied" in error or (resolving and ("not found" in error or is_refusal(error)))


@dataclass(frozen=True)
class _Client:
    """A build client that is yet to be started."""

    command: Sequence[str]
    environment: Mapping[str, str]
    request: BuildRequest

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it, able to read what the steps see and its own files, and no others of this machine."""
        own: list[Path | str] = [os.path.realpath(self.command[0]), *self.request.company.build_secrets().values()]
        request = self.request
        return confined(self._start, (*own, request.workspace, request.scratch, request.docker_config))

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(self.command), env=dict(self.environment), cwd=self.request.scratch, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def _run(client: _Client, feed: Callable[[bytes], None], watch: Watch) -> int | None:
    """Runs the client, feeding what it says, and returns its exit status; None when it was stopped before its end."""
    with client.start() as process:
        ended = False
        try:
            ended = _feed(process, feed, watch.cancel, watch.deadline)
        finally:
            _stop(process, patience_s=CLIENT_EXIT_S if ended else 0)
    return process.returncode if ended else None


def _feed(process: subprocess.Popen[bytes], feed: Callable[[bytes], None], cancel: Cancel, deadline: float) -> bool:
    """Hands on the client's words until their end; False when a cancel or the deadline came first."""
    assert process.stdout is not None  # noqa: S101 - asked for as a pipe above
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(cancel, selectors.EVENT_READ)
        while not cancel and time.monotonic() < deadline:
            selector.select(max(0.0, deadline - time.monotonic()))
            if cancel or time.monotonic() >= deadline:
                continue
            data = os.read(process.stdout.fileno(), 64 * 1024)
            if not data:
                feed(b"\n")
                return True
            feed(data)
    return False


def _stop(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Ends the client and whatever it started, if it does not end by itself within ``patience_s``."""
    for name, within_s in ((None, patience_s), (signal.SIGTERM, 5), (signal.SIGKILL, 30)):
        if name is not None:
            os.killpg(process.pid, name)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=within_s)
            break
