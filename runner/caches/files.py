"""The files of caches, which steps wrote as any user: how much they are, copies of them, and their removal."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.state import Reason
from runner.docker.client import Engine
from runner.docker.containers.folders import Folder, machine_programs
from runner.docker.containers.overlays import Overlay
from runner.docker.containers.specs import ContainerSpec
from runner.docker.images.sandbox_image import SANDBOX_IMAGE, ensure_sandbox_image
from runner.errors import MachineError, StepError

ENTRIES_COUNT_MAX = 2_000_000
_RUN_S_MAX = 1800
_FROM, _TO = "/from", "/to"


@dataclass
class Size:
    """How much a folder holds: on the disk, and of that in files that have changed since a moment."""

    size_bytes: int = 0
    changed_bytes: int = 0
    entries: int = 0


def is_empty(folders: Sequence[Path]) -> bool:
    """Has nothing been written to these folders? False where this process may not look."""
    try:
        return not any(map(os.listdir, folders))
    except PermissionError:
        return False


def measure(
    engine: Engine,
    folder: Path,
    labels: dict[str, str],
    since_ns: int,
    check: Callable[[], None],
    entries_count_max: int = ENTRIES_COUNT_MAX,
) -> Size:
    """Measures a folder, without following links. Raises StepError if it has too many files."""

    def look(entries: int) -> None:
        check()
        if entries > entries_count_max:
            raise StepError(Reason.INVALID_PIPELINE, f"it has more than {entries_count_max:,} files")

    size = Size()
    try:
        _walk(folder, size, since_ns, look)
    except PermissionError:
        # Files of a step's user: root may look, in a container.
        total = measured_as_root(engine, folder, labels)
        return Size(total, total, 0)
    return size


def _walk(folder: Path, size: Size, since_ns: int, look: Callable[[int], None]) -> None:
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                size.entries += 1
                look(size.entries)
                found = entry.stat(follow_symlinks=False)
                is_folder = stat.S_ISDIR(found.st_mode)
                # A file without content takes up room as well.
                taken = max(found.st_blocks * 512, 512) // (1 if is_folder else max(1, found.st_nlink))
                size.size_bytes += taken
                if found.st_ctime_ns > since_ns and not (is_folder and since_ns):
                    size.changed_bytes += taken
                if is_folder:
                    waiting.append(entry.path)


def measured_as_root(engine: Engine, folder: Path, labels: dict[str, str]) -> int:
    """How much room a folder takes up, as root sees it in a container. Raises StepError."""
    command = ("/usr/bin/du", "-s", "-k", _FROM)
    output = _run_as_root(engine, command, labels, folders=(Folder(folder, _FROM, read_only=True),))
    try:
        return int(output.split()[0]) * 1024
    except (IndexError, ValueError):
        raise MachineError(Reason.INTERNAL, f"the size of {folder} cannot be measured") from None


def copy_layers(engine: Engine, layers: Sequence[Path], target: Path, labels: dict[str, str]) -> None:
    """Copies a folder as these layers show it, the newest first, with all owners and modes. Raises StepError."""
    to = Folder(target, _TO)
    command = ("/bin/cp", "-a", f"{_FROM}/.", f"{_TO}/")
    if len(layers) == 1:
        _run_as_root(engine, command, labels, folders=(Folder(layers[0], _FROM, read_only=True), to))
    else:
        _run_as_root(engine, command, labels, folders=(to,), overlays=(Overlay(_FROM, tuple(layers)),))


def _run_as_root(
    engine: Engine,
    command: tuple[str, ...],
    labels: dict[str, str],
    folders: tuple[Folder, ...],
    overlays: tuple[Overlay, ...] = (),
) -> str:
    """Runs a program of this machine on folders, and returns what it wrote. Its root is the machine's."""
    ensure_sandbox_image(engine)
    spec = ContainerSpec(
        image=SANDBOX_IMAGE,
        labels=labels,
        network="none",
        entrypoint=command,
        folders=(*folders, *machine_programs()),
        overlays=overlays,
        user_namespace="host",
    )
    container = engine.create(spec)
    try:
        engine.start(container)
        status = engine.wait(container, _RUN_S_MAX)
        output = engine.logs(container, 3).decode(errors="replace")
    finally:
        engine.remove(container)
    if status != 0:
        raise MachineError(Reason.INTERNAL, f"{command[0]} ended with {status}: {output.strip()[-200:]}")
    return output
