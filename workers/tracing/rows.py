"""The spans that rows tell of: a job that has ended, its time in the queue, and the run that ended with it."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import Reason, State
from workers.db.models import Job, Repo, Run
from workers.tracing.span import Span, Trace, short

_MS = 1_000_000
_BAD = frozenset({State.FAILED, State.BROKEN})
_RESULTS = {
    State.PASSED: "success",
    State.FAILED: "failure",
    State.BROKEN: "error",
    State.CANCELED: "cancellation",
    State.SKIPPED: "skip",
}
"""In the words of OpenTelemetry's conventions for CI/CD."""


def trace_of(session: Session, installation: str, run_id: int) -> Trace | None:
    """The trace of the run; None where it has been deleted."""
    run = session.get(Run, run_id)
    return None if run is None else Trace(installation, run.id, run.created_ms)


def failure_of(state: State, reason: Reason | None) -> str:
    """Why a span failed, in a word; empty where it did not."""
    return (reason or state).value if state in _BAD else ""


def result_of(state: State) -> str:
    """How it ended, in OpenTelemetry's words; empty while it has not."""
    return _RESULTS.get(state, "")


def ended_spans(
    session: Session, installation: str, run_url: Callable[[str, int], str], job_id: int, attempt: int | None = None
) -> list[Span]:
    """The spans of a job that has ended, with the run's where it was the last one of it.

    None where it has not, or where another ``attempt`` has ended it.
    """
    found = session.execute(
        select(Job, Run, Repo.name)
        .join(Run, Run.id == Job.run_id)
        .join(Repo, Repo.id == Run.repo_id)
        .where(Job.id == job_id, Job.started_ms.is_not(None), Job.finished_ms.is_not(None))
    ).one_or_none()
    if found is None or attempt not in {None, found[0].attempt}:
        return []
    job, run, repo = found
    trace = Trace(installation, run.id, run.created_ms)
    spans = _of_job(trace, job)
    if run.finished_ms is not None and _last_that_ran(session, run.id) == job.id:
        spans.append(_of_run(trace, run, repo, run_url(repo, run.number)))
    return spans


def _last_that_ran(session: Session, run_id: int) -> int | None:
    """Of the jobs that a worker had, the one that ended last. Each process finds the same."""
    return session.scalar(
        select(Job.id)
        .where(Job.run_id == run_id, Job.started_ms.is_not(None), Job.finished_ms.is_not(None))
        .order_by(Job.finished_ms.desc(), Job.id.desc())
        .limit(1)
    )


def _of_job(trace: Trace, job: Job) -> list[Span]:
    started_ns, ended_ns = (job.started_ms or 0) * _MS, (job.finished_ms or 0) * _MS
    attributes = short(
        {
            "cicd.pipeline.task.name": job.name,
            "cicd.pipeline.task.run.id": str(job.id),
            "cicd.pipeline.task.run.result": result_of(job.state),
            "cicd.worker.name": job.host,
            "headway.attempt": job.attempt,
            "headway.reason": job.reason.value if job.reason else None,
        }
    )
    own = Span(
        f"job {job.name}".strip(), trace.id, trace.job(job.id, job.origin), trace.root, started_ns, ended_ns,
        attributes, failure_of(job.state, job.reason),
    )  # fmt: skip
    if job.origin > 1:  # the time in the queue was the first attempt's
        return [own]
    queued = trace.part(job.id, job.origin, "queue")
    of = short({"cicd.pipeline.task.name": job.name})
    return [own, Span("queue", trace.id, queued, trace.root, job.created_ms * _MS, started_ns, of)]


def _of_run(trace: Trace, run: Run, repo: str, url: str) -> Span:
    attributes = short(
        {
            "cicd.pipeline.name": repo,
            "cicd.pipeline.run.id": str(run.id),
            "cicd.pipeline.run.url.full": url,
            "cicd.pipeline.result": result_of(run.state),
            "vcs.ref.head.name": run.branch,
            "vcs.ref.head.revision": run.sha,
            "headway.run.number": run.number,
            "headway.event": run.event.value,
            "headway.reason": run.reason.value if run.reason else None,
        }
    )
    ended_ms = run.finished_ms or run.created_ms
    return Span(
        f"run {repo}", trace.id, trace.root, 0, run.created_ms * _MS, ended_ms * _MS, attributes,
        failure_of(run.state, run.reason),
    )  # fmt: skip
