"""Ends the job that fills the disk, and no other: its containers at once, then its files, and only then its verdict.

Every running job has a guard. The guards of one machine agree without talking to each other, because each measures the
folders of all jobs: the one whose job has written most acts at once. The next one acts if that did not help.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from runner.cleanup.discard import DISCARDED, discard_workspace, written_in_containers
from runner.errors import StepError
from runner.threads import in_this_context
from workers.disk import DiskReserve
from workers.jobs.context import WorkerContext
from workers.jobs.leftovers import job_key
from workers.jobs.machine.cache_use import discard_views, written_in_views
from workers.jobs.machine.disk_use import DiskUse, disk_use
from workers.store.jobs.leases import Claim

POLL_S = 0.1
TURN_S = 3.0
"""The job that has written the second most is ended if the disk stays full for so long, and so on."""
_DISCARD_S = 10.0
_MIB = 1024**2

_log = structlog.get_logger()


class DiskGuard:
    """The guard of the job in ``folder``, a sibling of all other jobs' folders. ``make_room`` removes what it wrote.

    ``written`` returns how many bytes the containers of each job have written, with those in its views of caches, by
    the name of its folder. To be entered while the job runs. ``problem`` may be called from every thread.
    """

    def __init__(
        self,
        reserve: DiskReserve,
        folder: Path,
        make_room: Callable[[], None],
        written: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._reserve = reserve
        self._folder = folder
        self._written = written
        self._make_room = make_room
        self._problem = ""
        self._critical_since_s: float | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=in_this_context(self._look_until_stopped), name="disk-guard", daemon=True
        )

    def __enter__(self) -> Self:
        """Starts to look at the disk."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops looking."""
        self._stop.set()
        self._thread.join()

    def problem(self) -> str:
        """Why the job had to end, so that there is room on the disk; empty where it may go on.

        When it returns a sentence, the job's containers have ended and what they wrote is gone.
        """
        if not self._problem and not self._reserve.is_critical():
            self._critical_since_s = None
            return ""
        with self._lock:
            if not self._problem and (use := self._own_turn()):
                self._problem = _sentence(use)
                _log.warning("a job fills the disk, and is ended", folder=self._folder.name, problem=self._problem)
                self._make_room()
            return self._problem

    def _look_until_stopped(self) -> None:
        while not self._stop.wait(POLL_S):
            if self.problem():
                return

    def _own_turn(self) -> DiskUse | None:
        """What this job has written, where it is the one to end now."""
        now_s = time.monotonic()
        since_s = self._critical_since_s = self._critical_since_s or now_s
        others = self._others()
        if any(map(_being_discarded, others)):
            return None
        written = self._written()
        folders = [path for path in (self._folder, *others) if not (path / DISCARDED).exists()]
        own, *uses = [self._use(path, written) for path in folders]
        ahead = sum(use.rank() > own.rank() for use in uses)
        if now_s - since_s < ahead * TURN_S or not self._reserve.is_critical():
            return None
        # Measuring takes time: meanwhile another worker may have begun to make room.
        return None if self._others() != others or any(map(_being_discarded, others)) else own

    def _others(self) -> list[Path]:
        return sorted(path for path in self._folder.parent.iterdir() if path != self._folder)

    def _use(self, folder: Path, written: Mapping[str, int]) -> DiskUse:
        use = disk_use(folder)
        use.add_containers(written.get(folder.name, 0))
        return use


def guard_of(context: WorkerContext, claim: Claim, folder: Path) -> DiskGuard:
    """The guard of a job of this worker."""
    settings, engine = context.settings, context.engine()

    def make_room() -> None:
        for error in discard_workspace(engine, job_key(context.installation, claim.key), folder):
            _log.warning("what a job wrote could not be removed", job=claim.job_id, problem=str(error))
        try:
            discard_views(settings.caches_dir, folder, engine)
        except (StepError, OSError) as error:
            _log.warning("what a job wrote to caches could not be removed", job=claim.job_id, problem=str(error))

    def written() -> Mapping[str, int]:
        found = Counter(written_in_views(settings.caches_dir))
        try:
            found.update(written_in_containers(engine, settings.data_dir))
        except StepError as error:
            _log.warning("what containers have written is not known", problem=str(error))
        return found

    return DiskGuard(settings.disk_reserve, folder, make_room, written)


def _being_discarded(folder: Path) -> bool:
    """True while another worker empties a job's workspace, and for a short time after that."""
    try:
        return time.time() - (folder / DISCARDED).stat().st_ctime < _DISCARD_S
    except OSError:
        return False


def _sentence(use: DiskUse) -> str:
    largest = f", the largest file is {use.largest} with {use.largest_bytes / _MIB:,.1f} MiB" if use.largest else ""
    return (
        f"stopped: the server's disk was full, and this job filled it with {use.recent_bytes / _MIB:,.1f} MiB in a "
        f"minute ({use.total_bytes / _MIB:,.1f} MiB in its folder{largest}); let it write less, or make room on the "
        "disk of HEADWAY_DATA_DIR, and re-run"
    )
