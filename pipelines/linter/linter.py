"""All that can be said about pipeline files without knowing what will happen: for every trigger that they can serve."""

from collections.abc import Collection, Sequence

from pipelines.compiler.build_plugins import is_wrapper
from pipelines.compiler.image_tags import auto_tags
from pipelines.compiler.jobs import Planned, plan_job
from pipelines.compiler.pipeline import check_needs, join_jobs, variables_of
from pipelines.compiler.scope import Scope
from pipelines.context import FULL_TRUST, Context, PipelineFile, RepoInfo
from pipelines.linter.rules import advise
from pipelines.linter.sample_triggers import triggers_for, usual_trigger
from pipelines.linter.unreachable import check_conditions, check_workflows
from pipelines.matching.expressions import ExpressionError
from pipelines.model.conditions import Condition
from pipelines.model.workflow import PluginStep, PushStep, Step
from pipelines.parser.discovery import workflow_name
from pipelines.parser.reader import FileReader, ReadWorkflow
from pipelines.problem import Level, Problem
from pipelines.syntax.diagnostics import Findings
from pipelines.trigger import PULL_REQUEST_EVENTS, Trigger

# What a long file may cost: its conditions times the triggers that it is tried with.
DECISIONS_COUNT_MAX = 10_000
STEPS_PLANNED_COUNT_MAX = 2_000
READ_CHARACTERS_MAX = 128 * 1024
CELLS_CHARACTERS_MAX = 128 * 1024

ANY_REPO = Context(RepoInfo("owner/name", "https://git.example.org/owner/name.git", trust=FULL_TRUST), known=False)
"""Any repository, and one that is trusted with everything: what needs trust is a hint, not an error."""


def lint_files(
    files: Sequence[PipelineFile], context: Context = ANY_REPO, other_workflows: Collection[str] = ()
) -> list[Problem]:
    """Every error, warning and hint, in the order of files and lines.

    What an error says is what a run would say. ``other_workflows`` are names that ``depends_on`` may hold besides those
    of ``files``.
    """
    names = {workflow_name(file.path) for file in files} | set(other_workflows)
    linted = [_lint(file, context, names) for file in sorted(files, key=lambda file: file.path)]
    check_workflows([scope for file in linted for scope in file.scopes[:1]])
    problems = [problem for file in linted for problem in _once(file.findings.problems)]
    _, _, together = join_jobs([planned for file in linted for planned in file.planned])
    return problems + together


def _once(problems: list[Problem]) -> list[Problem]:
    """Without what is said twice about one place, only with another trigger as the reason."""
    seen: set[tuple[int, int, str, Level]] = set()
    kept = []
    for problem in problems:
        key = (problem.line, problem.column, problem.message.split(": the ")[0], problem.level)
        if key not in seen:
            seen.add(key)
            kept.append(problem)
    return sorted(kept)


class _Linted:
    """What became of one file: its cells as scopes, and the jobs for its first trigger."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.scopes: list[Scope] = []
        self.planned: list[Planned] = []


def _lint(file: PipelineFile, context: Context, names: Collection[str]) -> _Linted:
    findings = Findings(file.path)
    linted = _Linted(findings)
    reader = FileReader(file, findings, characters_max=CELLS_CHARACTERS_MAX)
    name = workflow_name(file.path)
    first = usual_trigger(context.repo.default_branch)
    read = reader.read(variables_of(name, first, context))
    if not read:
        return linted
    check_needs(name, read[0].located, frozenset(names))
    linted.scopes = [_scope(name, workflow, first, context) for workflow in read]
    _try_triggers(linted, reader, name, context)
    check_conditions(linted.scopes, all_cells=reader.reads_all_cells)
    for scope in linted.scopes:
        advise(scope)
    return linted


def _scope(name: str, workflow: ReadWorkflow, trigger: Trigger, context: Context) -> Scope:
    return Scope(name, workflow.cell, workflow.located, trigger, context)


def _try_triggers(linted: _Linted, reader: FileReader, name: str, context: Context) -> None:
    """Plans the file for each of its triggers that makes a difference, as long as that stays cheap."""
    workflow = linted.scopes[0].workflow
    triggers = triggers_for(workflow, context.repo.default_branch)
    cost = sum(_cost(scope) for scope in linted.scopes)
    tried: set[object] = set()
    planned = 0
    for count, trigger in enumerate(triggers):
        if count and (count * cost > DECISIONS_COUNT_MAX or reader.characters_read > READ_CHARACTERS_MAX):
            break
        for scope in [
            _scope(name, read, trigger, context) for read in reader.read(variables_of(name, trigger, context))
        ]:
            outcome = _outcome(scope)
            if outcome in tried or (tried and planned > STEPS_PLANNED_COUNT_MAX):
                continue
            tried.add(outcome)
            planned += len(scope.workflow.steps)
            job = plan_job(scope)
            if not count:
                linted.planned.append(job)


def _outcome(scope: Scope) -> object:
    """What tells two triggers apart for the planning of a job."""
    workflow, trigger = scope.workflow, scope.trigger
    parts = [(workflow.when, False), *((part.when, True) for part in (*workflow.steps, *workflow.services))]
    runs: list[bool] = []
    for conditions, of_step in parts:
        try:
            runs.append(not conditions or scope.try_to_decide(conditions, of_step=of_step).runs)
        except ExpressionError:
            runs.append(True)
    if not any(_pushes(step) for step in workflow.steps):
        return id(scope.located), tuple(runs)
    is_pull = trigger.event in PULL_REQUEST_EVENTS
    return id(scope.located), tuple(runs), is_pull, auto_tags(trigger, scope.context.repo.default_branch)


def _pushes(step: Step) -> bool:
    return isinstance(step, PushStep) or (isinstance(step, PluginStep) and is_wrapper(step))


def _cost(scope: Scope) -> int:
    """About how much work the conditions of a workflow are, in simple ones."""
    parts = [scope.workflow.when, *(part.member.when for part in scope.parts())]
    return len(parts) + sum(_cost_of(condition) for conditions in parts for condition in conditions)


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


def worst(problems: Sequence[Problem], *, strict: bool = False) -> bool:
    """True when one of the problems is an error, or with ``strict`` a warning."""
    levels = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    return any(problem.level in levels for problem in problems)


def in_file(problem: Problem, file: str) -> Problem:
    """The same problem, of a file that is called otherwise where it is shown."""
    return problem._replace(file=file)
