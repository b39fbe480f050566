"""Removal of a job's folder, also of files that steps wrote as root."""

import shutil
from pathlib import Path

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.containers.folders import Folder, machine_programs
from runner.docker.containers.specs import JOB_LABEL, ContainerSpec
from runner.docker.images.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image
from runner.errors import MachineError

_REMOVAL_S_MAX = 600
_NEEDS_RM = (OSError, RecursionError)
"""Folders inside each other by the thousand have more levels than Python calls itself, or opens files at once."""


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
    """Removes files from a container: those of root, which an ordinary user may not remove, and very deep folders.

    With userns-remap its root must be the machine's: the folder itself belongs to that one.
    """
    ensure_sandbox_image(engine)
    spec = ContainerSpec(
        image=SANDBOX_IMAGE, labels={JOB_LABEL: folder.name}, network="none", entrypoint=("/bin/rm", "-rf", "/left"),
        folders=(Folder(folder, "/left"), *machine_programs()), user_namespace="host",
    )  # fmt: skip
    container = engine.create(spec)
    try:
        engine.start(container)
        engine.wait(container, _REMOVAL_S_MAX)
    finally:
        engine.remove(container)
