"""Whose turn it is: jobs that may be claimed. Jobs of a concurrency group take turns in the order of their runs.

A job of a group waits for those of earlier runs, also for the ones that are not ready yet, and for earlier runs that
nobody has planned: they may have one. It waits for a later run only where that is at work already, so that no two
ever wait for each other.

Nobody who claims locks the group. Whoever has the earlier turn is counted from the moment that their run is queued,
whether they wait or run; so two that are claimed at the same time would also both be claimed one after the other.
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
    """A job that has the earlier turn; ``job_name`` is None where the run is yet to be planned."""

    run_number: int
    job_name: str | None


@dataclass(frozen=True)
class _Place:
    """Where a job stands, as columns or as values."""

    run_id: ColumnElement[int] | int
    number: ColumnElement[int] | int
    job_id: ColumnElement[int] | int


_other, _its_run, _mine = aliased(Job), aliased(Run), aliased(Run)


def claimable() -> ColumnElement[bool]:
    """For queries about Job: it waits, all that it needs has ended, and its group has room."""
    jobs = table(Job).c
    place = _Place(jobs.run_id, jobs.number, jobs.id)
    ahead = select(func.count()).where(_other.group_key == jobs.group_key, _comes_first(place))
    room = and_(
        ahead.correlate(table(Job)).scalar_subquery() < jobs.group_limit,
        ~_unplanned(jobs.run_id).correlate(table(Job)).exists(),
    )
    return (Job.state == State.QUEUED) & Job.ready & or_(Job.group_key.is_(None), room)


def has_room(session: Session, group_key: str, limit: int, run: Run) -> bool:
    """True where a job of this (locked) run may begin at once."""
    place = _Place(run.id, 0, 0)
    ahead = session.scalar(select(func.count()).where(_other.group_key == group_key, _comes_first(place))) or 0
    return ahead < limit and session.scalar(_unplanned(run.id).limit(1)) is None


def freed(session: Session, repo_id: int) -> Sequence[int]:
    """Jobs of concurrency groups of the repository that may begin now: something before them has ended."""
    query = select(Job.id).join(Run, Run.id == Job.run_id)
    return session.scalars(query.where(Run.repo_id == repo_id, Job.group_key.is_not(None), claimable())).all()


def jobs_ahead(session: Session, job: Job) -> list[JobAhead]:
    """The jobs that have the turn before this one in its concurrency group, then runs that are yet to be planned."""
    place = _Place(job.run_id, job.number, job.id)
    jobs = select(_its_run.number, _other.name).join(_its_run, _its_run.id == _other.run_id)
    jobs = jobs.where(_other.group_key == job.group_key, _comes_first(place)).order_by(_other.run_id, _other.number)
    runs = _unplanned(job.run_id).order_by(_other.run_id)
    return [JobAhead(*row) for row in session.execute(jobs)] + [JobAhead(row, None) for row in session.scalars(runs)]


def _comes_first(place: _Place) -> ColumnElement[bool]:
    """The other job runs, or waits and has the earlier turn. Within a run only what is ready has a turn."""
    same_run = and_(_other.run_id == place.run_id, _other.ready, _other.number < place.number)
    waits = and_(_other.state == State.QUEUED, or_(_other.run_id < place.run_id, same_run))
    return and_(_other.id != place.job_id, or_(_other.state == State.RUNNING, waits))


def _unplanned(run_id: ColumnElement[int] | int) -> Select[int]:
    """The numbers of earlier runs of the same repository that nobody has planned."""
    query = select(_its_run.number).join(_other, _other.run_id == _its_run.id).join(_mine, _mine.id == run_id)
    undone = _other.plan.is_(None) & _other.state.in_(_UNDONE)
    return query.where(_its_run.repo_id == _mine.repo_id, _its_run.id < run_id, undone)
