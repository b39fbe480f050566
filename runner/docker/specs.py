"""What the engine is asked for: containers with their limits, logins, and the labels by which a job is found again."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.docker.folders import Folder

JOB_LABEL = "headway.job"
ATTEMPT_LABEL = "headway.attempt"
STEP_LABEL = "headway.step"


def job_labels(key: str, attempt: int) -> dict[str, str]:
    """What everything of one attempt at a job carries in the engine."""
    return {JOB_LABEL: key, ATTEMPT_LABEL: str(attempt)}


@dataclass(frozen=True)
class Limits:
    """What one container may use, and how many ``files`` one process may have open. 0 means no limit of ours."""

    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 4096
    files: int = 0


@dataclass(frozen=True)
class ContainerSpec:
    """All that makes a container. ``network`` is a network's name, ``container:ID``, ``host`` or ``none``.

    ``folders`` are Headway's own; ``binds`` are written by users, and mean what they mean for docker.
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


TOKEN_USER = "<token>"  # noqa: S105 - a word of the protocol, not a password
"""The user name with which Docker's credential helpers mark an identity token."""


@dataclass(frozen=True)
class Login:
    """Credentials for one registry host. The user ``TOKEN_USER`` says that the password is an identity token."""

    username: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """The pair as HTTP's Basic scheme, and Docker's config.json, write it."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def for_engine(self) -> dict[str, str]:
        """As the engine's API takes it."""
        if self.username == TOKEN_USER:
            return {"identitytoken": self.password}
        return {"username": self.username, "password": self.password}

    def for_client(self) -> dict[str, str]:
        """As an entry under ``auths`` in a Docker client's config.json."""
        return self.for_engine() if self.username == TOKEN_USER else {"auth": self.basic()}
