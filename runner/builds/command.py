"""The command line of ``docker build`` for a build step, which must not give the build access to the worker's files."""

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from pipelines.environment.environment_size import WORD_BYTES_MAX, byte_count, word_bytes
from pipelines.images.build_values import is_build_id, is_one_line, wrong_values
from pipelines.plan import BuildStep
from pipelines.state import Reason
from runner.builds.places import Original, Places
from runner.builds.safe_read import read_file
from runner.errors import StepError
from runner.network.egress import JobEgress
from runner.network.proxies import NAMES

NOTHING_IGNORED = b"# nothing\n"
"""Not empty: an empty file would count as none."""
INSTALL_BUILDX = "install Docker's buildx plugin (docker-buildx-plugin, in Debian docker-buildx)"
_DIGEST_CHARS = 32
_SSH_AGENT = "SSH_AUTH_SOCK"
_VARIABLE_BYTES = 16


@dataclass(frozen=True)
class Builder:
    """A build client. With ``rawjson`` it can report its progress as JSON, else only as plain text.

    With ``metadata`` it can write a file about the finished image.
    """

    command: tuple[str, ...]
    rawjson: bool
    metadata: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def _accept(_text: str) -> None:
    """For callers that build any Dockerfile, from any image."""


@dataclass(frozen=True)
class Separation:
    """What keeps a build apart from those of others.

    Builds of one ``scope``, a text that no other repository knows, share cache mounts and the results of RUN with each
    other alone. ``contexts`` are images by the names that the Dockerfile has for them, ``syntax`` is that of the
    frontend. ``caches``, if given, is used instead of the step's ``cache_from``, and ``dockerfile`` instead of its own.
    """

    scope: str = ""
    dockerfile: Path | None = None
    contexts: Mapping[str, str] = field(default_factory=dict)
    syntax: str = ""
    caches: tuple[str, ...] | None = None

    def arguments(self, args: Mapping[str, str]) -> dict[str, str]:
        """The build arguments of the step, with those that no step may replace."""
        own = {"BUILDKIT_SYNTAX": self.syntax} if self.syntax else {}
        if self.scope:
            # BuildKit finds the result of a RUN by its text, not by what its cache mounts held: that would carry over
            # what a fork wrote to its cache. With another host name it is another RUN.
            own["BUILDKIT_CACHE_MOUNT_NS"] = _digest("cache mounts", self.scope)
            own["BUILDKIT_SANDBOX_HOSTNAME"] = _digest("results", self.scope)
        return {**args, **own}


def _digest(what: str, scope: str) -> str:
    return sha256(f"{what} {scope}".encode()).hexdigest()[:_DIGEST_CHARS]


@dataclass(frozen=True)
class BuildRequest:
    """A build step with all that it needs from its job. ``scratch`` is a folder that no step sees.

    ``engine`` are the variables that point the client to the engine. ``check`` raises StepError for the text of a
    Dockerfile that must not be built, ``check_image`` for the name of an image that the build must not use, and
    ``check_add`` for an ADD that must not download, which an image may bring along.

    ``secret_variables`` begins the names of the variables with the secrets: nothing else in the job can name one.

    Steps can replace ``checkout``, which is below ``workspace``, by a symbolic link, but cannot replace ``workspace``.
    """

    step: BuildStep
    workspace: Path
    checkout: Path
    scratch: Path
    docker_config: Path
    engine: Mapping[str, str]
    secrets: Mapping[str, str]
    tag: str
    egress: JobEgress = field(default_factory=JobEgress)
    check: Callable[[str], None] = _accept
    check_image: Callable[[str], None] = _accept
    check_add: Callable[[str], None] = _accept
    separation: Separation = Separation()
    secret_variables: str = field(default_factory=lambda: f"HEADWAY_SECRET_{token_hex(_VARIABLE_BYTES)}")

    @property
    def places(self) -> Places:
        """Where its files are."""
        return Places(self.workspace, self.checkout)

    def secret_variable(self, number: int) -> str:
        """The name of the variable with the secret of this number."""
        return f"{self.secret_variables}_{number}"


@dataclass(frozen=True)
class ResultFiles:
    """The files to which the client writes the ids of the image."""

    image_id: Path
    metadata: Path


def command_of(builder: Builder, request: BuildRequest, results: ResultFiles) -> list[str]:
    """The client's command line. Raises StepError if the step asks for something that is not allowed."""
    step = request.step
    check_values(step)
    context = context_of(request)
    dockerfile = request.separation.dockerfile or dockerfile_of(request)
    command = [*builder.command, "--progress", "rawjson" if builder.rawjson else "plain"]
    command += [f"--iidfile={results.image_id}"]
    command += [f"--metadata-file={results.metadata}"] if builder.metadata else []
    command += [f"--file={dockerfile}", f"--tag={request.tag}"]
    for name, value in (("--target", step.target), ("--network", step.network)):
        command += [f"{name}={value}"] if value else []
    # The client's configuration contains the egress proxies, in capitals. Build arguments of the step override them.
    proxies = {name: value for name, value in step.args.items() if name.upper() in NAMES}
    # In both cases: the client of Docker 20.10 would add the other one from its configuration, which would count.
    both = {spelt: value for name, value in proxies.items() for spelt in (name.upper(), name.lower())}
    args = both | step.args
    command += [f"--build-arg={name}={value}" for name, value in request.separation.arguments(args).items()]
    command += [f"--build-context={name}=docker-image://{pin}" for name, pin in request.separation.contexts.items()]
    command += [f"--label={name}={value}" for name, value in step.labels.items()]
    command += _secrets(builder, request)
    caches = step.cache_from if request.separation.caches is None else request.separation.caches
    command += [f"--ssh={entry}" for entry in step.ssh]
    command += [f"--cache-from={entry}" for entry in caches]
    if step.cache_to and not builder.metadata:
        what = "cache_to: this machine's build client writes no caches"
        raise StepError(Reason.INVALID_PIPELINE, f"{what}; {INSTALL_BUILDX}")
    command += [f"--cache-to={entry}" for entry in step.cache_to]
    command += [f"--platform={','.join(step.platforms)}"] if step.platforms else []
    command += ["--no-cache"] if step.no_cache else []
    command += ["--pull"] if step.pull else []
    return [*command, "--", str(context)]


def context_of(request: BuildRequest) -> Path:
    """The folder of the build context. Raises StepError if it leads out of the checkout."""
    return request.places.context(request.step.context)


def check_values(step: BuildStep) -> None:
    """Raises StepError for a value that the client would read as something else: a path, an option, another field."""
    if wrong := next(wrong_values(step), None):
        raise StepError(Reason.INVALID_PIPELINE, f"{wrong.message}; {wrong.hint}")


def _secrets(builder: Builder, request: BuildRequest) -> list[str]:
    """The options for secrets. Each says where its value is: else the client would look for a variable of that name,
    and then for a file.
    """
    own = environment_of(builder, request)
    if taken := next((name for name in request.step.secrets if name in own), ""):
        message = f"{taken!r} cannot be the id of a build secret: the build client has a variable of that name"
        raise StepError(Reason.INVALID_PIPELINE, f"{message}; give the secret another id")
    given = {name: f"env={request.secret_variable(number)}" for number, name in enumerate(request.step.secrets)}
    certificates = {name: f"src={path}" for name, path in request.egress.build_secrets().items()}
    return [f"--secret={_csv((_id(name), place))}" for name, place in (certificates | given).items()]


def _id(name: str) -> str:
    if not is_build_id(name):
        raise StepError(Reason.INVALID_PIPELINE, f"{name!r} cannot be the id of a build secret; rename it")
    return f"id={name}"


def _csv(fields: Sequence[str]) -> str:
    """The client parses these options as CSV, of which it takes the first line only.

    Without quoting, a comma in a name would start a new field; after a line break, what follows would be ignored.
    """
    if wrong := next((field for field in fields if not is_one_line(field)), None):
        message = f"{wrong!r} cannot be given to the build client: it has a line break or a control character"
        raise StepError(Reason.INVALID_PIPELINE, f"{message}; write it in one line")
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def dockerfile_of(request: BuildRequest) -> Path:
    """A copy of the Dockerfile that was checked: a step that runs at the same time could change the original.

    Raises StepError if there is none inside the repository, or if it must not be built.
    """
    step = request.step
    names = (step.dockerfile, step.dockerfile_else)
    original = None if step.dockerfile_inline else request.places.dockerfile(names, step.context)
    text = read_file(request.workspace, original.file) if original else step.dockerfile_inline.encode()
    request.check(text.decode(errors="replace"))
    copy = request.scratch / "dockerfile" / (original.place.name if original else "Dockerfile")
    copy.parent.mkdir(mode=0o700, exist_ok=True)
    copy.write_bytes(text)
    copy.with_name(f"{copy.name}.dockerignore").write_bytes(_ignored(request, original))
    return copy


def _ignored(request: BuildRequest, original: Original | None) -> bytes:
    """The text of ``.dockerignore``, also if there is none: then BuildKit does not look for it in the context.

    BuildKit reads it whole: one of terabytes, which takes a step no time to make, would take the engine all memory.
    """
    places = [context_of(request) / ".dockerignore"]
    if original:
        places.insert(0, original.place.with_name(f"{original.place.name}.dockerignore"))
    for place in places:
        path = request.places.inside(place, place.name, "file of ignored paths")
        if path.exists():
            return read_file(request.workspace, path) or NOTHING_IGNORED
    return NOTHING_IGNORED


def environment_of(builder: Builder, request: BuildRequest) -> dict[str, str]:
    """The client's whole environment. Secrets are passed in it, because all users can read a command line."""
    # Only a step that asks for the agent gets it: whether it may is decided before.
    names_kept = ("PATH", _SSH_AGENT) if request.step.ssh else ("PATH",)
    kept = {name: os.environ[name] for name in names_kept if name in os.environ}
    names = enumerate(request.step.secrets.values())
    given = {request.secret_variable(number): request.secrets[secret] for number, secret in names}
    for secret, (name, value) in zip(request.step.secrets.values(), given.items(), strict=True):
        if (size := word_bytes(name, byte_count(value))) > WORD_BYTES_MAX:
            message = (
                f"the secret {secret!r} has {size:,} bytes with its name; the build client gets {WORD_BYTES_MAX:,}"
            )
            raise StepError(
                Reason.INVALID_PIPELINE, f"{message} at most; keep the file elsewhere, and the key in a secret"
            )
    own = {
        "HOME": str(request.scratch),
        "DOCKER_CONFIG": str(request.docker_config),
        # Else buildx would run git in the checkout: a step may have written a .git/config that runs code on the worker.
        "BUILDX_GIT_INFO": "false",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "BUILDKIT_PROGRESS": "plain",
    }
    return {**kept, **request.egress.client_environment(), **request.engine, **own, **builder.environment, **given}
