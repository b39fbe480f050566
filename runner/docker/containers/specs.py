"""Values for requests to the engine: containers with their limits, registry logins, and the labels of a job."""

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.docker.containers.folders import Folder
from runner.docker.containers.overlays import Overlay

JOB_LABEL = "headway.job"
ATTEMPT_LABEL = "headway.attempt"
STEP_LABEL = "headway.step"
_NAME_BYTES = 8
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def job_labels(key: str, attempt: int) -> dict[str, str]:
    """The labels of all containers and networks of one attempt at a job."""
    return {JOB_LABEL: key, ATTEMPT_LABEL: str(attempt)}


def container_name(labels: Mapping[str, str]) -> str:
    """The name of a container with these labels; empty without the label of a job. No two have the same."""
    beginning = _name_beginning(labels)
    return f"{beginning}{secrets.token_hex(_NAME_BYTES)}" if beginning else ""


def is_named_by_headway(listed: Mapping[str, Any]) -> bool:
    """True for a container, as the engine lists it, whose name belongs to the labels of a job that it has.

    A container has the labels of its image as well, and those come from the image's author. Only the program that
    creates a container can name it.
    """
    beginning = _name_beginning(listed.get("Labels") or {})
    names = (str(name).removeprefix("/") for name in listed.get("Names") or ())
    return bool(beginning) and any(name.startswith(beginning) for name in names)


def _name_beginning(labels: Mapping[str, str]) -> str:
    key, attempt = labels.get(JOB_LABEL, ""), labels.get(ATTEMPT_LABEL, "0")
    return _NOT_IN_NAMES.sub("_", f"headway-{key}-{attempt}-") if key else ""


@dataclass(frozen=True)
class Limits:
    """Limits of one container; ``files`` is how many files a process may have open. 0 means no limit by Headway."""

    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 4096
    files: int = 0


@dataclass(frozen=True)
class ContainerSpec:
    """A container to create. ``network`` is a network's name, ``container:ID``, ``host`` or ``none``.

    ``folders`` and ``overlays`` are Headway's own. ``volumes`` are paths that begin with what the image has there, and
    are removed with the container. ``binds`` come from the pipeline file, in the syntax of
    ``docker run --volume``. ``capabilities`` are added to those that every container has (capabilities(7), without
    CAP_). Without ``engine_init`` the entrypoint is the first process, in place of docker-init.
    """

    image: str
    labels: Mapping[str, str]
    network: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[Folder, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    volumes: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    directory: str = ""
    aliases: tuple[str, ...] = ()
    stdin: bool = False
    engine_init: bool = True
    user: str = ""
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    user_namespace: str = ""
    devices: tuple[str, ...] = ()
    tmpfs: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    limits: Limits = Limits()


TOKEN_USER = "<token>"  # noqa: S105 - a constant of the protocol, not a password
"""The user name by which Docker's credential helpers mark an identity token."""


@dataclass(frozen=True)
class Login:
    """Credentials for one registry. If the user is ``TOKEN_USER``, the password is an identity token."""

    username: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """The pair in base64, as in HTTP Basic authentication and in Docker's config.json."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def for_engine(self) -> dict[str, str]:
        """The form of the engine's API."""
        if self.username == TOKEN_USER:
            return {"identitytoken": self.password}
        return {"username": self.username, "password": self.password}

    def for_client(self) -> dict[str, str]:
        """The form of an entry under ``auths`` in a Docker client's config.json."""
        return self.for_engine() if self.username == TOKEN_USER else {"auth": self.basic()}
