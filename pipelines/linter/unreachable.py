"""Finds conditions that can never hold, and keys of conditions that have no effect."""

import re
from collections.abc import Iterator, Sequence

from pipelines.compiler.conditions import joined_by_or, mismatch
from pipelines.compiler.job_input import JobInput, WorkflowItem
from pipelines.linter.sample_triggers import named_events
from pipelines.model.conditions import Condition, Patterns
from pipelines.syntax.diagnostics import Diagnostics, Place
from pipelines.trigger import PULL_REQUEST_EVENTS, Event

_ALL_EVENTS = frozenset(Event)
_WITH_PATHS = PULL_REQUEST_EVENTS | {Event.PUSH}
_GLOB = re.compile(r"[*?\[{\\]")
_WIDEN = "make one of the conditions wider, or remove it"


def check_conditions(jobs: Sequence[JobInput], *, all_cells: bool = True) -> None:
    """Warns of steps that run in no cell of the matrix, and of keys without effect.

    Without ``all_cells``, ``jobs`` lack some cells, and conditions on the matrix are not checked.
    """
    job = jobs[0]
    for index, condition in enumerate(job.workflow.when):
        _check_keys(job, condition, ("when", index))
    if why := why_never(job.workflow.when, ()):
        job.diagnostics.warning(job.located.key_place("when"), f"this workflow never runs: {why}", _WIDEN)
        return
    for item in job.items():
        for index, condition in enumerate(item.model.when):
            _check_keys(job, condition, (*item.where, "when", index))
        if not all_cells and any(condition.matrix for condition in item.model.when):
            continue
        reasons = [_never_in(other, item) for other in jobs]
        if all(reasons):
            place = job.located.key_place(*item.where, "when")
            job.diagnostics.warning(place, f"{item.label} never runs: {reasons[0]}", _WIDEN)


def check_workflows(jobs: Sequence[JobInput]) -> None:
    """Warns of a workflow that depends on one which never runs for the same trigger."""
    by_name = {job.name: job for job in jobs}
    for job in jobs:
        for index, dependency in enumerate(job.workflow.depends_on):
            other = by_name.get(dependency.name)
            if other is None or other is job or dependency.optional:
                continue
            if why := why_never(other.workflow.when, job.workflow.when, f"workflow '{other.name}'", "this one"):
                message = f"workflow '{job.name}' never runs: it depends on workflow '{other.name}', and {why}"
                job.diagnostics.warning(job.place("depends_on", index), message, _WIDEN)


def _never_in(job: JobInput, item: WorkflowItem) -> str:
    group, index = item.where
    models = {"clone": job.workflow.clone, "services": job.workflow.services, "steps": job.workflow.steps}[group]
    if index >= len(models):
        return ""
    own = models[index].when
    axes = [_wrong_cell(condition, job) for condition in own]
    if axes and all(axes):
        return axes[0]
    possible = [condition for condition, why in zip(own, axes, strict=True) if not why]
    return why_never(job.workflow.when, possible, "the workflow", f"the {item.label.split(chr(39))[0].strip()}")


def _wrong_cell(condition: Condition, job: JobInput) -> str:
    found = (mismatch(axis, patterns, job.cell.get(axis, "")) for axis, patterns in condition.matrix.items())
    return next((why for why in found if why), "")


def why_never(
    outer: Sequence[Condition], inner: Sequence[Condition], outer_name: str = "it", inner_name: str = ""
) -> str:
    """Why no condition of ``outer`` can hold together with one of ``inner``, or an empty text."""
    why = ""
    for first in outer or (Condition(),):
        for second in inner or (Condition(),):
            contradiction = next(filter(None, _contradictions(first, second, outer_name, inner_name or outer_name)), "")
            if not contradiction:
                return ""
            why = why or contradiction
    return why


def _contradictions(first: Condition, second: Condition, one: str, two: str) -> Iterator[str]:
    """Why the two cannot hold together: sentences, and empty texts where they can."""
    events = set(first.event or _ALL_EVENTS) & set(second.event or _ALL_EVENTS)
    if not events:
        yield f"{one} is for {joined_by_or(first.event)}, {two} for {joined_by_or(second.event)}"
    if first.local is not None and second.local is not None and first.local != second.local:
        yield f"one of {one} and {two} is for local runs only"
    for condition in (first, second):
        yield from _ref_contradictions(condition.ref, events)
    if Event.TAG not in events:
        yield _pattern_contradiction("branch", first.branch, second.branch, one, two)
    if events == {Event.CRON}:
        yield _pattern_contradiction("cron job", first.cron, second.cron, one, two)
    for key in ("ref", "repo", "instance", "platform"):
        yield _pattern_contradiction(key, getattr(first, key), getattr(second, key), one, two)


def _ref_contradictions(ref: Patterns, events: set[Event]) -> Iterator[str]:
    if events == {Event.TAG} and ref.include and all(pattern.startswith("refs/heads/") for pattern in ref.include):
        yield f"the event is tag, and the ref {joined_by_or(ref.include)}, which is a branch"
    if events == {Event.PUSH} and ref.include and all(pattern.startswith("refs/tags/") for pattern in ref.include):
        yield f"the event is push, and the ref {joined_by_or(ref.include)}, which is a tag"


def _pattern_contradiction(noun: str, first: Patterns, second: Patterns, one: str, two: str) -> str:
    """A sentence if a list of plain values has none that all patterns accept, or an empty text."""
    for patterns in (first, second):
        if not patterns.include or any(_GLOB.search(value) for value in patterns.include):
            continue
        if not all(mismatch(noun, first, value) or mismatch(noun, second, value) for value in patterns.include):
            continue
        if first.include and second.include and first is not second:
            return f"{one} is for the {noun} {joined_by_or(first.include)}, {two} for {joined_by_or(second.include)}"
        return f"the {noun} must be {joined_by_or(patterns.include)}, and that is excluded"
    return ""


def _check_keys(job: JobInput, condition: Condition, where: tuple[str | int, ...]) -> None:
    """Warns of keys that have no effect for the events of their condition."""
    events = named_events([condition])
    in_workflow, in_service = where[0] == "when", where[0] == "services"
    checks = (
        ("branch", condition.branch, events == {Event.TAG}, "a tag has no branch"),
        ("path", condition.path, not events & _WITH_PATHS, "only pushes and pull requests have changed files"),
        ("cron", condition.cron, Event.CRON not in events, "it is checked for cron events only"),
        ("matrix", condition.matrix, in_workflow, "only steps and services choose by the matrix"),
        ("status", condition.status, in_service, "a service starts before the first step"),
    )
    for key, value, useless, why in checks:
        if useless and value != getattr(Condition(), key):
            job.diagnostics.warning(_key_place(job, where, key), f"'{key}' has no effect here: {why}", "remove it")
    _check_meaning(job.diagnostics, job, condition, where)


def _check_meaning(diagnostics: Diagnostics, job: JobInput, condition: Condition, where: tuple[str | int, ...]) -> None:
    if condition.cron != Patterns() and not condition.event:
        message = "'cron' is checked for cron events only, so this condition holds for every other event"
        diagnostics.warning(_key_place(job, where, "cron"), message, "add event: cron")
    if where[0] == "when" and "canceled" in condition.status:
        message = "'canceled' has no effect here: a canceled run starts no further workflow"
        diagnostics.warning(_key_place(job, where, "status"), message, "write it at the steps that clean up")


def _key_place(job: JobInput, where: tuple[str | int, ...], key: str) -> Place:
    return job.located.key_place(*where, key)
