"""Lints pipeline files: compiles them for sample triggers of every event that they serve, and applies the rules."""

import re
from collections.abc import Collection, Sequence

from pipelines.compiler.inputs import with_inputs
from pipelines.compiler.job_input import JobInput
from pipelines.compiler.jobs import PlannedJob, plan_job
from pipelines.compiler.pipeline import join_jobs, variables_for
from pipelines.compiler.plugins.build_plugins import is_build_plugin
from pipelines.compiler.workflow_dependencies import check_needs
from pipelines.context import FULL_TRUST, Context, PipelineFile, RepoInfo
from pipelines.environment.variables import PreviousRun, previous_variables
from pipelines.images.auto_tags import auto_tags
from pipelines.linter.rules import apply_rules
from pipelines.linter.sample_triggers import push_to_default_branch, triggers_for
from pipelines.linter.surprises import warn_of_surprises
from pipelines.linter.unreachable import check_conditions, check_workflows
from pipelines.matching.expressions import ExpressionError
from pipelines.model.conditions import Condition
from pipelines.model.workflow import PluginStep, PushStep, Step
from pipelines.parser.discovery import workflow_name
from pipelines.parser.file_limits import too_large_files
from pipelines.parser.fragments import NO_FRAGMENTS, Fragments
from pipelines.parser.reader import FileReader, ReadWorkflow
from pipelines.problem import Level, Problem
from pipelines.state import State
from pipelines.syntax.diagnostics import Diagnostics
from pipelines.trigger import PULL_REQUEST_EVENTS, Trigger

# Limits for long files: evaluated conditions times sample triggers, planned steps, and characters parsed.
DECISIONS_COUNT_MAX = 10_000
STEPS_PLANNED_COUNT_MAX = 2_000
READ_CHARACTERS_MAX = 128 * 1024
CELLS_CHARACTERS_MAX = 128 * 1024

_TAG_OF_A_TRIGGER = re.compile(r"^'.*' (?=is not a tag)")
_NOW_S = 1_700_000_000
_REPO = RepoInfo(
    "owner/name",
    "https://git.example.org/owner/name.git",
    web_url="https://git.example.org/owner/name",
    forge="forgejo",
    forge_url="https://git.example.org",
    trust=FULL_TRUST,
)
_SERVER = Context(
    _REPO,
    run_number=1,
    run_url="https://ci.example.org/repos/owner/name/runs/1",
    created_s=_NOW_S,
    system_url="https://ci.example.org",
    system_host="ci.example.org",
    system_version="1.0",
    known=False,
)
_BEFORE = PreviousRun(push_to_default_branch("main"), _SERVER, State.PASSED, _NOW_S, _NOW_S)
ANY_REPO = _SERVER._replace(run_number=2, previous=previous_variables(_BEFORE))
"""An unknown repository with full trust: keys that need trust are hints, not errors. What only a server knows has a
plausible value, because an empty one would make errors that no run has.
"""


def lint_files(
    files: Sequence[PipelineFile],
    context: Context = ANY_REPO,
    other_workflows: Collection[str] = (),
    fragments: Fragments = NO_FRAGMENTS,
) -> list[Problem]:
    """Every error, warning and hint, in the order of files and lines.

    Errors are the same as those of a run. ``other_workflows`` are names besides those of ``files`` that ``depends_on``
    may have.
    """
    if problem := too_large_files(files):
        return [problem]
    names = {workflow_name(file.path) for file in files} | set(other_workflows)
    linted = [_lint(file, context, names, fragments) for file in sorted(files, key=lambda file: file.path)]
    check_workflows([job for file in linted for job in file.jobs[:1]])
    problems = [problem for file in linted for problem in _without_repeats(file.diagnostics.problems)]
    _, _, between_files = join_jobs([planned for file in linted for planned in file.planned])
    return problems + between_files


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    """Without problems that differ from an earlier one at the same place only in the trigger."""
    seen: set[tuple[str, int, int, str, Level]] = set()
    kept = []
    for problem in problems:
        message = _TAG_OF_A_TRIGGER.sub("", problem.message.split(": the ")[0])
        key = (problem.file, problem.line, problem.column, message, problem.level)
        if key not in seen:
            seen.add(key)
            kept.append(problem)
    return sorted(kept)


class _Linted:
    """The result for one file: a job input per matrix cell, and the jobs that were planned for the first trigger."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.jobs: list[JobInput] = []
        self.planned: list[PlannedJob] = []


def _lint(file: PipelineFile, context: Context, names: Collection[str], fragments: Fragments) -> _Linted:
    diagnostics = Diagnostics(file.path)
    linted = _Linted(diagnostics)
    reader = FileReader(file, diagnostics, fragments, characters_max=CELLS_CHARACTERS_MAX)
    name = workflow_name(file.path)
    first = push_to_default_branch(context.repo.default_branch)
    read = reader.read(variables_for(name, first, context))
    if not read:
        return linted
    check_needs(name, read[0].located, frozenset(names))
    linted.jobs = [_job_input(name, workflow, first, context) for workflow in read]
    _try_triggers(linted, reader, name, context)
    check_conditions(linted.jobs, all_cells=reader.reads_all_cells)
    for job in linted.jobs:
        apply_rules(job)
        warn_of_surprises(job)
    return linted


def _job_input(name: str, workflow: ReadWorkflow, trigger: Trigger, context: Context) -> JobInput:
    return JobInput(name, workflow.cell, workflow.located, with_inputs(workflow.located, trigger), context)


def _try_triggers(linted: _Linted, reader: FileReader, name: str, context: Context) -> None:
    """Plans the file for each sample trigger with a different outcome, within the limits."""
    workflow = linted.jobs[0].workflow
    triggers = triggers_for(workflow, context.repo.default_branch)
    cost = sum(_cost(job) for job in linted.jobs)
    tried: set[object] = set()
    planned = 0
    for count, trigger in enumerate(triggers):
        if count and (count * cost > DECISIONS_COUNT_MAX or reader.characters_read > READ_CHARACTERS_MAX):
            break
        for job in [
            _job_input(name, read, trigger, context) for read in reader.read(variables_for(name, trigger, context))
        ]:
            outcome = _outcome(job)
            if outcome in tried or (tried and planned > STEPS_PLANNED_COUNT_MAX):
                continue
            tried.add(outcome)
            planned += len(job.workflow.steps)
            result = plan_job(job)
            if not count:
                linted.planned.append(result)


def _outcome(job: JobInput) -> object:
    """A key that is equal for triggers with the same plan."""
    workflow, trigger = job.workflow, job.trigger
    items = [(workflow.when, False), *((item.when, True) for item in (*workflow.steps, *workflow.services))]
    runs: list[bool] = []
    for conditions, of_step in items:
        try:
            runs.append(not conditions or job.try_to_decide(conditions, of_step=of_step).runs)
        except ExpressionError:
            runs.append(True)
    if not any(_pushes(step) for step in workflow.steps):
        return id(job.located), tuple(runs)
    is_pull = trigger.event in PULL_REQUEST_EVENTS
    return id(job.located), tuple(runs), is_pull, auto_tags(trigger, job.context.repo.default_branch)


def _pushes(step: Step) -> bool:
    return isinstance(step, PushStep) or (isinstance(step, PluginStep) and is_build_plugin(step))


def _cost(job: JobInput) -> int:
    """The approximate cost of a workflow's conditions, in simple conditions."""
    items = [job.workflow.when, *(item.model.when for item in job.items())]
    return len(items) + sum(_cost_of(condition) for conditions in items for condition in conditions)


def _cost_of(condition: Condition) -> int:
    choices = (
        condition.branch,
        condition.ref,
        condition.repo,
        condition.path,
        condition.cron,
        *condition.matrix.values(),
    )
    patterns = (pattern for choice in choices for pattern in (*choice.include, *choice.exclude))
    braces = sum(1 << min(pattern.count(","), 6) for pattern in patterns if "{" in pattern)
    return 1 + braces + len(condition.evaluate) // 10


def has_errors(problems: Sequence[Problem], *, strict: bool = False) -> bool:
    """True if one of the problems is an error, or with ``strict`` a warning."""
    levels = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    return any(problem.level in levels for problem in problems)


def in_file(problem: Problem, file: str) -> Problem:
    """The same problem, with another name of the file, for display."""
    return problem._replace(file=file)
