"""The caches on this machine, for housekeeping: what they take up, and what of them may go."""

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from runner.caches.store import CacheStore
from runner.caches.trimming import drop_scopes, make_durable, remove_version, stored_versions, trim
from runner.cleanup.folder_removal import remove_tree
from runner.docker.client import Engine
from runner.execution.job.journal import boot_id
from workers.access.caches import repo_of_scope
from workers.jobs.machine.disk_use import disk_use
from workers.jobs.machine.removal_choice import Kept

CACHES = "caches"


class MachineCaches:
    """The caches below ``folder``. ``engine`` connects when it is called: files of steps may need it to be removed."""

    def __init__(self, folder: Path, engine: Callable[[], Engine]) -> None:
        self._store = CacheStore(folder, boot_id())
        self._engine = engine

    def tidy(self, repo_ids: Collection[int], bytes_max: int) -> None:
        """Removes those of repositories that are gone, what dead jobs left, and what is more than ``bytes_max``.

        Raises StepError and OSError.
        """
        if not self._store.root.exists():
            return
        drop_scopes(self._store, lambda scope: repo_of_scope(scope) in repo_ids)
        trim(self._store, bytes_max)
        self._remove_gone()
        make_durable(self._store)

    def kept(self, disk: int | None) -> list[Kept]:
        """The versions that no job uses, which are on ``disk``."""
        listed = stored_versions(self._store) if self._store.root.exists() else []
        return [Kept(CACHES, each.name, each.own_bytes, each.used_s, disk) for each in listed if not each.in_use]

    def remove(self, kept: Kept) -> bool:
        """Removes a version, unless it was used again meanwhile. Raises StepError and OSError."""
        gone = remove_version(self._store, kept.name, kept.used_s)
        self._remove_gone()
        return gone

    def bytes_of_repos(self) -> Mapping[int, int]:
        """How much the caches of each repository take up."""
        found: dict[int, int] = {}
        for each in stored_versions(self._store) if self._store.root.exists() else ():
            if (repo_id := repo_of_scope(each.name.partition("/")[0])) is not None:
                found[repo_id] = found.get(repo_id, 0) + each.own_bytes
        return found

    def _remove_gone(self) -> None:
        self._store.remove_gone(self._remove_folder)

    def _remove_folder(self, folder: Path) -> None:
        try:
            shutil.rmtree(folder)
        except (OSError, RecursionError):
            remove_tree(self._engine(), folder)


def written_in_views(folder: Path) -> Mapping[str, int]:
    """How many bytes each job has written to its views of caches below ``folder``, by the name of the job's folder."""
    views = CacheStore(folder, boot_id()).views
    return {each.name: disk_use(each).total_bytes for each in views.iterdir()} if views.exists() else {}


def discard_views(folder: Path, job: Path, engine: Engine) -> None:
    """Removes what a job has written to its views, for a job that has filled the disk. Raises StepError and OSError."""
    gone = CacheStore(folder, boot_id()).drop_views(job)
    if gone is not None:
        remove_tree(engine, gone)
