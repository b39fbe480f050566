"""Values for requests to the engine: containers with their limits, registry logins, and the labels of a job."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.docker.folders import Folder

JOB_LABEL = "headway.job"
ATTEMPT_LABEL = "headway.attempt"
STEP_LABEL = "headway.step"


def job_labels(key: str, attempt: int) -> dict[str, str]:
    """The labels of all containers and networks of one attempt at a job."""
    return {JOB_LABEL: key, ATTEMPT_LABEL: str(attempt)}


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

    ``folders`` are Headway's own; ``binds`` come from the pipeline file, in the syntax of ``docker run --volume``.
    ``capabilities`` are added to those that every container has (capabilities(7), without CAP_).
    """

    image: str
    labels: Mapping[str, str]
    network: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[Folder, ...] = ()
    binds: tuple[str, ...] = ()
    directory: str = ""
    aliases: tuple[str, ...] = ()
    stdin: bool = False
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
