"""What ``/metrics`` reads of the queue and of runs that have ended. Each read is bounded, whatever the history is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, func, select, tuple_
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Job, Run
from workers.db.session import db_now_ms
from workers.store.common import CLOCK_STEP_MS
from workers.store.jobs import queued_jobs

QUEUED_JOBS_MAX = 100_000
"""Queued jobs that are counted. With more the numbers stay at this."""

LABEL_SETS_MAX = 100
"""Sets of labels that are counted: those with most jobs."""

ENDED_RUNS_MAX = 1_000
"""Runs that have ended that one read returns; the next read goes on behind them."""

WAITS = queued_jobs.WAITS
"""For what a queued job waits, in the words of the metric."""

EndedJob = Row[State, int, int | None, int | None, list[str]]


@dataclass(frozen=True)
class WaitingJobs:
    """The jobs that wait for nothing but a worker with these labels."""

    labels: Mapping[str, str]
    jobs: int
    oldest_s: float


@dataclass(frozen=True)
class Position:
    """Up to which run the ended ones have been read. Runs end in this order."""

    finished_ms: int
    run_id: int = 0


@dataclass(frozen=True)
class EndedRuns:
    """Runs that have ended after a position, the jobs of these runs, and the position behind them."""

    runs: Sequence[Row[int, State, int, int | None]]
    jobs: Sequence[EndedJob]
    position: Position


def jobs_for_workers(session: Session) -> list[WaitingJobs]:
    """The jobs that wait for a worker, by the labels that they ask for."""
    waiting = select(Job.lane, Job.id).where(Job.lane.is_not(None)).limit(QUEUED_JOBS_MAX).subquery()
    jobs = func.count().label("jobs")
    counted = select(func.min(waiting.c.id), jobs).group_by(waiting.c.lane).order_by(jobs.desc()).limit(LABEL_SETS_MAX)
    lanes = {row[0]: row[1] for row in session.execute(counted)}
    now = db_now_ms(session)
    first = select(Job.id, Job.labels, Job.created_ms).where(Job.id.in_(lanes)).order_by(Job.id)
    return [
        WaitingJobs({name: value for name, value in labels.items() if value}, lanes[job_id], _seconds(now - created))
        for job_id, labels, created in session.execute(first)
    ]


def waits(session: Session) -> dict[str, int]:
    """How many queued jobs wait for what: each of ``WAITS``, also those for which none waits."""
    why = queued_jobs.what_it_waits_for().label("why")
    queued = select(why).where(Job.state == State.QUEUED).limit(QUEUED_JOBS_MAX).subquery()
    found = {row[0]: row[1] for row in session.execute(select(queued.c.why, func.count()).group_by(queued.c.why))}
    return {name: found.get(name, 0) for name in WAITS}


def running_jobs(session: Session) -> int:
    """How many jobs run now."""
    return session.scalar(select(func.count()).where(Job.state == State.RUNNING)) or 0


def here_and_now(session: Session) -> Position:
    """The position of what ends from now on."""
    return Position(db_now_ms(session) - CLOCK_STEP_MS)


def ended_runs(session: Session, after: Position) -> EndedRuns:
    """The next runs that have ended. A run counts a second later: its transaction may take as long to be seen."""
    # The condition of the index ``ix_runs_with_logs``: old runs without logs are not asked for here.
    of_runs = (
        select(Run.id, Run.state, Run.created_ms, Run.finished_ms)
        .where(
            Run.logs_deleted_ms.is_(None),
            Run.finished_ms <= db_now_ms(session) - CLOCK_STEP_MS,
            tuple_(Run.finished_ms, Run.id) > (after.finished_ms, after.run_id),
        )
        .order_by(Run.finished_ms, Run.id)
        .limit(ENDED_RUNS_MAX)
    )
    runs = session.execute(of_runs).all()
    if not runs:
        return EndedRuns((), (), after)
    of_jobs = select(Job.state, Job.created_ms, Job.started_ms, Job.finished_ms, Job.needs)
    jobs = session.execute(of_jobs.where(Job.run_id.in_([run.id for run in runs]))).all()
    return EndedRuns(runs, jobs, Position(runs[-1].finished_ms or 0, runs[-1].id))


def _seconds(duration_ms: int) -> float:
    return max(0, duration_ms) / 1000
