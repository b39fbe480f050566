"""The caches on this machine, in one folder.

A version of a cache is a list of layers, and a step gets a view of them: it reads what they have, and what it writes
goes into a folder of the view. If the step passes, that folder becomes a layer by a rename, and a new version names
it. Nothing is copied, no layer ever changes, and two steps see nothing of each other.

    versions/SCOPE/CACHE/KEY.json   which layers; the file's time is when it was used last
    layers/NAME/0, 1 ...            the folders of a layer, in the order of the cache's folders
    views/JOB/NAME/                 upper/0, work/0 ... and what the view is of
    gone/                           what is being removed
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner.caches.version_file import (
    STEPS_COUNT_MAX,
    Layer,
    Version,
    file_of,
    new_name,
    read_version,
    write_version,
)

NO_OVERLAYS = "no-overlays"
VIEW = "view.json"
OWNER = "job"


@dataclass(frozen=True)
class View:
    """What one step sees of a cache, and what it writes. ``found`` is the version below it; None: there was none.

    ``place`` is the folder of the cache's versions, below ``versions``. With ``copied``, all of the version was copied
    into the view, before ``since_ns``; with ``fetched``, it came from another machine for this step. ``problem``
    says why a shared copy could not be used.
    """

    folder: Path
    name: str
    step: int
    place: str
    key: str
    folders_count: int
    found: Version | None
    copied: bool = False
    since_ns: int = 0
    fetched: bool = False
    problem: str = ""

    def upper(self, index: int) -> Path:
        """What is written to the folder with this index."""
        return self.folder / "upper" / str(index)

    def work(self, index: int) -> Path:
        """What the kernel needs beside it."""
        return self.folder / "work" / str(index)


@dataclass(frozen=True)
class Wanted:
    """What a step asks for: the cache, its key, and the beginnings of other keys that would do."""

    name: str
    step: int
    place: str
    key: str
    restore: tuple[str, ...]
    folders_count: int


class CacheStore:
    """The caches below ``root``. Several processes may use it at the same time."""

    def __init__(self, root: Path, boot: str) -> None:
        self.root = root
        self.boot = boot

    @property
    def versions(self) -> Path:
        """Where the files of versions are."""
        return self.root / "versions"

    @property
    def layers(self) -> Path:
        """Where layers are."""
        return self.root / "layers"

    @property
    def views(self) -> Path:
        """Where the views of each job are."""
        return self.root / "views"

    @property
    def gone(self) -> Path:
        """What nothing refers to any more."""
        return self.root / "gone"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Meanwhile no other process changes what is where. Makes the folders."""
        for folder in (self.root, self.versions, self.layers, self.views, self.gone):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def views_of(self, owner: Path) -> Path:
        """The folder for the views of the job whose own folder is ``owner``: they live as long as that."""
        return self.views / owner.name

    def open_job(self, owner: Path) -> Path:
        """Makes the folder for the views of a job. Idempotent."""
        with self.locked():
            folder = self.views_of(owner)
            folder.mkdir(mode=0o700, exist_ok=True)
            (folder / OWNER).write_text(str(owner))
        return folder

    def open_view(self, owner: Path, wanted: Wanted, *, empty: bool = False) -> View:
        """A new view of the version that fits best; of nothing, where none does, or for one that is ``empty``."""
        with self.locked():
            found = None if empty else self._find(wanted)
            folder = self.views_of(owner) / new_name()
            view = View(folder, wanted.name, wanted.step, wanted.place, wanted.key, wanted.folders_count, found)
            folder.mkdir(mode=0o700)
            for index in range(wanted.folders_count):
                for part in (view.upper(index), view.work(index)):
                    part.mkdir(mode=0o755, parents=True)
            self.note(view)
        return view

    def note(self, view: View, container: str = "") -> None:
        """Writes down what the view is of: another process may have to go on with it."""
        facts = {**asdict(view), "folder": "", "container": container}
        new = view.folder / f"{VIEW}.new"
        new.write_text(json.dumps(facts))
        new.replace(view.folder / VIEW)

    def views_with(self, owner: Path, container: str) -> list[View]:
        """The views that this container of the job has."""
        found = [read_view(path) for path in sorted(self.views_of(owner).glob(f"*/{VIEW}"))]
        return [view for view, in_container in found if in_container == container and view is not None]

    def _find(self, wanted: Wanted) -> Version | None:
        folder = self.versions / wanted.place
        own = folder / file_of(wanted.key)
        if (version := self._usable(own)) and version.key == wanted.key:
            return version
        listed = [(path, version) for path in _by_time(folder) if (version := self._usable(path, touch=False))]
        for start in wanted.restore:
            for path, version in listed:
                if version.key.startswith(start):
                    with suppress(FileNotFoundError):
                        os.utime(path)
                    return version
        return None

    def _usable(self, path: Path, *, touch: bool = True) -> Version | None:
        version = read_version(path, self.boot)
        if version is None or not all((self.layers / layer.name).is_dir() for layer in version.layers):
            return None
        if touch:
            with suppress(FileNotFoundError):
                os.utime(path)
        return version

    def save(self, view: View, size_bytes: int, cold: tuple[str, float] | None) -> Version:
        """Makes what the view has the version of its key. ``cold``: a step, and how long it took without the cache."""
        below = () if view.found is None or view.copied else view.found.layers
        new = Layer(new_name(), size_bytes)
        with self.locked():
            (view.folder / "upper").rename(self.layers / new.name)
            return self._name(view, (new, *below), cold)

    def adopt(self, folder: Path, place: str, key: str, size_bytes: int) -> Version:
        """Makes a folder of a job, in which all folders of a cache are, a version with one layer."""
        layer = Layer(new_name(), size_bytes)
        with self.locked():
            folder.rename(self.layers / layer.name)
            version = Version(key, (layer,), {}, self.boot)
            versions = self.versions / place
            versions.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_version(versions / file_of(key), version)
        return version

    def save_again(self, view: View) -> Version | None:
        """Gives the version below the view the view's own key as well."""
        if view.found is None:
            return None
        with self.locked():
            if not all((self.layers / layer.name).is_dir() for layer in view.found.layers):
                return None
            return self._name(view, view.found.layers, None)

    def _name(self, view: View, layers: Sequence[Layer], cold: tuple[str, float] | None) -> Version:
        known = dict(view.found.cold_s) if view.found else {}
        if cold:
            known = {**known, cold[0]: round(cold[1], 3)}
        kept = dict(list(known.items())[-STEPS_COUNT_MAX:])
        version = Version(view.key, tuple(layers), kept, self.boot)
        folder = self.versions / view.place
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_version(folder / file_of(view.key), version)
        return version

    def drop_views(self, owner: Path) -> Path | None:
        """Takes the views of a job out of the store. Returns where they are to be removed; None if there are none."""
        gone = self.gone / new_name()
        try:
            self.views_of(owner).rename(gone)
        except FileNotFoundError:
            return None
        return gone

    @property
    def mounts_overlays(self) -> bool:
        """False once the engine could not mount one, since this machine was started."""
        try:
            return (self.root / NO_OVERLAYS).read_text() != self.boot
        except OSError:
            return True

    def no_overlays(self) -> None:
        """Notes that the engine cannot mount them."""
        (self.root / NO_OVERLAYS).write_text(self.boot)

    def remove_gone(self, remove: Callable[[Path], None]) -> None:
        """Removes from the disk what was taken out of the store."""
        for path in sorted(self.gone.glob("*")):
            remove(path)


def _by_time(folder: Path) -> list[Path]:
    """The files of versions, the one that was used last first."""
    times: dict[Path, int] = {}
    for path in folder.glob("*.json"):
        with suppress(FileNotFoundError):
            times[path] = path.stat().st_mtime_ns
    return sorted(times, key=lambda path: -times[path])


def read_view(path: Path) -> tuple[View | None, str]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        container = str(facts.pop("container"))
        found = facts.pop("found")
        layers = tuple(Layer(**each) for each in found.pop("layers")) if found else ()
        version = Version(**found, layers=layers) if found else None
        return View(**{**facts, "folder": path.parent, "found": version}), container
    except (OSError, ValueError, KeyError, TypeError):
        return None, ""


def copied(view: View) -> View:
    """The view, after all of its version was copied into it."""
    return replace(view, copied=True, since_ns=time.time_ns())
