"""Leftovers of jobs: how they are found in the engine by the job's labels, and the one function that removes them."""

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.own_images import BUILD_REPO
from pipelines.state import Reason
from runner.cleanup.borrowed_tags import return_borrowed_tags
from runner.cleanup.image_removal import remove_image_names
from runner.cleanup.processes import kill_build_clients
from runner.docker.client import Engine
from runner.docker.folders import Folder
from runner.docker.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image
from runner.docker.specs import ATTEMPT_LABEL, JOB_LABEL, ContainerSpec
from runner.errors import MachineError, StepError

_REMOVALS_AT_ONCE_MAX = 4
_REMOVAL_S_MAX = 600
_PROGRAMS = ("/bin", "/lib", "/lib64", "/usr")
"""What a container needs to run this machine's own ``rm``."""
_NEEDS_RM = (OSError, RecursionError)
"""Folders inside each other by the thousand have more levels than Python calls itself, or opens files at once."""


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
    """Where to look for the leftovers of one job: its ``key`` in labels, its ``folder``, and names of its images."""

    key: str
    folder: Path
    image_names: tuple[str, ...] = ()


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
            str(each["Id"]) for each in found if int(each["Labels"].get(ATTEMPT_LABEL, 0)) < before_attempt
        )

    start = f"{BUILD_REPO}:{key}-"
    names = engine.image_names(f"{start}*")
    return Leftovers(
        containers=earlier(engine.containers_labelled(label)),
        image_names=frozenset(name for name in names if _number(name.removeprefix(start)) < before_attempt),
        networks=earlier(engine.networks_labelled(label)),
    )


def _number(tag: str) -> int:
    """The number that a tag begins with; 0 for one that a person made."""
    digits = tag.partition("-")[0]
    return int(digits) if digits.isdecimal() else 0


def remove_leftovers(engine: Engine, leftovers: Leftovers) -> list[Exception]:
    """Removes all of them and returns the errors: one that cannot be removed does not keep the others.

    Containers go before the networks and folders that they use. Idempotent: what is gone already is no error.
    """
    errors: list[Exception] = []
    first: list[Callable[[], None]] = []
    for folder in leftovers.folders:
        first += [partial(kill_build_clients, folder), partial(return_borrowed_tags, engine, folder)]
    parallel = [partial(engine.remove, container) for container in leftovers.containers]
    if leftovers.image_names:
        parallel.append(partial(remove_image_names, engine, leftovers.image_names))
    last = [partial(engine.remove_network, network) for network in leftovers.networks]
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
    except (StepError, OSError) as error:
        return [error]
    return []


def _ignore_missing(_function: object, _path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    # Another process may remove the same folder at the same time.
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def remove_tree(engine: Engine, folder: Path) -> None:
    """Removes a folder that steps may have written to as any user, and to any depth. Raises MachineError."""
    try:
        try:
            shutil.rmtree(folder, onerror=_ignore_missing)
        except _NEEDS_RM:
            _remove_as_root(engine, folder)
            shutil.rmtree(folder, onerror=_ignore_missing)
    except (OSError, RecursionError) as error:
        raise MachineError(Reason.INTERNAL, f"the folder {folder} of a job could not be removed: {error}") from error


def _remove_as_root(engine: Engine, folder: Path) -> None:
    """Removes files from a container: those of root, which an ordinary user may not remove, and very deep folders."""
    ensure_sandbox_image(engine)
    programs = [Folder(Path(path), path, read_only=True, ours=False) for path in _PROGRAMS if Path(path).exists()]
    spec = ContainerSpec(
        image=SANDBOX_IMAGE, labels={JOB_LABEL: folder.name}, network="none", entrypoint=("/bin/rm", "-rf", "/left"),
        folders=(Folder(folder, "/left"), *programs),
    )  # fmt: skip
    container = engine.create(spec)
    try:
        engine.start(container)
        engine.wait(container, _REMOVAL_S_MAX)
    finally:
        engine.remove(container)
