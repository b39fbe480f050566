"""Turns in concurrency groups: which jobs may be claimed. The jobs of a group take turns in the order of their runs.

A job of a group waits for the jobs of earlier runs, also for those that are not ready yet, and for earlier runs that
are not planned yet: they may have a job in the group. It waits for a job of a later run only while that one is running.
So no two jobs ever wait for each other: there are no deadlocks.

A claim does not lock the group. A job with an earlier turn counts from the moment that its run is queued, whether it
waits or runs. So two jobs that are claimed at the same time could also be claimed one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from pipelines.state import State
from workers.db.models import Job, Run
from workers.store.common import table

_UNDONE = (State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class JobAhead:
    """A job with an earlier turn. ``job_name`` is None where its run is not planned yet."""

    run_number: int
    job_name: str | None


@dataclass(frozen=True)
class _Position:
    """A job's position in the order of turns, as columns or as values."""

    run_id: ColumnElement[int] | int
    number: ColumnElement[int] | int
    job_id: ColumnElement[int] | int


_other, _its_run, _mine = aliased(Job), aliased(Run), aliased(Run)


def claimable() -> ColumnElement[bool]:
    """A condition for queries about Job: it is queued, all jobs that it needs have ended, and its group has room."""
    jobs = table(Job).c
    place = _Position(jobs.run_id, jobs.number, jobs.id)
    ahead = select(func.count()).where(_other.group_key == jobs.group_key, _comes_first(place))
    room = and_(
        ahead.correlate(table(Job)).scalar_subquery() < jobs.group_limit,
        ~_unplanned(jobs.run_id).correlate(table(Job)).exists(),
    )
    return (Job.state == State.QUEUED) & Job.ready & or_(Job.group_key.is_(None), room)


def has_room(session: Session, group_key: str, limit: int, run: Run) -> bool:
    """True where a job of this (locked) run may start in the group at once."""
    place = _Position(run.id, 0, 0)
    ahead = session.scalar(select(func.count()).where(_other.group_key == group_key, _comes_first(place))) or 0
    return ahead < limit and session.scalar(_unplanned(run.id).limit(1)) is None


def freed(session: Session, repo_id: int) -> Sequence[int]:
    """Jobs in the repository's concurrency groups that may start now that another job has ended."""
    query = select(Job.id).join(Run, Run.id == Job.run_id)
    return session.scalars(query.where(Run.repo_id == repo_id, Job.group_key.is_not(None), claimable())).all()


def jobs_ahead(session: Session, job: Job) -> list[JobAhead]:
    """The jobs with an earlier turn than this one in its concurrency group, then the runs that are not planned yet."""
    place = _Position(job.run_id, job.number, job.id)
    jobs = select(_its_run.number, _other.name).join(_its_run, _its_run.id == _other.run_id)
    jobs = jobs.where(_other.group_key == job.group_key, _comes_first(place)).order_by(_other.run_id, _other.number)
    runs = _unplanned(job.run_id).order_by(_other.run_id)
    return [JobAhead(*row) for row in session.execute(jobs)] + [JobAhead(row, None) for row in session.scalars(runs)]


def _comes_first(place: _Position) -> ColumnElement[bool]:
    """The other job runs, or waits with an earlier turn. Within a run only jobs that are ready have a turn."""
    same_run = and_(_other.run_id == place.run_id, _other.ready, _other.number < place.number)
    waits = and_(_other.state == State.QUEUED, or_(_other.run_id < place.run_id, same_run))
    return and_(_other.id != place.job_id, or_(_other.state == State.RUNNING, waits))


def _unplanned(run_id: ColumnElement[int] | int) -> Select[int]:
    """The numbers of earlier runs of the same repository that are not planned yet, and do not wait for approval."""
    query = select(_its_run.number).join(_other, _other.run_id == _its_run.id).join(_mine, _mine.id == run_id)
    undone = _other.plan.is_(None) & _other.ready & _other.state.in_(_UNDONE)
    return query.where(_its_run.repo_id == _mine.repo_id, _its_run.id < run_id, undone)
