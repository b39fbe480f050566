"""Makes room on this machine, and reports what uses how much: mirrors, images, build cache, folders of jobs."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import Engine as Database

from runner.docker.client import Engine
from runner.docker.images.disk_usage import prune_build_cache
from runner.errors import StepError
from runner.images.image_record import RecordedImage, recorded_images, remove_image
from runner.source.mirrors.mirror_removal import StoredMirror, finish_removals, remove_mirror, stored_mirrors
from runner.source.mirrors.mirror_store import mirror_name
from workers.db.session import reading, transaction
from workers.disk import Disk, disk_of
from workers.jobs.machine.cache_use import CACHES, MachineCaches
from workers.jobs.machine.disk_use import disk_use
from workers.jobs.machine.engine_use import EngineUse, engine_use
from workers.jobs.machine.removal_choice import IDLE_S, Kept, choose, to_free
from workers.settings import Settings
from workers.store.processes.disk_reports import put_report
from workers.store.repos.repos import mirror_sources

_log = structlog.get_logger()
_MEASURE_S = 10.0
MIRRORS, IMAGES = "mirrors", "images"


@dataclass
class _Found:
    """What is on the machine. ``owners`` has the repository of each mirror."""

    mirrors: Mapping[str, StoredMirror]
    owners: Mapping[str, int]
    mirror_bytes: dict[str, int]
    images: Mapping[str, RecordedImage]
    engine: EngineUse = field(default_factory=EngineUse)
    problem: str = ""


class MachineCleaner:
    """For the process of a worker that has the machine's lock. ``engine`` connects when it is called."""

    def __init__(self, settings: Settings, database: Database, engine: Callable[[], Engine]) -> None:
        self._settings = settings
        self._database = database
        self._engine = engine
        self._caches = MachineCaches(settings.caches_dir, engine)

    def clean(self) -> None:
        """One round: removes what nothing can need, then what quotas and the disk ask for, and reports. Raises
        SQLAlchemyError and OSError.
        """
        folder = self._settings.mirrors_dir
        finish_removals(folder)
        # Listed first: a repository that is added meanwhile has no mirror in this list.
        listed = {each.name: each for each in stored_mirrors(folder)}
        with reading(self._database) as session:
            sources = mirror_sources(session)
        owners = {mirror_name(url, key).removesuffix(".git"): repo_id for repo_id, url, key in sources}
        for name in listed.keys() - owners.keys():
            self._remove_for_ever(name)
        self._tidy_caches({repo_id for repo_id, _, _ in sources})
        found = self._look({name: each for name, each in listed.items() if name in owners}, owners)
        freed = self._make_room(found)
        self._prune_build_cache(found)
        if freed:
            found = self._look({each.name: each for each in stored_mirrors(folder) if each.name in owners}, owners)
        self._report(found, freed)

    def _remove_for_ever(self, name: str) -> None:
        try:
            gone = remove_mirror(self._settings.mirrors_dir, name, forever=True)
        except OSError as error:
            _log.warning("the mirror of a repository that is gone could not be removed", mirror=name, why=str(error))
            return
        if gone:
            _log.info("removed the mirror of a repository that is gone, or has another address", mirror=name)

    def _tidy_caches(self, repo_ids: set[int]) -> None:
        try:
            self._caches.tidy(repo_ids, self._settings.cache_bytes_max)
        except (StepError, OSError) as error:
            _log.warning("the caches of this machine could not be cleaned", why=str(error))

    def _look(self, mirrors: Mapping[str, StoredMirror], owners: Mapping[str, int]) -> _Found:
        sizes = {name: sum(disk_use(each, _MEASURE_S).total_bytes for each in m.folders) for name, m in mirrors.items()}
        images = {each.image_id: each for each in recorded_images(self._settings.image_records_dir)}
        found = _Found(mirrors, owners, sizes, images)
        try:
            found.engine = engine_use(self._engine(), frozenset(images))
        except (StepError, OSError, ValueError) as error:
            found.problem = f"{error}."
        return found

    def _make_room(self, found: _Found) -> int:
        settings = self._settings
        data_disk = settings.data_dir.stat().st_dev if settings.data_dir.exists() else None
        mirrors = [
            Kept(MIRRORS, name, found.mirror_bytes[name], each.used_s, data_disk)
            for name, each in found.mirrors.items()
        ]
        images = [
            Kept(IMAGES, image_id, found.engine.images.get(image_id, 0), each.used_s, found.engine.disk_id)
            for image_id, each in found.images.items()
            if not found.problem
        ]
        wanted: dict[int | None, int] = {data_disk: self._wanted(disk_of(settings.data_dir))}
        if found.engine.disk and found.engine.disk_id != data_disk:
            wanted[found.engine.disk_id] = self._wanted(found.engine.disk)
        wanted.pop(None, None)
        quotas = {MIRRORS: settings.mirror_bytes_max, IMAGES: settings.image_bytes_max}
        chosen = choose([*mirrors, *images, *self._caches.kept(data_disk)], quotas, wanted, time.time())
        return sum(each.size_bytes for each in chosen if self._remove(found, each))

    def _wanted(self, disk: Disk) -> int:
        return to_free(disk.total_bytes, disk.free_bytes, *self._settings.disk_marks)

    def _remove(self, found: _Found, kept: Kept) -> bool:
        """Removes it unless a job uses it now."""
        try:
            if kept.kind == MIRRORS:
                idle_s = min(IDLE_S, max(0.0, time.time() - kept.used_s))  # used again since it was chosen: it stays
                gone = remove_mirror(self._settings.mirrors_dir, kept.name, idle_s=idle_s)
            elif kept.kind == CACHES:
                gone = self._caches.remove(kept)
            else:
                gone = remove_image(self._engine(), self._settings.image_records_dir, found.images[kept.name])
        except (StepError, OSError) as error:
            _log.warning("something could not be removed to make room", kind=kept.kind, name=kept.name, why=str(error))
            return False
        if gone:
            _log.info("removed to make room", kind=kept.kind, name=kept.name, bytes=kept.size_bytes)
        return gone

    def _prune_build_cache(self, found: _Found) -> None:
        most = self._settings.build_cache_bytes_max
        if not most or found.engine.bytes_of.get("build_cache", 0) <= most:
            return
        try:
            prune_build_cache(self._engine(), most)
        except StepError as error:
            found.problem = f"{error}."

    def _report(self, found: _Found, freed: int) -> None:
        settings = self._settings
        disk, (high, low) = disk_of(settings.data_dir), settings.disk_marks
        parts = {
            "workspaces": settings.workspaces_dir,
            "kept_files": settings.kept_dir,
            "spool": settings.spool_dir,
            "old_logs": settings.logs_dir,
        }
        sizes = {kind: _size(folder) for kind, folder in parts.items()}
        caches = self._caches.bytes_of_repos()
        kept = {MIRRORS: sum(found.mirror_bytes.values()), CACHES: sum(caches.values())}
        bytes_of = {**kept, **sizes, **found.engine.bytes_of}
        facts = {
            "host": socket.gethostname(),
            "folder": str(settings.data_dir),
            "total_bytes": disk.total_bytes,
            "free_bytes": disk.free_bytes,
            "high_percent": high,
            "low_percent": low,
            "bytes": bytes_of,
            "mirrors": {str(found.owners[name]): size for name, size in found.mirror_bytes.items() if size},
            "caches": {str(repo_id): size for repo_id, size in caches.items() if size},
            "freed_bytes": freed,
            "problem": found.problem,
        }
        with transaction(self._database) as session:
            put_report(session, machine_name(settings.data_dir), facts)


def machine_name(data_dir: Path) -> str:
    """The name of a machine's report: several workers with one data directory are one machine."""
    return f"{socket.gethostname()}:{os.path.abspath(data_dir)}"  # noqa: PTH100 - of a path that need not exist


def _size(folder: Path) -> int:
    return disk_use(folder, _MEASURE_S).total_bytes if folder.exists() else 0
