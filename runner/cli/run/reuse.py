"""Results of ``headway run`` that later ones may take: in the user's cache folder, apart for each repository."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipelines.plan import Checkout, CommandsStep, JobPlan, Plan
from pipelines.state import State
from runner.artifacts.files import KeptFile
from runner.cli.cache_folder import cache_folder
from runner.cli.run.artifacts import LocalArtifacts, read_checked
from runner.cli.run.record_folder import Draft, RecordFolder, fingerprints, records_of, title_of
from runner.events import Emit, Event, ReportsRead, StepOutput
from runner.report_results import StepReports
from runner.reuse.records import Record, ReuseAccess
from runner.reuse.sources import SourceTree
from runner.reuse.working_files import working_entries
from runner.source.working_tree import WorkingTree

LOG_BYTES_MAX = 10 * 1024**2
"""With more output, the result of a step is not kept for later runs."""


@dataclass
class LocalReuse:
    """What the jobs of one ``headway run`` take of earlier ones, and leave for later ones once all have passed."""

    base: Path
    tree: WorkingTree
    artifacts: LocalArtifacts
    takes: bool = True
    _drafts: list[tuple[int, int, Draft]] = field(default_factory=list)
    _outputs: dict[tuple[int, int], bytearray] = field(default_factory=dict)
    _reports: dict[tuple[int, int], StepReports] = field(default_factory=dict)

    def of(self, plan: JobPlan) -> ReuseAccess | None:
        """What this job may use; None where nothing can be kept."""
        with suppress(OSError):
            tree = SourceTree(partial(working_entries, self.tree, plan.checkout or Checkout()))
            return ReuseAccess(JobRecords(self, plan), tree, fingerprints(self.base), takes=self.takes)
        return None

    @property
    def folder(self) -> RecordFolder:
        """The records of this repository."""
        return records_of(self.base, self.tree)

    def following(self, emit: Emit, plan: JobPlan) -> Emit:
        """``emit``, which also notes what steps with sources write and report."""
        wanted = {step.number for step in plan.steps if isinstance(step, CommandsStep) and step.sources}

        def follow(event: Event) -> None:
            if isinstance(event, StepOutput) and event.step in wanted:
                output = self._outputs.setdefault((plan.number, event.step), bytearray())
                if len(output) <= LOG_BYTES_MAX:
                    output += event.data
            elif isinstance(event, ReportsRead) and event.step in wanted:
                self._reports[plan.number, event.step] = event.reports
            emit(event)

        return follow

    def add(self, job: int, draft: Draft, step: int) -> None:
        """Notes the result of a step that has passed."""
        self._drafts.append((job, step, draft))

    def store(self) -> None:
        """Keeps the results: the run has passed."""
        kept = self.artifacts.by_step()
        for job, step, draft in self._drafts:
            output = self._outputs.get((job, step), bytearray())
            if len(output) <= LOG_BYTES_MAX:
                with suppress(OSError):
                    self.folder.store(draft, bytes(output), kept.get((job, step), []), self._reports.get((job, step)))
        if self._drafts:
            self.folder.trim(time.time())


@dataclass(frozen=True)
class JobRecords:
    """See ``ReuseRecords``."""

    run: LocalReuse
    job: JobPlan

    def find(self, step: CommandsStep, key: str) -> Record | None:  # noqa: ARG002 - the key says which step
        """See ``ReuseRecords``."""
        return self.run.folder.read(key)

    def latest(self, step: CommandsStep) -> Record | None:
        """See ``ReuseRecords``."""
        return self.run.folder.latest(title_of(self.job, step))

    def take(self, step: CommandsStep, record: Record) -> bool:
        """See ``ReuseRecords``."""
        return self.run.artifacts.copy_of(self.job, step.number, record.files)

    def keep(self, step: CommandsStep, key: str, parts: Mapping[str, str], seconds: float) -> None:
        """See ``ReuseRecords``."""
        self.run.add(self.job.number, Draft(key, title_of(self.job, step), parts, seconds, time.time()), step.number)

    def read(self, file: KeptFile) -> Iterator[bytes]:
        """See ``ReuseRecords``."""
        return read_checked(file)


def reuse_for(plan: Plan, tree: WorkingTree, artifacts: LocalArtifacts, *, takes: bool = True) -> LocalReuse | None:
    """The reuse of a run with this plan; None if no step of it has sources."""
    steps = (step for job in plan.jobs for step in job.steps)
    if not any(isinstance(step, CommandsStep) and step.sources for step in steps):
        return None
    return LocalReuse(cache_folder(os.environ, "reuse"), tree, artifacts, takes)


def store_results(reuse: LocalReuse | None, state: State) -> None:
    """Keeps the results of a run, if it has passed."""
    if reuse and state is State.PASSED:
        reuse.store()
