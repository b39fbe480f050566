"""``docker build`` by BuildKit, through the command line client: the engine's API alone lacks secrets and logins."""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.plan import BuildStep
from pipelines.state import Reason
from runner.cancel import Cancel
from runner.engine import classify_text, is_refusal
from runner.errors import MachineError, StepError
from runner.output import Write
from runner.progress import Instruction, Progress

CLIENT_TIMEOUT_S = 20
CLIENT_EXIT_S = 2
_RAWJSON_SINCE = (0, 13)
_BUILDKIT_BUILT_IN = range(19, 23)
"""Major versions of the client that need no plugin: with 23 buildx became a package of its own."""


@dataclass(frozen=True)
class Builder:
    """A client that can build with BuildKit. ``rawjson``: its progress comes as data, else as plain text."""

    command: tuple[str, ...]
    rawjson: bool
    environment: Mapping[str, str] = field(default_factory=dict)


def find_builder(search_path: str, home: str) -> Builder:
    """The best client on ``search_path``: one with the buildx plugin, else an older one with BuildKit built in.

    A first ``docker`` on the path need not be the one that came with the plugin. Raises MachineError without any.
    """
    clients = [Path(folder) / "docker" for folder in search_path.split(os.pathsep) if folder]
    clients = [client for client in clients if os.access(client, os.X_OK)]
    for client in clients:
        version = _ask([str(client), "buildx", "version"], home)
        found = re.search(r"v?(\d+)\.(\d+)\.", version)
        if found:
            rawjson = (int(found[1]), int(found[2])) >= _RAWJSON_SINCE
            return Builder((str(client), "buildx", "build"), rawjson)
    for client in clients:
        found = re.search(r"version (\d+)\.", _ask([str(client), "--version"], home))
        if found and int(found[1]) in _BUILDKIT_BUILT_IN:
            return Builder((str(client), "build"), rawjson=False, environment={"DOCKER_BUILDKIT": "1"})
    hint = "install Docker's buildx plugin (docker-buildx-plugin, in Debian docker-buildx)"
    raise MachineError(Reason.NO_BUILDER, f"no docker client here can build with BuildKit; {hint}")


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
class BuildRequest:
    """A build step with all that it needs from its job. ``scratch`` is a folder that no step sees."""

    step: BuildStep
    checkout: Path
    scratch: Path
    docker_config: Path
    docker_host: str
    secrets: Mapping[str, str]
    tag: str


@dataclass(frozen=True)
class Watch:
    """Who listens to a build, and what may end it early."""

    write: Write
    on_instruction: Callable[[Instruction], None]
    cancel: Cancel
    timeout_s: float


def build(builder: Builder, request: BuildRequest, watch: Watch) -> str:
    """Builds and returns the image's id, or an empty text when the build was canceled.

    Raises StepError where the Dockerfile or a limit ended it, MachineError for faults of ours.
    """
    id_file = request.scratch / "image-id"
    id_file.unlink(missing_ok=True)
    progress = Progress(watch.write, watch.on_instruction)
    plain = _Plain(watch.write)
    feed = progress.feed if builder.rawjson else plain.feed
    status = _run(_command(builder, request, id_file), _environment(builder, request), request.scratch, feed, watch)
    if watch.cancel:
        return ""
    if status != 0:
        raise _failure(progress, progress.plain or plain.last)
    return id_file.read_text().strip()


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
    error = next((line.removeprefix("ERROR: ") for line in reversed(said) if line.startswith("ERROR: ")), "")
    error = error.removeprefix("failed to solve: ") or "the build client ended without saying why"
    known = classify_text(error)
    if known.reason is not Reason.INTERNAL:
        return known
    if (
        "pull access denied" in error
        or ("not found" in error and "failed to resolve source metadata" in error)
        or is_refusal(error)
    ):
        hint = "check the name in FROM; for a private image log in: headway registry login HOST"
        return StepError(Reason.IMAGE_NOT_FOUND, f"the base image cannot be had: {error}; {hint}")
    place = next((line for line in said if re.fullmatch(r"\S+:\d+", line)), "")
    at = f" ({place})" if place else ""
    if progress.failed:
        return StepError(
            Reason.BUILD_FAILED, f"the instruction {progress.failed.text!r} failed{at}: {progress.failed.error}"
        )
    return StepError(Reason.BUILD_FAILED, f"the image could not be built{at}: {error}")


def _command(builder: Builder, request: BuildRequest, id_file: Path) -> list[str]:
    step = request.step
    context = _inside(request.checkout, step.context, "build context")
    if step.dockerfile_inline:
        dockerfile = request.scratch / "Dockerfile"
        dockerfile.write_text(step.dockerfile_inline)
    else:
        dockerfile = _dockerfile(request, context)
    command = [*builder.command, "--progress", "rawjson" if builder.rawjson else "plain", "--iidfile", str(id_file)]
    command += ["--file", str(dockerfile), "--tag", request.tag]
    if builder.command[1] == "buildx":
        command += ["--provenance=false", "--load"]
    for name, value in (("--target", step.target), ("--network", step.network)):
        command += [name, value] if value else []
    command += [f"--build-arg={name}={value}" for name, value in step.args.items()]
    command += [f"--label={name}={value}" for name, value in step.labels.items()]
    command += [f"--secret=id={name},env={_secret_variable(name)}" for name in step.secrets]
    command += [f"--ssh={entry}" for entry in step.ssh]
    command += [f"--cache-from={entry}" for entry in step.cache_from]
    command += [f"--cache-to={entry}" for entry in step.cache_to]
    command += [f"--platform={','.join(step.platforms)}"] if step.platforms else []
    command += ["--no-cache"] if step.no_cache else []
    command += ["--pull"] if step.pull else []
    return [*command, "--", str(context)]


def _dockerfile(request: BuildRequest, context: Path) -> Path:
    """The Dockerfile, looked for in the checkout and, as Compose does, in the context."""
    for folder in dict.fromkeys((request.checkout, context)):
        path = _inside(folder, request.step.dockerfile, "Dockerfile")
        if path.is_file():
            return path
    hint = "add one, or say where it is with `dockerfile:`"
    raise StepError(Reason.BUILD_FAILED, f"there is no file {request.step.dockerfile} in the repository; {hint}")


def _inside(folder: Path, name: str, what: str) -> Path:
    """The path below ``folder``. A step may have put a link there that leads out to the worker's own files."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise StepError(Reason.BUILD_FAILED, f"the {what} {name!r} leads out of the repository; it must stay inside")
    if what == "build context" and not path.is_dir():
        raise StepError(Reason.BUILD_FAILED, f"the build context {name!r} is no folder of the repository")
    return path


def _secret_variable(name: str) -> str:
    return "HEADWAY_BUILD_SECRET_" + re.sub(r"\W", "_", name).upper()


def _environment(builder: Builder, request: BuildRequest) -> dict[str, str]:
    kept = {
        name: os.environ[name]
        for name in ("PATH", "SSH_AUTH_SOCK", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        if name in os.environ
    }
    given = {_secret_variable(name): request.secrets[secret] for name, secret in request.step.secrets.items()}
    own = {
        "HOME": str(request.scratch),
        "DOCKER_CONFIG": str(request.docker_config),
        "DOCKER_HOST": request.docker_host,
        # buildx would run git in the checkout, whose .git/config a step may have written: code of theirs on the worker.
        "BUILDX_GIT_INFO": "false",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "BUILDKIT_PROGRESS": "plain",
    }
    return {**kept, **own, **builder.environment, **given}


def _run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, feed: Callable[[bytes], None], watch: Watch
) -> int:
    """Runs the client, feeding what it says, and returns its exit status. Stops it on cancel and timeout."""
    deadline = time.monotonic() + watch.timeout_s
    with subprocess.Popen(
        list(command), env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            ended = _feed(process, feed, watch.cancel, deadline)
        finally:
            _stop(process)
    if not ended and not watch.cancel:
        raise StepError(Reason.TIMEOUT, f"timed out after {int(watch.timeout_s)} s while building")
    return process.returncode


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


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the client and whatever it started, if it has not ended by itself."""
    for name, patience_s in ((None, CLIENT_EXIT_S), (signal.SIGTERM, 5), (signal.SIGKILL, 30)):
        if name is not None:
            os.killpg(process.pid, name)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience_s)
            break
