"""How jobs end, and what that means for the jobs that waited for them and for their run.

Whoever decides about a run as a whole holds its row first (``lock_run``) and then touches its jobs and their steps,
always in this order: two jobs that end at the same moment must see each other, and nobody may wait in a circle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from pipelines.state import Outcome, Reason, State, verdict
from workers.db.models import Job, Run, Step
from workers.db.session import db_now_ms
from workers.store import concurrency_turns
from workers.store.common import StaleAttemptError, lock_attempt


@dataclass(frozen=True)
class Finished:
    """What the end of a job led to. ``ready_job_ids``, also of other runs, may begin; ring them after the commit."""

    run_id: int
    ready_job_ids: list[int] = field(default_factory=list)


def lock_run(session: Session, run_id: int) -> Run:
    """The run as it is now; nobody else changes it or ends its jobs before this transaction is over."""
    query = select(Run).where(Run.id == run_id).with_for_update()
    return session.scalars(query, execution_options={"populate_existing": True}).one()


def lock_job(session: Session, job_id: int, attempt: int) -> tuple[Run, Job]:
    """The (locked) run and its job, for the attempt that works on it. Raises StaleAttemptError."""
    run_id = session.scalar(select(Job.run_id).where(Job.id == job_id))
    if run_id is None:
        raise StaleAttemptError(job_id, attempt)
    run = lock_run(session, run_id)
    lock_attempt(session, job_id, attempt)
    return run, session.get_one(Job, job_id, populate_existing=True)


def reload_jobs(session: Session, run_id: int) -> Sequence[Job]:
    """The run's jobs as they are now, by number."""
    query = select(Job).where(Job.run_id == run_id).order_by(Job.number)
    return session.scalars(query, execution_options={"populate_existing": True}).all()


def end_job(session: Session, job: Job, outcome: Outcome) -> None:
    """Ends a job and what is left of its steps. ``settle`` must follow in the same transaction."""
    now = db_now_ms(session)
    job.state, job.reason, job.message = outcome.state, outcome.reason, outcome.message
    job.lease_owner, job.lease_until_ms, job.finished_ms = "", None, now
    query = select(Step).where(Step.job_id == job.id, Step.state.in_([State.QUEUED, State.RUNNING]))
    for step in session.scalars(query, execution_options={"populate_existing": True}):
        step.finished_ms, step.reason = now, outcome.reason
        if step.state is State.RUNNING:
            step.state, step.message = outcome.state, outcome.message
        else:
            step.state, step.message = State.SKIPPED, "The job ended before it was this step's turn."


def settle(session: Session, run: Run) -> Finished:
    """After jobs of the (locked) run ended: opens those that waited, and gives the verdict when none is left."""
    jobs = reload_jobs(session, run.id)
    for job in jobs:
        if job.state is State.QUEUED and (stopped := cancellation_outcome(run, job)):
            end_job(session, job, stopped)
    opened = _open_waiting(session, jobs)
    if all(job.state.final for job in jobs):
        _end_run(session, run, jobs)
    session.flush()
    return Finished(run.id, list(dict.fromkeys([*opened, *concurrency_turns.freed(session, run.repo_id)])))


def cancellation_outcome(run: Run, job: Job) -> Outcome | None:
    """How a job ends that is to stop, with its run or alone; None where nobody wants that."""
    if run.cancel_requested_ms is None:
        return superseded(job.cancel_by) if job.cancel_by else None
    if run.cancel_reason is Reason.SUPERSEDED:
        return superseded(run.cancel_by)
    by = f" by {run.cancel_by}" if run.cancel_by else ""
    return Outcome(State.CANCELED, Reason.CANCELED, f"The run was canceled{by}.")


def superseded(by: str) -> Outcome:
    """How a job ends that a newer run stands in for."""
    return Outcome(State.CANCELED, Reason.SUPERSEDED, f"Superseded by {by}.")


def _open_waiting(session: Session, jobs: Sequence[Job]) -> list[int]:
    opened: list[int] = []
    waiting = [job for job in jobs if job.state is State.QUEUED and not job.ready]
    while due := [job for job in waiting if all(need.state.final for need in _needed(job, jobs))]:
        for job in due:
            waiting.remove(job)
            outcome = _after(job, _needed(job, jobs))
            if outcome is None:
                job.ready = True
                opened.append(job.id)
            else:
                end_job(session, job, outcome)
    return opened


def _needed(job: Job, jobs: Sequence[Job]) -> list[Job]:
    return [other for other in jobs if other.name in job.needs]


def _after(job: Job, needed: Sequence[Job]) -> Outcome | None:
    """None where the job may run after ``needed`` have ended, else how it ends without having run."""
    bad = [need.name for need in needed if not _went_well(need)]
    if bad and not job.on_failure:
        sentence = f"It needs {', '.join(dict.fromkeys(bad))}, which did not pass."
        return Outcome(State.SKIPPED, Reason.DEPENDENCY_FAILED, sentence)
    if not bad and not job.on_success:
        return Outcome(State.SKIPPED, Reason.CONDITION, "It runs only after a failure, and all that it needs passed.")
    return None


def _went_well(job: Job) -> bool:
    return job.state is State.PASSED or (job.state is State.SKIPPED and job.reason is Reason.CONDITION)


def _end_run(session: Session, run: Run, jobs: Sequence[Job]) -> None:
    # What was canceled because a step failed says less than that step.
    stopped = run.cancel_reason is Reason.DEPENDENCY_FAILED
    decide = [job.state for job in jobs if not (stopped and job.state is State.CANCELED)]
    run.state = verdict(decide or [State.CANCELED])
    run.finished_ms = db_now_ms(session)
    decisive, *alike = (job for job in jobs if job.state is run.state)
    run.reason = decisive.reason
    named = len(jobs) > 1 and decisive.name and decisive.message and run.state is not State.CANCELED
    run.sentence = f"{_title(decisive)}: {decisive.message}{_and_more(alike)}" if named else decisive.message


def _title(job: Job) -> str:
    return " ".join((job.name, ", ".join(job.cell.values()))).rstrip()


def _and_more(alike: Sequence[Job]) -> str:
    if not alike:
        return ""
    return f" (and {len(alike)} more {'job' if len(alike) == 1 else 'jobs'} {alike[0].state})"
