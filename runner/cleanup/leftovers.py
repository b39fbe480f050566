"""Leftovers of jobs: how they are found in the engine by the job's labels, and the one function that removes them."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.images.own_images import BUILD_REPO
from runner.cleanup.borrowed_tags import return_borrowed_tags
from runner.cleanup.folder_removal import remove_tree
from runner.cleanup.image_removal import remove_image_names
from runner.cleanup.processes import kill_build_clients
from runner.docker.client import Engine
from runner.docker.containers.specs import ATTEMPT_LABEL, JOB_LABEL

_REMOVALS_AT_ONCE_MAX = 4
_WHOLE_NUMBER = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class Leftovers:
    """What is to be removed: ids of containers and networks, image names, and folders of jobs."""

    containers: frozenset[str] = frozenset()
    image_names: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    folders: frozenset[Path] = frozenset()

    def __bool__(self) -> bool:
        return any((self.containers, self.image_names, self.networks, self.folders))

    def __and__(self, other: "Leftovers") -> "Leftovers":
        """What is in both."""
        return Leftovers(
            self.containers & other.containers, self.image_names & other.image_names,
            self.networks & other.networks, self.folders & other.folders,
        )  # fmt: skip


@dataclass(frozen=True)
class JobLeftovers:
    """Where to look for the leftovers of one job: its ``key`` in labels, its ``folder``, and names of its images.

    Its ``services`` are containers that get ``grace_s`` to end before they are removed.
    """

    key: str
    folder: Path
    image_names: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    grace_s: float = 0


def find_leftovers(engine: Engine, job: JobLeftovers) -> Leftovers:
    """Everything of the job that exists now."""
    label = f"{JOB_LABEL}={job.key}"
    return Leftovers(
        frozenset(each["Id"] for each in engine.containers_labelled(label)),
        frozenset([*job.image_names, *engine.image_names(f"{BUILD_REPO}:{job.key}-*")]),
        frozenset(each["Id"] for each in engine.networks_labelled(label)),
        frozenset([job.folder]),
    )


def find_earlier_attempts(engine: Engine, key: str, before_attempt: int) -> Leftovers:
    """What earlier attempts at the job ``key`` have in this engine: their worker died, or lost the engine."""
    label = f"{JOB_LABEL}={key}"

    def earlier(found: Iterable[dict[str, dict[str, str]]]) -> frozenset[str]:
        return frozenset(
            str(each["Id"])
            for each in found
            if (attempt := whole_number(each["Labels"].get(ATTEMPT_LABEL, "0"))) is not None
            and attempt < before_attempt
        )

    start = f"{BUILD_REPO}:{key}-"
    names = engine.image_names(f"{start}*")
    return Leftovers(
        containers=earlier(engine.containers_labelled(label)),
        image_names=frozenset(
            name for name in names if (whole_number(name.removeprefix(start).partition("-")[0]) or 0) < before_attempt
        ),
        networks=earlier(engine.networks_labelled(label)),
    )


def whole_number(text: str) -> int | None:
    """The number, in digits of ASCII, as databases can hold it; None if the text is none: a person may have made it."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def remove_leftovers(engine: Engine, leftovers: Leftovers) -> list[Exception]:
    """Removes all of them and returns the errors: one that cannot be removed does not keep the others.

    Containers go before the images, networks and folders that they use. Idempotent: what is gone already is no error.
    """
    errors: list[Exception] = []
    first: list[Callable[[], None]] = []
    for folder in leftovers.folders:
        first += [partial(kill_build_clients, folder), partial(return_borrowed_tags, engine, folder)]
    parallel = [partial(engine.remove, container) for container in leftovers.containers]
    last: list[Callable[[], None]] = []
    if leftovers.image_names:
        last.append(partial(remove_image_names, engine, leftovers.image_names))
    last += [partial(engine.remove_network, network) for network in leftovers.networks]
    last += [partial(remove_tree, engine, folder) for folder in leftovers.folders]
    for removal in first:
        errors += _attempt(removal)
    if parallel:
        with ThreadPoolExecutor(_REMOVALS_AT_ONCE_MAX, "remove leftovers") as pool:
            errors += [error for found in pool.map(_attempt, parallel) for error in found]
    for removal in last:
        errors += _attempt(removal)
    return errors


def _attempt(removal: Callable[[], None]) -> list[Exception]:
    try:
        removal()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are removed
        return [error]
    return []
