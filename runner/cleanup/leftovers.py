"""What a job leaves in the engine and on the disk, and how it is found when whoever made it is dead: by its labels."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipelines.state import Reason
from runner.cleanup.borrowed_tags import give_back_all
from runner.cleanup.processes import end_orphans
from runner.docker.client import Engine
from runner.docker.folders import Folder
from runner.docker.job_network import SANDBOX_IMAGE, ensure_sandbox_image
from runner.docker.references import BUILD_REPO
from runner.docker.specs import ATTEMPT_LABEL, JOB_LABEL, ContainerSpec
from runner.errors import MachineError

_REMOVALS_AT_ONCE_MAX = 4
_REMOVAL_S_MAX = 600
_PROGRAMS = ("/bin", "/lib", "/lib64", "/usr")
"""What a container needs to run this machine's own ``rm``."""


@dataclass(frozen=True)
class Leavings:
    """All of the job ``key``: what carries its label, its ``folder``, and ``names`` that it gave to images."""

    key: str
    folder: Path
    names: tuple[str, ...] = ()


def remove(engine: Engine, left: Leavings) -> None:
    """Takes all of it away. Raises StepError where something stays."""
    end_orphans(left.folder)
    give_back_all(engine, left.folder)
    label = f"{JOB_LABEL}={left.key}"
    containers = [each["Id"] for each in engine.containers_labelled(label)]
    names = dict.fromkeys([*left.names, *engine.image_names(f"{BUILD_REPO}:{left.key}-*")])
    with ThreadPoolExecutor(_REMOVALS_AT_ONCE_MAX) as pool:
        gone = [pool.submit(engine.remove, container) for container in containers]
        gone += [pool.submit(engine.untag, name) for name in names]
    for each in gone:
        each.result()
    networks = [each["Id"] for each in engine.networks_labelled(label)]
    for network in networks:
        engine.remove_network(network)
    remove_tree(engine, left.folder)


def sweep(engine: Engine, key: str, before_attempt: int) -> None:
    """Removes what earlier attempts of this job left in this engine: their worker died."""
    label = f"{JOB_LABEL}={key}"
    for container in engine.containers_labelled(label):
        if int(container["Labels"].get(ATTEMPT_LABEL, 0)) < before_attempt:
            engine.remove(container["Id"])
    for network in engine.networks_labelled(label):
        if int(network["Labels"].get(ATTEMPT_LABEL, 0)) < before_attempt:
            engine.remove_network(network["Id"])


def _unless_gone(_function: object, _path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    # Another process that removes the same folder may be faster.
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def remove_tree(engine: Engine, folder: Path) -> None:
    """Removes a folder that steps may have written to as any user. Raises StepError where it cannot."""
    try:
        try:
            shutil.rmtree(folder, onerror=_unless_gone)
        except PermissionError:
            _remove_as_root(engine, folder)
            shutil.rmtree(folder, onerror=_unless_gone)
    except OSError as error:
        raise MachineError(Reason.INTERNAL, f"the folder {folder} of a job could not be removed: {error}") from error


def _remove_as_root(engine: Engine, folder: Path) -> None:
    """Has the engine empty it: what a step wrote as root is not for an ordinary user to remove."""
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
