"""What the caches take up, and the removal of what was not used for longest. What a job uses stays."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from runner.caches.store import OWNER, VIEW, CacheStore, read_view
from runner.caches.version_file import Version, new_name, read_version, write_version

VERSIONS_COUNT_MAX = 5_000
"""Of all caches together: each look at them reads all of their files."""


@dataclass(frozen=True)
class StoredVersion:
    """A version on the disk. ``own_bytes`` are those of its layers that no version has which was used later.

    So many bytes are free when it is removed after all that were used before it.
    """

    name: str
    used_s: float
    own_bytes: int
    version: Version
    in_use: bool


def stored_versions(store: CacheStore) -> list[StoredVersion]:
    """All versions that can be used, the one that was used last first."""
    found: list[tuple[float, Path, Version]] = []
    for path in store.versions.glob("*/*/*.json"):
        with suppress(FileNotFoundError):
            used_s = path.stat().st_mtime
            if version := _usable(store, path):
                found.append((used_s, path, version))
    in_use = _layers_in_use(store)
    seen: set[str] = set()
    listed = []
    for used_s, path, version in sorted(found, key=lambda each: (-each[0], each[1])):
        own = {each.name: each.size_bytes for each in version.layers if each.name not in seen}
        seen |= own.keys()
        used = bool(in_use & {each.name for each in version.layers})
        name = str(path.relative_to(store.versions))
        listed.append(StoredVersion(name, used_s, sum(own.values()), version, used))
    return listed


def _usable(store: CacheStore, path: Path) -> Version | None:
    version = read_version(path, store.boot)
    has_all = version is not None and all((store.layers / each.name).is_dir() for each in version.layers)
    return version if has_all else None


def trim(store: CacheStore, bytes_max: int, count_max: int = VERSIONS_COUNT_MAX) -> int:
    """Removes versions until all together have at most ``bytes_max`` (0: any number), and are at most ``count_max``.

    Takes out what nothing names.

    Returns how many bytes the removed versions had. What was taken out is removed by ``remove_gone``.
    """
    with store.locked():
        for path in store.versions.glob("*/*/*.json"):
            if _usable(store, path) is None:
                path.unlink()
        listed = stored_versions(store)
        total, freed = sum(each.own_bytes for each in listed), 0
        for index, each in reversed(list(enumerate(listed))):
            is_over = index >= count_max or (bytes_max and total - freed > bytes_max)
            if is_over and not each.in_use:
                _unlink(store, each.name)
                freed += each.own_bytes
        _take_out(store)
    return freed


def remove_version(store: CacheStore, name: str, idle_since_s: float) -> bool:
    """Removes a version that was not used since then, and that no job uses. Returns whether it did."""
    with store.locked():
        for each in stored_versions(store):
            if each.name == name and not each.in_use and each.used_s <= idle_since_s:
                _unlink(store, name)
                _take_out(store)
                return True
    return False


def drop_scopes(store: CacheStore, is_kept: Callable[[str], bool]) -> None:
    """Removes all versions of the scopes that are not kept. Jobs that still use their layers keep those."""
    with store.locked():
        for folder in store.versions.glob("*"):
            if not is_kept(folder.name):
                _rename(folder, store)


def make_durable(store: CacheStore) -> None:
    """Writes all to the disk, and then notes so: after a power cut, only versions of which this is known count."""
    fresh = [each for each in stored_versions(store) if each.version.boot]
    if not fresh:
        return
    os.sync()
    with store.locked():
        for each in fresh:
            path = store.versions / each.name
            if read_version(path, store.boot) != each.version:
                continue
            used = path.stat()
            write_version(path, replace(each.version, boot=""))
            os.utime(path, ns=(used.st_atime_ns, used.st_mtime_ns))


def _unlink(store: CacheStore, name: str) -> None:
    (store.versions / name).unlink(missing_ok=True)


def _take_out(store: CacheStore) -> None:
    """Takes views of jobs that are gone, and layers that nothing names, out of the store. Call it with the lock."""
    for folder in store.views.glob("*"):
        if not _has_owner(folder):
            _rename(folder, store)
    named = {each.name for found in stored_versions(store) for each in found.version.layers}
    named |= _layers_in_use(store)
    for folder in store.layers.glob("*"):
        if folder.name not in named:
            _rename(folder, store)


def _rename(folder: Path, store: CacheStore) -> None:
    with suppress(FileNotFoundError):
        folder.rename(store.gone / new_name())


def _has_owner(folder: Path) -> bool:
    try:
        return Path((folder / OWNER).read_text()).exists()
    except OSError:
        return False


def _layers_in_use(store: CacheStore) -> set[str]:
    return {each.name for version in _versions_in_views(store) for each in version.layers}


def _versions_in_views(store: CacheStore) -> Iterator[Version]:
    for path in store.views.glob(f"*/*/{VIEW}"):
        view, _ = read_view(path)
        if view and view.found and _has_owner(path.parent.parent):
            yield view.found
