"""Job completion: how a job ends, which jobs may start then, and the verdict of the run.

Lock order: a transaction that decides about a run locks the run's row first (``lock_run``), then changes its jobs and
their steps. So two jobs that end at the same time see each other's end, and there are no deadlocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from pipelines.needs import EndedJob, failed_needs, skip_after
from pipelines.state import Outcome, Reason, State, verdict
from pipelines.trigger import EVENTS_OF_PEOPLE
from workers.db.models import Job, Run, Step
from workers.db.session import db_now_ms
from workers.labels import lane_of
from workers.store.common import StaleAttemptError, lock_attempt
from workers.store.jobs.lanes import turns_after


@dataclass(frozen=True)
class Finished:
    """What the end of a job led to. After the commit, notify workers of ``ready_job_ids``."""

    run_id: int
    ready_job_ids: list[int] = field(default_factory=list)


def lock_run(session: Session, run_id: int) -> Run:
    """The run, read again and locked: until this transaction ends, no other one changes it or ends its jobs."""
    query = select(Run).where(Run.id == run_id).with_for_update()
    return session.scalars(query, execution_options={"populate_existing": True}).one()


def lock_job(session: Session, job_id: int, attempt: int) -> tuple[Run, Job]:
    """Locks the run, then the job, for the attempt that works on it. Raises StaleAttemptError."""
    run_id = session.scalar(select(Job.run_id).where(Job.id == job_id))
    if run_id is None:
        raise StaleAttemptError(job_id, attempt)
    run = lock_run(session, run_id)
    lock_attempt(session, job_id, attempt)
    return run, session.get_one(Job, job_id, populate_existing=True)


def reload_jobs(session: Session, run_id: int) -> Sequence[Job]:
    """The run's jobs by number, read again from the database."""
    query = select(Job).where(Job.run_id == run_id).order_by(Job.number)
    return session.scalars(query, execution_options={"populate_existing": True}).all()


def end_job(session: Session, job: Job, outcome: Outcome) -> None:
    """Ends a job and its unfinished steps. The caller must call ``settle`` in the same transaction."""
    now = db_now_ms(session)
    job.state, job.reason, job.message = outcome.state, outcome.reason, outcome.message
    job.detail, job.not_before_ms = outcome.detail, None
    job.lease_owner, job.lease_until_ms, job.lane, job.finished_ms = "", None, None, now
    # Another transaction may have given it its turn since it was read: without this, None would count as no change.
    flag_modified(job, "lane")
    query = select(Step).where(Step.job_id == job.id, Step.state.in_([State.QUEUED, State.RUNNING]))
    for step in session.scalars(query, execution_options={"populate_existing": True}):
        step.finished_ms, step.reason = now, outcome.reason
        if step.state is State.RUNNING:
            step.state, step.message = outcome.state, outcome.message
        else:
            step.state, step.message = State.SKIPPED, "The job ended before this step started."


def settle(session: Session, run: Run) -> Finished:
    """To be called last, after jobs of the (locked) run ended: makes waiting jobs ready; ends a run with its last job.

    Also gives jobs of other runs their turn in concurrency groups.
    """
    opened = settle_alone(session, run)
    return Finished(run.id, [*opened, *turns_after(session, run)])


def settle_alone(session: Session, run: Run) -> list[int]:
    """``settle`` for callers that lock further runs: they must call ``turns_after`` themselves, last."""
    jobs = reload_jobs(session, run.id)
    for job in jobs:
        if job.state is State.QUEUED and (stopped := cancellation_outcome(run, job)):
            end_job(session, job, stopped)
    opened = [] if run.held else _make_ready(session, jobs)
    if all(job.state.final for job in jobs):
        _end_run(session, run, jobs)
    session.flush()
    return opened


def cancellation_outcome(run: Run, job: Job) -> Outcome | None:
    """How a canceled job ends, canceled with its run or alone; None where no cancellation was requested."""
    if run.cancel_requested_ms is None:
        return superseded_outcome(job.cancel_by) if job.cancel_by else None
    if run.cancel_reason is Reason.SUPERSEDED:
        return superseded_outcome(run.cancel_by)
    by = f" by {run.cancel_by}" if run.cancel_by else ""
    return Outcome(State.CANCELED, Reason.CANCELED, f"The run was canceled{by}.")


def superseded_outcome(by: str) -> Outcome:
    """How a job ends that a newer run replaces."""
    return Outcome(State.CANCELED, Reason.SUPERSEDED, f"Superseded by {by}.")


def _make_ready(session: Session, jobs: Sequence[Job]) -> list[int]:
    opened: list[int] = []
    waiting = [job for job in jobs if job.state is State.QUEUED and not job.ready]
    while due := [job for job in waiting if all(need.state.final for need in _needed(job, jobs))]:
        for job in due:
            waiting.remove(job)
            failed = failed_needs(ended_of(_needed(job, jobs)))
            outcome = skip_after(failed, on_success=job.on_success, on_failure=job.on_failure)
            if outcome is None:
                job.ready = True
                if job.group_key is None:
                    job.lane = lane_of(job.labels)
                    opened.append(job.id)
            else:
                end_job(session, job, outcome)
    return opened


def _needed(job: Job, jobs: Sequence[Job]) -> list[Job]:
    return [other for other in jobs if other.name in job.needs]


def ended_of(jobs: Sequence[Job]) -> list[EndedJob]:
    """How jobs have ended, for what needs them."""
    return [EndedJob(job.name, job.state, job.reason) for job in jobs]


def failed_needs_of(session: Session, run_id: int, needs: Sequence[str]) -> tuple[str, ...]:
    """The workflows among ``needs`` that ended without passing: the job's steps see that."""
    if not needs:
        return ()
    query = select(Job.name, Job.state, Job.reason).where(Job.run_id == run_id, Job.name.in_(needs))
    return failed_needs(EndedJob(*row) for row in session.execute(query.order_by(Job.number)))


def _end_run(session: Session, run: Run, jobs: Sequence[Job]) -> None:
    # If a failed step canceled the run, the failure is the verdict, not the cancellation.
    stopped = run.cancel_reason is Reason.DEPENDENCY_FAILED
    decide = [job.state for job in jobs if not (stopped and job.state is State.CANCELED)]
    run.state = verdict(decide or [State.CANCELED])
    run.finished_ms = db_now_ms(session)
    run.held = False
    decisive, *alike = (job for job in jobs if job.state is run.state)
    run.reason = decisive.reason
    named = len(jobs) > 1 and decisive.name and decisive.message and run.state is not State.CANCELED
    run.sentence = f"{decisive.title}: {decisive.message}{_and_more(alike)}" if named else decisive.message

    if run.state is State.PASSED and run.event in EVENTS_OF_PEOPLE and _all_steps_skipped(session, run):
        outcome = nothing_ran(run, "each step was left out by its own condition (when).")
        run.state, run.reason, run.sentence = outcome.state, outcome.reason, outcome.message


def nothing_ran(run: Run, why: str) -> Outcome:
    """The outcome where nothing of the pipeline ran: passed for a forge, which may require it; not for a person."""
    state = State.SKIPPED if run.event in EVENTS_OF_PEOPLE else State.PASSED
    return Outcome(state, Reason.CONDITION, f"Nothing ran: {why}")


def _all_steps_skipped(session: Session, run: Run) -> bool:
    states = select(Step.state).join(Job).where(Job.run_id == run.id).distinct()
    return set(session.scalars(states)) == {State.SKIPPED}


def _and_more(alike: Sequence[Job]) -> str:
    if not alike:
        return ""
    return f" (and {len(alike)} more {'job' if len(alike) == 1 else 'jobs'} {alike[0].state})"
