"""What steps wait for until a service or a detached step is ready."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class CommandCheck(_Frozen):
    """The service is ready when this shell command, run in its container, exits with 0."""

    kind: Literal["command"] = "command"
    command: str


class PortCheck(_Frozen):
    """The service is ready when this TCP port accepts a connection."""

    kind: Literal["port"] = "port"
    port: int


class HttpCheck(_Frozen):
    """The service is ready when a GET of this URL from the job's network returns a status below 400."""

    kind: Literal["http"] = "http"
    url: str


class ExitCheck(_Frozen):
    """The service does some work and ends: the steps start when it has ended with 0."""

    kind: Literal["exit"] = "exit"


class HealthCheck(_Frozen):
    """A service of a Compose file: ready when these words, run as they are in its container, end with 0.

    Without words its image says when: by its HEALTHCHECK, else by its EXPOSEd ports. It may also end with 0.
    """

    kind: Literal["health"] = "health"
    words: tuple[str, ...] = ()


Ready = Annotated[CommandCheck | PortCheck | HttpCheck | ExitCheck | HealthCheck, Field(discriminator="kind")]
