"""Ends at once what a job runs, and removes what its steps wrote: for a job that has filled the disk.

What steps write outside of their workspace is in their containers, on the engine's disk, which may be the same one.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from runner.cleanup.folder_removal import remove_tree
from runner.cleanup.processes import kill_build_clients
from runner.docker.client import Engine
from runner.docker.containers.specs import ATTEMPT_LABEL, JOB_LABEL
from runner.errors import StepError

DISCARDED = "discarded"
"""The name of a job's workspace once it is to be emptied. A new name needs no room on the disk."""
_REMOVALS_AT_ONCE_MAX = 4


def written_in_containers(engine: Engine, folder: Path) -> dict[str, int]:
    """How many bytes each job's containers have written to the disk of ``folder``, by the name of the job's folder.

    Empty where the engine keeps them on another disk, or elsewhere. Raises StepError.
    """
    root = Path(str(engine.info().get("DockerRootDir") or "/nowhere"))
    try:
        if root.stat().st_dev != folder.stat().st_dev:
            return {}
    except OSError:
        return {}
    found: dict[str, int] = {}
    for each in engine.containers_labelled(JOB_LABEL, sizes=True):
        job = f"{each['Labels'][JOB_LABEL]}-{each['Labels'].get(ATTEMPT_LABEL, 0)}"
        found[job] = found.get(job, 0) + int(each.get("SizeRw") or 0)
    return found


def discard_workspace(engine: Engine, key: str, folder: Path) -> list[Exception]:
    """Ends the containers and build clients of the job ``key``, and empties its workspace. Returns the errors."""
    errors: list[Exception] = []
    try:
        containers = [each["Id"] for each in engine.containers_labelled(f"{JOB_LABEL}={key}")]
        with ThreadPoolExecutor(_REMOVALS_AT_ONCE_MAX, "discard") as pool:
            list(pool.map(engine.remove, containers))
    except StepError as error:
        errors.append(error)
    kill_build_clients(folder)
    workspace = folder / DISCARDED
    with suppress(OSError):
        (folder / "workspace").rename(workspace)
    try:
        entries = [entry.path for entry in os.scandir(workspace)]
    except OSError as error:
        return [*errors, error]
    return errors + [fault for entry in entries if (fault := _remove(engine, Path(entry))) is not None]


def _remove(engine: Engine, path: Path) -> Exception | None:
    try:
        if path.is_dir() and not path.is_symlink():
            remove_tree(engine, path)
        else:
            path.unlink(missing_ok=True)
    except (StepError, OSError) as error:
        return error
    return None
