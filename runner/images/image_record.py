"""Which images of this machine's engine Headway has pulled, and when a job used each last: a file for each image, with
the repositories that it was pulled from.

Only what is recorded may be removed: the engine's other images belong to other programs. A job holds a shared lock on
the file of each image that it uses until it has ended; a removal needs the lock for itself.
"""

import fcntl
import os
import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from pipelines.images.own_images import repository
from runner.cleanup.image_removal import remove_image_names
from runner.docker.client import Engine
from runner.docker.images.image_containers import has_containers
from runner.errors import StepError
from runner.file_locks import locked_file

_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RecordedImage:
    """An image that Headway has pulled, by its id, and when it was used last, in seconds since 1970."""

    image_id: str
    used_s: float


class ImageUse:
    """The images that one job uses. From several threads; to be closed when the job has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = ExitStack()
        self._ids: set[str] = set()
        self._lock = Lock()

    def before_pull(self, engine: Engine) -> frozenset[str]:
        """The ids of all images that the engine has: those are not Headway's."""
        return frozenset(str(image["Id"]) for image in engine.images())

    def pulled(self, name: str, image: dict[str, Any], before: frozenset[str]) -> None:
        """Records an image that was pulled by this name, if it is recorded or the engine did not have it ``before``."""
        image_id = str(image["Id"])
        path = _path(self._folder, image_id)
        if image_id not in before or path.exists():
            with suppress(OSError):  # without a record the image stays
                self._folder.mkdir(mode=0o700, exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    file.write(f"{repository(name)}\n")
        self.use(image_id)

    def use(self, image_id: str) -> None:
        """The image is not removed until ``close``, if it is one that could be."""
        path = _path(self._folder, image_id)
        with self._lock, suppress(OSError):
            if image_id in self._ids or not path.exists():
                return
            file = locked_file(path, fcntl.LOCK_SH)
            os.utime(path)
            self._held.enter_context(file)
            self._ids.add(image_id)

    def close(self) -> None:
        """The job has ended."""
        with self._lock:
            self._held.close()


def recorded_images(folder: Path) -> list[RecordedImage]:
    """The images that Headway has pulled."""
    found = []
    with suppress(FileNotFoundError):
        for path in (each for each in folder.iterdir() if _NAME.fullmatch(each.name)):
            with suppress(FileNotFoundError):
                found.append(RecordedImage(f"sha256:{path.name}", path.stat().st_mtime))
    return found


def remove_image(engine: Engine, folder: Path, image: RecordedImage) -> bool:
    """Removes a recorded image unless a job or a container uses it, or it has got another name meanwhile.

    Returns whether it is gone. Raises StepError.
    """
    path = _path(folder, image.image_id)
    try:
        file = locked_file(path, fcntl.LOCK_EX | fcntl.LOCK_NB, make=False)
    except (BlockingIOError, FileNotFoundError):
        return False
    with file:
        if os.fstat(file.fileno()).st_mtime > image.used_s:
            return False  # a job has used it, and ended, since it was chosen
        here = engine.image(image.image_id)
        pulled_from = frozenset(path.read_text(encoding="utf-8", errors="replace").split())
        if here is not None and not _remove(engine, here, pulled_from):
            return False
        path.unlink(missing_ok=True)
    return True


def _remove(engine: Engine, here: dict[str, Any], pulled_from: frozenset[str]) -> bool:
    names, digests = list(here.get("RepoTags") or ()), list(here.get("RepoDigests") or ())
    # Not by the digests: the containerd store makes one of every name, also of one that was given on this machine.
    has_other_names = not {repository(name) for name in names} <= pulled_from
    # Of an image with several names the engine removes all but the last one, also while a container uses it.
    if has_other_names or has_containers(engine, str(here["Id"])):
        return False
    try:
        remove_image_names(engine, [*names, *digests] or [str(here["Id"])])
    except StepError:
        if engine.image(str(here["Id"])) is not None:
            return False  # a container uses it since
    return engine.image(str(here["Id"])) is None


def _path(folder: Path, image_id: str) -> Path:
    return folder / image_id.removeprefix("sha256:")
