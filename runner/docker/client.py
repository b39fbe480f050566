"""The Docker client, on Docker's SDK. All requests to the engine go through it, except builds (builds/buildkit.py)."""

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pipelines.state import Reason
from runner.docker.compatibility import image_store
from runner.docker.connection import Connection
from runner.docker.containers.container_config import container_config
from runner.docker.containers.specs import ContainerSpec, Login, container_name, is_named_by_headway
from runner.docker.error_mapping import (
    EngineAnswerError,
    absent_is_fine,
    engine_words,
    pull_error,
    requests_errors,
    sdk_errors,
    start_error,
    translated,
)
from runner.docker.listings import CONFLICT_TRIES_MAX, listed
from runner.docker.references import split_tag
from runner.docker.streams import attach
from runner.docker.streams.archive import Archived, archive_of, small_file
from runner.docker.streams.progress_stream import ProgressStream
from runner.errors import MachineError, StepError

if TYPE_CHECKING:
    from runner.docker.sdk import APIClient, DockerClient

# ruff: noqa: PLC0415

Environment = Mapping[str, str] | None
REQUEST_TIMEOUT_S = 120
NOT_RUNNABLE = 126


class Engine:
    """A client of one Docker Engine. Thread-safe.

    What most runs need for a build or a container is requested without Docker's SDK, which is imported when it is first
    needed: that takes as long as a small build.
    """

    def __init__(self, docker_host: str | None = None, *, connect: bool = True) -> None:
        """Raises MachineError if no engine answers; without ``connect`` the first request raises it."""
        self.connection = Connection(os.environ, docker_host or "")
        if connect:
            self.ping()

    @cached_property
    def _client(self) -> "DockerClient":
        from runner.docker.sdk import sdk_client

        return sdk_client(self.connection.transport, self.connection.version.api, REQUEST_TIMEOUT_S)

    @property
    def _api(self) -> "APIClient":
        return self._client.api

    def close(self) -> None:
        """Closes the connections."""
        if "_client" in self.__dict__:
            self._client.close()
        self.connection.close()

    def ping(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Raises MachineError if the engine does not answer within ``timeout_s``."""
        self.connection.ping(timeout_s)

    def info(self) -> dict[str, Any]:
        """The engine's information about itself and its machine (GET /info)."""
        return dict(json.loads(self.connection.get("/info")[1]))

    # Images

    def image_store(self) -> str:
        """The engine's image store: ``CONTAINERD_STORE``, or the driver of Docker's own store (``overlay2``)."""
        return image_store(self.info())

    def image(self, name: str) -> dict[str, Any] | None:
        """The engine's description of an image, by name or id, or None if it does not have the image."""
        with translated(), absent_is_fine():
            return dict(json.loads(self.connection.send("GET", f"/images/{quote(name)}/json")))
        return None

    def pull(self, name: str, login: Login | None) -> ProgressStream:
        """Pulls an image. Returns the engine's progress messages, errors among them."""
        repo, tag = split_tag(name)
        return self._post("/images/create", {"fromImage": repo, "tag": tag}, login)

    def distribution(self, name: str, login: Login | None) -> dict[str, Any]:
        """What the image's registry says about it, asked with this login or with none. Raises StepError."""
        with translated():
            auth = login.for_engine() if login else {}
            try:
                return dict(self._api.inspect_distribution(name, auth_config=auth))  # type: ignore[no-untyped-call]
            except sdk_errors().APIError as error:
                raise pull_error(name, engine_words(error), with_login=login is not None) from error

    def push(self, repo: str, tag: str, login: Login | None) -> ProgressStream:
        """Pushes ``repo:tag``. Returns the engine's progress messages, errors among them."""
        return self._post(f"/images/{quote(repo)}/push", {"tag": tag}, login)

    def _post(self, path: str, query: Mapping[str, str], login: Login | None) -> ProgressStream:
        return ProgressStream(*self.connection.open(f"{path}?{urlencode(query)}"), login.for_engine() if login else {})

    def tag(self, image: str, repo: str, tag: str) -> None:
        """Gives an image the name ``repo:tag``, which another image may have had. Raises StepError or MachineError."""
        for _ in range(CONFLICT_TRIES_MAX):
            try:
                with translated():
                    self._api.tag(image, repo, tag)
            except StepError as error:
                # The store found the name taken, and then looked in vain for the image that had it.
                if "already exists, but accessing it also failed" not in str(error):
                    raise
            else:
                return
        raise MachineError(
            Reason.INTERNAL, f"other jobs took and removed the name {repo}:{tag} {CONFLICT_TRIES_MAX} times; re-run"
        )

    def untag(self, name: str) -> None:
        """Removes a name from an image. The image is deleted if that was its last name and no container uses it."""
        with translated(), absent_is_fine():
            self._api.remove_image(name, noprune=False)

    def image_names(self, pattern: str) -> list[str]:
        """All image names that match ``pattern``, in which ``*`` stands for any text."""
        return [name for image in self.images({"reference": pattern}) for name in image.get("RepoTags") or ()]

    def images(self, filters: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """The images of this engine that match the filters, or all."""
        asked = {key: [value] for key, value in (filters or {}).items()}
        return list(listed(self.connection, "/images/json", filters=asked))

    def load_image(self, archive: bytes) -> None:
        """Loads an image with its names from an archive as ``docker save`` writes it. Raises MachineError."""
        error = ""
        for _ in range(CONFLICT_TRIES_MAX):
            with translated():
                messages = list(self._api.load_image(archive))  # type: ignore[no-untyped-call]
            error = next((each["error"] for each in messages if "error" in each), "")
            # The containerd store says so where another job loads the same at the same moment, perhaps not yet named.
            if "AlreadyExists" not in error:
                break
        if error:
            raise MachineError(Reason.INTERNAL, f"the Docker Engine cannot load an image: {error}")

    # Networks

    def create_network(self, name: str, labels: Mapping[str, str], bridge: str = "") -> str:
        """Creates a network and returns its id. ``bridge`` is its bridge's name; without it the engine makes one up."""
        body = {"Name": name, "Driver": "bridge", "CheckDuplicate": True, "Labels": dict(labels)}
        options = {"Options": {"com.docker.network.bridge.name": bridge}} if bridge else {}
        with translated():
            return str(json.loads(self.connection.send("POST", "/networks/create", {**body, **options}))["Id"])

    def remove_network(self, network: str) -> None:
        """Removes a network. Idempotent."""
        with translated(), absent_is_fine():
            self.connection.send("DELETE", f"/networks/{network}")

    # Containers

    def create(self, spec: ContainerSpec) -> str:
        """Creates a container, without starting it, and returns its id."""
        name = container_name(spec.labels)
        path = f"/containers/create?{urlencode({'name': name})}" if name else "/containers/create"
        with translated():
            return str(json.loads(self.connection.send("POST", path, container_config(spec)))["Id"])

    def replay(self, container: str) -> attach.Attached:
        """The output of a container from its start on, from the engine's log of it, until the container has ended."""
        return attach.replay(*self.connection.open(f"/containers/{container}/logs?{attach.LOG_QUERY}"))

    def attach(self, container: str) -> attach.Attached:
        """The streams of a container that is not started yet."""
        return attach.attach(*self.connection.open(f"/containers/{container}/attach?{attach.QUERY}"))

    def start(self, container: str) -> None:
        """Starts a container. Raises StepError if its command cannot be run."""
        with translated():
            try:
                self.connection.send("POST", f"/containers/{container}/start")
            except EngineAnswerError as error:
                raise start_error(error) from error

    def kill(self, container: str, signal: str) -> bool:
        """Sends a signal. Does nothing, and returns False, if the container does not run."""
        with translated(), absent_is_fine(conflict=True):
            self.connection.send("POST", f"/containers/{container}/kill?{urlencode({'signal': signal})}")
            return True
        return False

    def wait(self, container: str, timeout_s: float) -> int | None:
        """Waits for the container and returns its exit code, or None if it still runs after ``timeout_s``."""
        with translated():
            try:
                return int(self._api.wait(container, timeout=timeout_s)["StatusCode"])  # type: ignore[arg-type] # requests takes it
            except requests_errors().ReadTimeout:
                return None
            except requests_errors().ConnectionError as error:
                if "timed out" in str(error).lower():
                    return None
                raise

    def inspect(self, container: str) -> dict[str, Any] | None:
        """The engine's description of a container, or None if it is gone."""
        with translated():
            with absent_is_fine():
                return dict(json.loads(self.connection.send("GET", f"/containers/{container}/json")))
            return None

    def logs(self, container: str, tail_lines: int, since_s: float | None = None) -> bytes:
        """The last lines of a container's log, written after ``since_s`` (seconds since 1970) if given."""
        with translated():
            return bytes(self._api.logs(container, tail=tail_lines, since=since_s))

    def exec(self, container: str, command: list[str], overrides: Environment = None) -> tuple[int, bytes]:
        """Runs a command in a container and returns its exit code and output. 126 or 127 if it cannot be run."""
        with translated(), absent_is_fine(conflict=True):
            made = self._api.exec_create(container, command, environment=dict(overrides or {}))
            output = self._api.exec_start(made["Id"])
            return int(self._api.exec_inspect(made["Id"])["ExitCode"] or 0), bytes(output)
        return NOT_RUNNABLE, b""

    def start_exec(self, container: str, command: list[str], overrides: Environment = None) -> str:
        """Starts a command in a container and returns the id of this exec at once; empty if it cannot be run."""
        with translated():
            try:
                made = self._api.exec_create(container, command, environment=dict(overrides or {}))
                self._api.exec_start(made["Id"], detach=True)
            except sdk_errors().APIError:
                return ""
            return str(made["Id"])

    def exec_exit_code(self, exec_id: str) -> int | None:
        """The exit code of an exec, or None while it runs."""
        with translated():
            code = self._api.exec_inspect(exec_id)["ExitCode"]
            return None if code is None else int(code)

    def archive(self, container: str, path: str) -> Archived | None:
        """What is at this path of a container, which may have ended, and what the engine says about it; or None."""
        with translated(), absent_is_fine():
            return self._api.get_archive(container, path)
        return None

    def read_file(self, container: str, path: str, bytes_max: int) -> bytes | None:
        """A file of a container, which need not be started, or None if there is no such file, or a larger one."""
        found = self.archive(container, path)
        if found and (target := found[1]["linkTarget"]):
            found[0].close()
            found = self.archive(container, target)
        with translated():
            return small_file(found, bytes_max) if found else None

    def write_file(self, container: str, path: str, content: bytes) -> None:
        """Puts a file, which is root's, into a container; in place of a link, too. Raises StepError."""
        folder, _, name = path.rpartition("/")
        self.put_archive(container, folder, archive_of(name, content))

    def put_archive(self, container: str, folder: str, archive: bytes | Iterable[bytes]) -> None:
        """Unpacks an archive into a folder of a container. Raises StepError."""
        with translated():
            self._api.put_archive(container, folder, archive)  # pieces are sent one by one

    def remove(self, container: str) -> None:
        """Kills and removes a container with its anonymous volumes. Idempotent."""
        with translated(), absent_is_fine(conflict=True):
            self.connection.send("DELETE", f"/containers/{container}?force=true&v=true")

    def containers_labelled(self, label: str, *, sizes: bool = False) -> list[dict[str, Any]]:
        """All containers of Headway, running or not, with ``label`` (``name`` or ``name=value``). With ``sizes``,
        ``SizeRw`` says how many bytes each has written beside its volumes and mounts; that takes long.
        """
        asked = {"label": [label]}
        found = listed(self.connection, "/containers/json", all="true", size=str(sizes).lower(), filters=asked)
        return [each for each in found if is_named_by_headway(each)]

    def networks_labelled(self, label: str) -> list[dict[str, Any]]:
        """All networks with ``label``."""
        return list(listed(self.connection, "/networks", filters={"label": [label]}))
