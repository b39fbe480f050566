"""How much memory, processor time and processes a container may have, as a pipeline file asks for it."""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

MEMORY_BYTES_MIN = 6 * 1024**2
"""The engine starts no container with less."""
CPUS_MIN = 0.01
CPUS_COUNT_MAX = 10_000
MEMORY_BYTES_MAX = 2**50
PIDS_COUNT_MAX = 4_194_304
"""As many as the kernel can number."""
_MIB, _GIB = 1024**2, 1024**3


class Resources(BaseModel):
    """The limits of one container. What is None is the server's own limit, or none with ``headway run``."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int | None = None

    def __str__(self) -> str:
        """For people, such as ``512 MiB, 1.5 processors, 200 processes``; empty where nothing is asked for."""
        said = (
            shown_bytes(self.memory_bytes) if self.memory_bytes else "",
            f"{self.cpus:g} processors" if self.cpus else "",
            f"{self.pids} processes" if self.pids else "",
        )
        return ", ".join(filter(None, said))


class ResourcesMax(NamedTuple):
    """What a container of a server gets at most. 0 means no limit."""

    memory_bytes: int = 0
    cpus: float = 0
    pids: int = 0


NO_MAXIMUM = ResourcesMax()


class Excess(NamedTuple):
    """A key of ``resources`` that asks for more than the server gives; ``message`` is to be followed by its place."""

    key: str
    message: str
    hint: str


def excesses(asked: Resources, most: ResourcesMax) -> Iterator[Excess]:
    """What asks for more than a container gets at most."""
    if asked.memory_bytes and 0 < most.memory_bytes < asked.memory_bytes:
        given = f"{shown_bytes(asked.memory_bytes)}, and a container gets at most {shown_bytes(most.memory_bytes)} here"
        yield _excess("memory", given, f"HEADWAY_STEP_MEMORY_BYTES_MAX, now {most.memory_bytes}")
    if asked.cpus and 0 < most.cpus < asked.cpus:
        given = f"{asked.cpus:g}, and a container gets at most {most.cpus:g} here"
        yield _excess("cpus", given, f"HEADWAY_STEP_CPUS_MAX, now {most.cpus:g}")
    if asked.pids and 0 < most.pids < asked.pids:
        given = f"{asked.pids}, and a container gets at most {most.pids} here"
        yield _excess("pids", given, f"HEADWAY_STEP_PIDS_MAX, now {most.pids}")


def _excess(key: str, given: str, setting: str) -> Excess:
    return Excess(key, f"'resources' asks for {key}: {given}", f"ask for less; the server's setting is {setting}")


def shown_bytes(size: int) -> str:
    """A size of memory for people: in GiB, MiB or KiB, with at most one digit behind the point."""
    if size >= _GIB:
        return f"{round(size / _GIB, 1):g} GiB"
    return f"{round(size / _MIB, 1):g} MiB" if size >= _MIB else f"{round(size / 1024, 1):g} KiB"
