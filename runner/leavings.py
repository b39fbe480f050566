"""What a job leaves in the engine and on the disk, and how it is found when whoever made it is dead: by its labels."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipelines.state import Reason
from runner.engine import Engine
from runner.errors import MachineError
from runner.lent import give_back_all
from runner.names import BUILD_REPO
from runner.orphans import end_orphans
from runner.specs import JOB_LABEL

_REMOVALS_AT_ONCE_MAX = 4


@dataclass(frozen=True)
class Leavings:
    """All of the job ``key``: what carries its label, its ``folder``, and ``names`` that it gave to images."""

    key: str
    folder: Path
    names: tuple[str, ...] = ()


def remove(engine: Engine, left: Leavings) -> bool:
    """Takes all of it away. True when something was found in the engine. Raises StepError where something stays."""
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
    remove_tree(left.folder)
    return bool(containers or networks)


def _unless_gone(_function: object, _path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    # Another process that removes the same folder may be faster.
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def remove_tree(folder: Path) -> None:
    """Removes a folder that steps may have written to as any user. Raises MachineError where it cannot."""
    try:
        shutil.rmtree(folder, onerror=_unless_gone)
    except OSError as error:
        raise MachineError(Reason.INTERNAL, f"the folder {folder} of a job could not be removed: {error}") from error
