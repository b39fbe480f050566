"""What ``headway plan`` says of steps with sources: would each run in `headway run`, and what has changed."""

from collections.abc import Mapping
from functools import partial

from pipelines.plan import BuildStep, Checkout, CommandsStep, JobPlan, Plan, SecretRef
from pipelines.step_order import ancestors
from runner.cli.cache_folder import cache_folder
from runner.cli.run.record_folder import RecordFolder, fingerprints, records_of, title_of
from runner.reuse import keys
from runner.reuse.sources import SourceTree, UnknownSourcesError
from runner.reuse.working_files import working_entries
from runner.source.working_tree import WorkingTree

_COMPARED = ("source ", keys.GIT_FILES, keys.COMMANDS, keys.OPTIONS, "variable ")


def reuse_of(plan: Plan, tree: WorkingTree, environment: Mapping[str, str]) -> dict[tuple[int, int], str]:
    """A sentence for each step with sources, by the numbers of its job and itself. The engine is not asked."""
    if not any(_has_sources(step) for job in plan.jobs for step in job.steps):
        return {}
    base = cache_folder(environment, "reuse")
    try:
        keyed = fingerprints(base)
    except OSError as error:
        return dict.fromkeys(
            ((job.number, step.number) for job in plan.jobs for step in job.steps if _has_sources(step)),
            f"runs: {base} cannot be read: {error.strerror}",
        )
    found: dict[tuple[int, int], str] = {}
    for job in plan.jobs:
        files = SourceTree(partial(working_entries, tree, job.checkout or Checkout()))
        said = _Job(job, records_of(base, tree), files, keyed).sentences()
        found |= {(job.number, number): sentence for number, sentence in said.items()}
    return found


def _has_sources(step: object) -> bool:
    return isinstance(step, CommandsStep) and bool(step.sources)


class _Job:
    def __init__(self, job: JobPlan, records: RecordFolder, tree: SourceTree, keyed: keys.Fingerprint) -> None:
        self._job, self._records, self._tree, self._keyed = job, records, tree, keyed
        self._before = ancestors({step.number: step.needs for step in job.steps})
        self._runs: set[int] = set()

    def sentences(self) -> dict[int, str]:
        """A sentence for each step with sources."""
        found = {}
        for step in self._job.steps:
            if isinstance(step, CommandsStep) and step.sources:
                why = self._why_it_runs(step)
                if why:
                    self._runs.add(step.number)
                found[step.number] = f"runs: {why}" if why else self._unchanged(step)
            elif not isinstance(step, BuildStep):
                self._runs.add(step.number)
        return found

    def _unchanged(self, step: CommandsStep) -> str:
        latest = self._records.latest(title_of(self._job, step))
        return f"unchanged since {latest.since}: it does not run if its image is the same" if latest else ""

    def _why_it_runs(self, step: CommandsStep) -> str:
        if running := self._before[step.number] & self._runs:
            name = next(other.name for other in self._job.steps if other.number == min(running))
            return f"step {name!r} before it runs"
        latest = self._records.latest(title_of(self._job, step))
        if latest is None:
            return "there is no earlier result to reuse"
        try:
            parts = self._parts(step)
        except UnknownSourcesError as error:
            return str(error)
        then = {name: digest for name, digest in latest.parts.items() if name in parts or name.startswith("source ")}
        changed = keys.changes(then, parts)
        return f"{changed[0]} changed since {latest.since}" if changed else ""

    def _parts(self, step: CommandsStep) -> dict[str, str]:
        """The parts that can be compared: those of secrets cannot, nor variables of a server's or another user's."""
        known = {
            name: value
            for name, value in step.container.environment.items()
            if not name.startswith("CI") and not any(isinstance(part, SecretRef) for part in value)
        }
        container = step.container.model_copy(update={"environment": known})
        parts = keys.step_parts(self._job, step.model_copy(update={"container": container}), {}, self._keyed)
        states = self._tree.states(step.sources)
        parts |= {f"source {pattern}": state for pattern, state in states.items()}
        parts[keys.GIT_FILES] = self._tree.git_files()
        return {name: digest for name, digest in parts.items() if name.startswith(_COMPARED)}
