"""Keeps the first failed job of a run as it is: its failed step's container, its files, network and services."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pipelines.plan import JobPlan
from pipelines.visible import visible_line
from runner.cleanup.folder_removal import remove_tree
from runner.cleanup.leftovers import JobLeftovers
from runner.cli.shell.kept_failure import KEPT_HOURS_MAX, KeptFailure, KeptFailures
from runner.docker.client import Engine
from runner.docker.containers.specs import JOB_LABEL
from runner.errors import StepError
from runner.execution.job.set_aside import FailedContainer, SetAside

HOUR_S = 3600
CleanUp = Callable[[JobLeftovers], None]


@dataclass
class FailureKeeping:
    """What one run keeps in ``failures``: the first of its jobs that fails in a step with commands.

    ``clean_up`` removes a job. ``release`` takes it out of what is removed at the end of the run, and has it removed
    when its record is too old. ``warn`` gets a sentence where a job cannot be kept.
    """

    failures: KeptFailures
    repository: str
    engine: Callable[[], Engine]
    clean_up: CleanUp
    release: Callable[[JobLeftovers, Path, float], None]
    warn: Callable[[str], None]
    kept: KeptFailure | None = None
    _lock: Lock = field(default_factory=Lock)

    def end(self, plan: JobPlan, set_aside: SetAside, job: JobLeftovers) -> None:
        """Called at the end of a job, in place of its removal. Raises StepError as ``clean_up`` does."""
        with self._lock:
            if set_aside.chosen is None or self.kept is not None:
                self.clean_up(job)
                return
            try:
                self._keep(plan, set_aside.chosen, job)
                set_aside.kept = True
            except (StepError, OSError) as error:
                self.warn(f"the failed job cannot be kept, and is removed: {error}")
                self.clean_up(job)

    def _keep(self, plan: JobPlan, failed: FailedContainer, job: JobLeftovers) -> None:
        engine = self.engine()
        for container in engine.containers_labelled(f"{JOB_LABEL}={job.key}"):
            if container["Id"] not in {failed.container, *job.services}:
                engine.remove(container["Id"])
        remove_tree(engine, job.folder / "scratch")  # it may have logins of registries
        kept = KeptFailure(
            repository=self.repository,
            title=plan.title,
            step=failed.step,
            container=failed.container,
            preparation=failed.preparation,
            secret_files=failed.secret_files,
            key=job.key,
            folder=str(job.folder),
            image_names=job.image_names,
            services=job.services,
            grace_s=job.grace_s,
            until_s=time.time() + KEPT_HOURS_MAX * HOUR_S,
        )
        self.remove_earlier()
        record = self.failures.add(kept)
        self.release(job, record, kept.until_s)
        self.kept = kept

    def remove_earlier(self) -> None:
        """Removes what an earlier run of this folder has kept, and what is too old. Raises StepError."""
        remove_due(self.failures, self.repository, self.clean_up)

    def sentence(self) -> str:
        """The last line of the run."""
        if self.kept is None:
            return "nothing is kept: no step with commands has failed after its start"
        until = time.strftime("%H:%M", time.localtime(self.kept.until_s))
        what = f"kept until {until} or the next `headway run`: {self.kept.step} of {self.kept.title}, as it failed"
        return visible_line(f"{what}. Look at it: headway shell{_folder_word(self.repository)}")


def remove_due(failures: KeptFailures, repository: str, clean_up: CleanUp) -> None:
    """Removes what is kept of this folder, and of others what is too old. Raises StepError."""
    for kept in due(failures.all(), repository, time.time()):
        clean_up(kept.leftovers)
        failures.forget(kept)


def due(all_kept: Iterable[KeptFailure], repository: str, now_s: float) -> Sequence[KeptFailure]:
    """What is to be removed when a run of the folder ``repository`` starts."""
    return [kept for kept in all_kept if kept.repository == repository or kept.until_s <= now_s]


def _folder_word(repository: str) -> str:
    """The argument of ``headway shell``, where the run was of another folder than the current one."""
    from shlex import quote

    return "" if repository == str(Path(os.curdir).resolve()) else f" {quote(repository)}"
