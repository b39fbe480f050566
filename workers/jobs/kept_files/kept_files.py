"""Keeps the workspace of a failed job on this machine, and gives it to the job that goes on with it.

A folder is moved, never copied, by one rename: of two that want it, one gets it. Rows say which are to be kept.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from pipelines.state import Outcome, Reason, State
from runner.cleanup.folder_removal import remove_tree
from runner.docker.client import Engine
from runner.errors import StepError
from runner.private import private_folder
from workers.db.session import reading, transaction
from workers.jobs.leftovers import job_key
from workers.jobs.machine.disk_use import disk_use
from workers.settings import Settings
from workers.store.jobs.leases import Claim
from workers.store.reruns import kept_files as rows

MEASURE_S_MAX = 10.0
"""A workspace whose files take longer to be counted is not kept."""
_REMOVING = "removing-"
_GONE = (
    "the files of the failed job are not on this machine any more: they are kept for a while, and go to the first "
    "re-run that takes them; run the job again from its beginning"
)

_log = structlog.get_logger()


class KeptFiles:
    """The kept files of one machine. ``engine`` connects when it is called: steps may have written files as root."""

    def __init__(self, settings: Settings, database: Database, engine: Callable[[], Engine], installation: str) -> None:
        self._settings = settings
        self._folder = settings.kept_dir
        self._database = database
        self._engine = engine
        self._installation = installation

    def keeper_for(self, claim: Claim, outcome: Outcome, *, untrusted: bool) -> Callable[[Path], None] | None:
        """What keeps the job's workspace at its end; None where it is not kept.

        Only what the pipeline itself has failed is kept, and nothing of untrusted runs, which could fill the quota.
        """
        if not self._settings.keep_failed_h or outcome.state is not State.FAILED or untrusted:
            return None
        return partial(self._keep, claim)

    def _keep(self, claim: Claim, workspace: Path) -> None:
        """Keeps the folder if the quota has room for it once the oldest ones are gone. Raises OSError and StepError."""
        began_s = time.monotonic()
        size_bytes = disk_use(workspace, MEASURE_S_MAX).total_bytes
        slow = time.monotonic() - began_s >= MEASURE_S_MAX
        if slow or size_bytes > self._settings.keep_failed_bytes_max:
            _log.info("the files of a failed job are too many to be kept", job=claim.job_id, bytes=size_bytes)
            return
        try:
            self._make_room(self._settings.keep_failed_bytes_max - size_bytes)
            with transaction(self._database) as session:
                hours = self._settings.keep_failed_h
                kept = rows.keep_files(session, claim.job_id, claim.attempt, hours, size_bytes)
            if kept:
                self._move_in(claim, workspace)
        except SQLAlchemyError as error:
            _log.warning("the files of a failed job are not kept", job=claim.job_id, error=str(error))

    def _move_in(self, claim: Claim, workspace: Path) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            private_folder(self._folder)
            kept = self._folder / job_key(self._installation, claim.key)
            workspace.rename(kept)
            os.utime(kept)
        except OSError:
            with transaction(self._database) as session:
                rows.forget_files(session, [claim.key])
            raise

    def taker_for(self, claim: Claim) -> Callable[[Path], None] | None:
        """What puts the files in the place of an empty workspace; None for a job that begins with the checkout."""
        with reading(self._database) as session:
            source_id, key = rows.files_for(session, claim.job_id)
        return None if source_id is None else partial(self._take, key)

    def _take(self, key: str, workspace: Path) -> None:
        """Raises StepError where they are gone."""
        if not key:
            raise StepError(Reason.CLONE_FAILED, _GONE)
        try:
            (self._folder / job_key(self._installation, key)).rename(workspace)
        except FileNotFoundError:
            raise StepError(Reason.CLONE_FAILED, _GONE) from None
        with transaction(self._database) as session:
            rows.forget_files(session, [key])

    def cleaned_before(self, clean: Callable[[], None]) -> Callable[[], None]:
        """The other housekeeping of this machine, with this before it."""

        def both() -> None:
            try:
                self.clean()
            except OSError as error:
                _log.warning("kept files could not be removed; it is tried again", error=str(error))
            clean()

        return both

    def clean(self) -> None:
        """Removes the files that no row wants to be kept. Raises SQLAlchemyError and OSError."""
        found = self._found()
        with reading(self._database) as session:
            wanted = {each.key for each in rows.kept_jobs(session, found)}
        for key in found.keys() - wanted:
            self._remove(key)
        for left in self._folder.glob(f"{_REMOVING}{self._installation}-*"):
            self._remove_tree(left)

    def _found(self) -> dict[str, Path]:
        """The folders by the random names of their jobs."""
        prefix = f"{self._installation}-"
        return {path.name.removeprefix(prefix): path for path in self._folder.glob(f"{prefix}*")}

    def _make_room(self, bytes_max: int) -> None:
        """Removes the oldest until the others take no more than this."""
        found = self._found()
        with reading(self._database) as session:
            sizes = {each.key: each.size_bytes for each in rows.kept_jobs(session, found)}
        oldest = sorted(sizes, key=lambda key: found[key].stat().st_mtime)
        while sum(sizes.values()) > bytes_max:
            key = oldest.pop(0)
            del sizes[key]
            with transaction(self._database) as session:
                rows.forget_files(session, [key])
            self._remove(key)

    def _remove(self, key: str) -> None:
        """First the name: a job that takes the files has all of them, or none."""
        name = job_key(self._installation, key)
        try:
            (self._folder / name).rename(self._folder / f"{_REMOVING}{name}")
        except FileNotFoundError:
            return
        self._remove_tree(self._folder / f"{_REMOVING}{name}")

    def _remove_tree(self, folder: Path) -> None:
        try:
            remove_tree(self._engine(), folder)
        except StepError as error:
            _log.warning("kept files could not be removed; it is tried again", folder=str(folder), error=str(error))
