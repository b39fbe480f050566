"""Which jobs of a plan ``headway run`` runs, where its options name some."""

from collections.abc import Iterable, Sequence

from pipelines.plan import JobPlan, Plan
from pipelines.state import Reason
from runner.errors import StepError

NAMES_SHOWN_MAX = 30
"""An error lists no more names than this."""


def selected(plan: Plan, workflows: Sequence[str], cells: Sequence[str]) -> Plan:
    """The plan with the jobs of these workflows and of combinations with these NAME=VALUE alone; without any, of all.

    Nothing waits for, or takes artifacts of, a workflow that is not among them. Raises StepError where no job is left.
    """
    if not workflows and not cells:
        return plan
    wanted = [_pair(text) for text in cells]
    known = {job.name for job in plan.jobs}
    if unknown := next((name for name in workflows if name not in known), None):
        raise nothing_named(plan, "workflow", unknown, known, [job.title for job in plan.jobs])
    jobs = [job for job in plan.jobs if not workflows or job.name in workflows]
    jobs = [job for job in jobs if all(job.cell.get(name) == value for name, value in wanted)]
    if not jobs:
        titles = _listed(job.title for job in plan.jobs)
        raise _wrong(f"no job has {', '.join(cells)} in its matrix; the jobs are: {titles}")
    return only_jobs(plan, jobs)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise _wrong(f"the combination {text!r} is not NAME=VALUE")
    return name, value


def nothing_named(plan: Plan, kind: str, name: str, known: Iterable[str], listed: Iterable[str]) -> StepError:
    """The error for a workflow or a step that does not run: why it is left out, the nearest name, and all names."""
    from pipelines.syntax.diagnostics import did_you_mean

    left_out = next((each for each in plan.left_out if each.what.startswith(f"{kind} '{name}'")), None)
    hint = did_you_mean(name, known)
    nouns = "jobs" if kind == "workflow" else f"{kind}s"
    why = f"; it is left out: {left_out.why}" if left_out else ""
    return _wrong(f"no {kind} {name!r} runs here{why}; {hint + ' ' if hint else ''}the {nouns} are: {_listed(listed)}")


def _wrong(message: str) -> StepError:
    return StepError(Reason.INVALID_PIPELINE, message)


def _listed(names: Iterable[str]) -> str:
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - NAMES_SHOWN_MAX:,} more" if len(each) > NAMES_SHOWN_MAX else ""
    return (", ".join(map(repr, each[:NAMES_SHOWN_MAX])) or "none") + more


def only_jobs(plan: Plan, jobs: Sequence[JobPlan]) -> Plan:
    """The plan with these jobs, which wait for and take artifacts of no others."""
    names = {job.name for job in jobs}
    return plan.model_copy(update={"jobs": tuple(_without(job, names) for job in jobs)})


def _without(job: JobPlan, names: set[str]) -> JobPlan:
    """The job without what it needs of workflows that do not run."""
    kept = {key: tuple(name for name in getattr(job, key) if name in names) for key in ("needs", "restored_from")}
    return job.model_copy(update=kept)
