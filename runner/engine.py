"""The one door to the Docker Engine, on the SDK. Nobody else speaks to the daemon, but for builds (build.py)."""

import base64
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig

from pipelines.state import Reason
from runner import hijack
from runner.errors import MachineError, StepError

REQUEST_TIMEOUT_S = 120
JOB_LABEL = "headway.job"
# Without rotation: a log that was rotated away could not be read again after a crash.
LOG_CONFIG = LogConfig(type=LogConfig.types.JSON, config={})
NANO_CPUS = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """What one container may use. 0 means no limit of ours."""

    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 4096


@dataclass(frozen=True)
class ContainerSpec:
    """All that makes a container. ``network`` is a network's name, ``container:ID``, ``host`` or ``none``."""

    image: str
    labels: Mapping[str, str]
    network: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[str, ...] = ()
    directory: str = ""
    aliases: tuple[str, ...] = ()
    hostname: str = ""
    stdin: bool = False
    user: str = ""
    privileged: bool = False
    devices: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    limits: Limits = Limits()


@dataclass(frozen=True)
class Login:
    """Credentials for one registry host."""

    username: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """The pair as HTTP's Basic scheme, and Docker's config.json, write it."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Engine:
    """A connection to one Docker Engine. Safe to use from several threads."""

    def __init__(self, docker_host: str | None = None) -> None:
        """Raises MachineError with the remedy when no engine answers."""
        environment = dict(os.environ) | ({"DOCKER_HOST": docker_host} if docker_host else {})
        try:
            self._client = docker.from_env(timeout=REQUEST_TIMEOUT_S, environment=environment)
            self._api = self._client.api
            self._api.ping()
        except (DockerException, requests.RequestException, ValueError) as error:
            where = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
            hint = "start it (systemctl start docker), or point DOCKER_HOST at one that runs"
            raise MachineError(Reason.ENGINE_GONE, f"no Docker Engine answers at {where}; {hint}") from error
        self.host = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        self._tls = hijack.tls_context(environment)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def info(self) -> dict[str, Any]:
        """What the engine says of itself."""
        with _translated():
            return dict(self._api.info())

    # Images

    def image(self, name: str) -> dict[str, Any] | None:
        """The engine's description of an image, by name or id, or None where it is not here."""
        with _translated():
            try:
                return dict(self._client.images.get(name).attrs)
            except ImageNotFound:
                return None

    def pull(self, name: str, login: Login | None) -> Iterator[dict[str, Any]]:
        """Pulls an image, giving the engine's progress messages. Raises StepError or MachineError."""
        repo, tag = split_tag(name)
        with _translated():
            yield from self._api.pull(repo, tag=tag, stream=True, decode=True, auth_config=_auth(login))

    def push(self, repo: str, tag: str, login: Login | None) -> Iterator[dict[str, Any]]:
        """Pushes ``repo:tag``, giving the engine's messages; errors are among them."""
        with _translated():
            yield from self._api.push(repo, tag=tag, stream=True, decode=True, auth_config=_auth(login))

    def tag(self, image: str, repo: str, tag: str) -> None:
        """Gives an image one more name."""
        with _translated():
            self._api.tag(image, repo, tag)

    def untag(self, name: str) -> None:
        """Takes a name off an image; the image goes when it was its last and no container uses it."""
        with _translated(), _absent_is_fine():
            self._api.remove_image(name, noprune=False)

    def import_image(self, archive: bytes, repo: str, tag: str) -> None:
        """Makes an image of one layer from a tar archive."""
        with _translated():
            self._api.import_image_from_data(archive, repository=repo, tag=tag)

    # Networks

    def create_network(self, name: str, labels: Mapping[str, str]) -> str:
        """Makes a bridge network and returns its id."""
        with _translated():
            return str(self._api.create_network(name, driver="bridge", labels=dict(labels), check_duplicate=True)["Id"])

    def remove_network(self, network: str) -> None:
        """Removes a network; one that is gone already is fine."""
        with _translated(), _absent_is_fine():
            self._api.remove_network(network)

    # Containers

    def create(self, spec: ContainerSpec) -> str:
        """Makes a container, not yet started, and returns its id."""
        joined = spec.network.startswith("container:")
        host = self._api.create_host_config(
            binds=list(spec.binds),
            network_mode=spec.network,
            init=True,
            security_opt=None if spec.privileged else ["no-new-privileges"],
            log_config=LOG_CONFIG,
            privileged=spec.privileged,
            devices=list(spec.devices) or None,
            tmpfs=_tmpfs(spec.tmpfs),
            dns=list(spec.dns) or None,
            dns_search=list(spec.dns_search) or None,
            extra_hosts=dict(entry.split(":", 1) for entry in spec.extra_hosts) or None,
            mem_limit=spec.limits.memory_bytes or None,
            memswap_limit=spec.limits.memory_bytes or None,
            nano_cpus=int(spec.limits.cpus * NANO_CPUS) or None,
            pids_limit=spec.limits.pids or None,
        )
        endpoint = self._api.create_endpoint_config(aliases=list(spec.aliases)) if spec.aliases else None
        with _translated():
            made = self._api.create_container(
                image=spec.image,
                command=None if spec.command is None else list(spec.command),
                entrypoint=None if spec.entrypoint is None else list(spec.entrypoint),
                environment=dict(spec.environment),
                working_dir=spec.directory or None,
                hostname=None if joined else spec.hostname or None,
                user=spec.user or None,
                labels=dict(spec.labels),
                stdin_open=spec.stdin,
                host_config=host,
                networking_config={"EndpointsConfig": {spec.network: endpoint}} if endpoint else None,
            )
        return str(made["Id"])

    def attach(self, container: str) -> hijack.Attached:
        """The streams of a container that is not started yet."""
        return hijack.attach(self.host, self._tls, self._api.api_version, container)

    def start(self, container: str) -> None:
        """Starts a container. Raises StepError where its command cannot be run."""
        with _translated():
            try:
                self._api.start(container)
            except APIError as error:
                raise _start_error(error) from error

    def kill(self, container: str, signal: str) -> None:
        """Sends a signal; a container that has ended already is fine."""
        with _translated(), _absent_is_fine(conflict=True):
            self._api.kill(container, signal)

    def wait(self, container: str) -> int:
        """The exit code of a container, waiting for its end."""
        with _translated():
            return int(self._api.wait(container, timeout=REQUEST_TIMEOUT_S)["StatusCode"])

    def inspect(self, container: str) -> dict[str, Any] | None:
        """The engine's description of a container, or None where it is gone."""
        with _translated():
            try:
                return dict(self._api.inspect_container(container))
            except NotFound:
                return None

    def logs(self, container: str, tail_lines: int) -> bytes:
        """The last lines that a container wrote."""
        with _translated():
            return bytes(self._api.logs(container, tail=tail_lines))

    def run_inside(self, container: str, command: list[str]) -> tuple[int, bytes]:
        """Runs a command in a running container: its exit code and output. 126 and 127 where it cannot be run."""
        with _translated():
            made = self._api.exec_create(container, command)
            output = self._api.exec_start(made["Id"])
            return int(self._api.exec_inspect(made["Id"])["ExitCode"]), bytes(output)

    def read_file(self, container: str, path: str) -> bytes | None:
        """A file as a container that is not started would see it, or None where there is none."""
        with _translated():
            try:
                chunks, _ = self._api.get_archive(container, path)
            except NotFound:
                return None
            with tarfile.open(fileobj=BytesIO(b"".join(chunks))) as archive:
                member = archive.extractfile(archive.next() or tarfile.TarInfo())
                return member.read() if member else None

    def remove(self, container: str) -> None:
        """Kills and removes a container with its anonymous volumes; one that is gone already is fine."""
        with _translated(), _absent_is_fine(conflict=True):
            self._api.remove_container(container, force=True, v=True)

    # What a job left behind

    def containers_labelled(self, label: str) -> list[dict[str, Any]]:
        """All containers, running or not, with ``label`` (``name`` or ``name=value``)."""
        with _translated():
            return list(self._api.containers(all=True, filters={"label": label}))

    def networks_labelled(self, label: str) -> list[dict[str, Any]]:
        """All networks with ``label``."""
        with _translated():
            return list(self._api.networks(filters={"label": label}))


def split_tag(name: str) -> tuple[str, str | None]:
    """``repo:tag`` or ``repo@digest`` in its two parts; ``latest`` where neither is given (as Docker does)."""
    if "@" in name:
        repo, _, digest = name.partition("@")
        return repo, digest
    head, _, last = name.rpartition("/")
    repo, colon, tag = last.partition(":")
    return (f"{head}/{repo}" if head else repo), (tag if colon else "latest")


def registry_host(name: str) -> str:
    """The registry of an image name; ``docker.io`` where none is written (the rule of Docker's reference grammar)."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"


def _auth(login: Login | None) -> dict[str, str] | None:
    # An empty dictionary keeps the SDK from looking into the home directory of whoever runs the worker.
    return {"username": login.username, "password": login.password} if login else {}


def _tmpfs(entries: tuple[str, ...]) -> dict[str, str] | None:
    return {path: options for path, _, options in (entry.partition(":") for entry in entries)} or None


def _start_error(error: APIError) -> StepError:
    text = str(error.explanation or error)
    if "executable file not found" in text or "no such file or directory" in text:
        hint = "a step with commands needs an image that has a shell (sh); use another image, or `entrypoint`"
        return StepError(Reason.BAD_COMMAND, f"the image cannot run the step's command: {_first_line(text)}; {hint}")
    if "permission denied" in text:
        return StepError(Reason.BAD_COMMAND, f"the step's command is not executable: {_first_line(text)}")
    return classify(error)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip() if text.strip() else text


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what the SDK raises into our errors, each with its reason."""
    try:
        yield
    except (DockerException, requests.RequestException, OSError) as error:
        raise classify(error) from error


@contextmanager
def _absent_is_fine(*, conflict: bool = False) -> Iterator[None]:
    """Lets pass that a thing is gone already or, with ``conflict``, that it is not running or being removed."""
    try:
        yield
    except APIError as error:
        if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT if conflict else None}:
            raise


_UNREACHABLE = (
    "connection refused",
    "no such host",
    "i/o timeout",
    "no route to host",
    "tls handshake",
    "server misbehaving",
)
_REFUSED = ("denied", "unauthorized", "authentication required", "no basic auth credentials", "forbidden")


def classify(error: Exception) -> StepError:
    """Our error for what the engine said."""
    explanation = getattr(error, "explanation", None)
    text = explanation.decode(errors="replace") if isinstance(explanation, bytes) else str(explanation or error)
    if isinstance(error, APIError):
        return classify_text(text)
    return MachineError(Reason.ENGINE_GONE, f"the Docker Engine went away in mid-work: {_first_line(text)}")


def classify_text(text: str) -> StepError:
    """Our error for a sentence of the engine's, as it stands in an answer or in the stream of a pull or push."""
    low = text.lower()
    if "no space left on device" in low:
        return MachineError(
            Reason.DISK_FULL, f"the disk of the Docker Engine is full: {text.strip()}; make room and re-run"
        )
    if "could not find an available" in low or "address pools" in low:
        hint = "remove unused ones (docker network prune) or widen default-address-pools in the engine's configuration"
        return MachineError(Reason.INTERNAL, f"the engine has no address left for another network; {hint}")
    if any(sign in low for sign in _UNREACHABLE):
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"the registry cannot be reached: {text.strip()}")
    return MachineError(Reason.INTERNAL, f"the Docker Engine said: {text.strip()}")


def is_refusal(text: str) -> bool:
    """True when a registry's sentence says that the credentials are missing or not good enough."""
    return any(sign in text.lower() for sign in _REFUSED)
