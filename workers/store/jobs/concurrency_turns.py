"""Turns in concurrency groups: which jobs may be claimed. The jobs of a group take turns in the order of their runs.

A job of a group waits for the jobs of earlier runs, also for those that are not ready yet, and for earlier runs that
are not planned yet: they may have a job in the group. It waits for a job of a later run only while that one is running.
So no two jobs ever wait for each other: there are no deadlocks. A higher limit than ``LIMIT_MAX`` counts as that.

A claim does not lock the group. A job with an earlier turn counts from the moment that its run is queued, whether it
waits or runs. So two jobs that are claimed at the same time could also be claimed one after the other.

These conditions decide. ``workers.store.jobs.lanes`` knows which of many thousands of waiting jobs are worth a look.
"""

from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from pipelines.state import State
from workers.db.models import Job, Run
from workers.store.common import table

LIMIT_MAX = 250
"""So many jobs of a group may run at once: those with an earlier turn are counted up to here."""
AHEAD_SHOWN = 10
"""So many jobs, or runs, ahead of a waiting one are named to users."""


@dataclass(frozen=True)
class JobAhead:
    """A job with an earlier turn. ``job_name`` is None where its run is not planned yet."""

    run_number: int
    job_name: str | None


@dataclass(frozen=True)
class _Position:
    """A job's position in the order of turns. ``other`` is the job that it is compared with."""

    repo_id: ColumnElement[int | None] | ColumnElement[int]
    run_id: ColumnElement[int]
    number: ColumnElement[int]
    job_id: ColumnElement[int]
    # One for each query: threads that build queries with the same alias at once get wrong ones.
    other: type[Job] = field(default_factory=lambda: aliased(Job))


_GroupKey = ColumnElement[str | None] | ColumnElement[str]
_ONE = literal_column("1", type_=BigInteger())


@cache
def claimable() -> ColumnElement[bool]:
    """A condition for queries about Job: it is queued and not delayed, all that it needs has ended, its group has room.

    Built once, as all of this module: building it costs more than running it.
    """
    return (Job.state == State.QUEUED) & Job.not_before_ms.is_(None) & has_turn()


@cache
def has_turn() -> ColumnElement[bool]:
    """``claimable`` for queries about jobs with a lane, which are queued: the state's index would be read instead."""
    jobs = table(Job).c
    place = _Position(jobs.repo_id, jobs.run_id, jobs.number, jobs.id)
    room = and_(_how_many_ahead(jobs.group_key, place) < jobs.group_limit, ~_unplanned(place).exists())
    return and_(Job.ready, or_(Job.group_key.is_(None), room))


def has_room(session: Session, group_key: str, limit: int, run: Run) -> bool:
    """True where a job of this (locked) run may start in the group at once."""
    asked = {"group": group_key, "repo": run.repo_id, "run": run.id}
    ahead, free = session.execute(_room(), asked).one()
    return bool(ahead < limit and free)


@cache
def _room() -> Select[int, bool]:
    place = _Position(bindparam("repo"), bindparam("run"), literal(0), literal(0))
    return select(_how_many_ahead(bindparam("group"), place), ~_unplanned(place).exists())


def jobs_ahead(session: Session, job: Job) -> list[JobAhead]:
    """Jobs with an earlier turn than this one in its concurrency group, then runs that are not planned yet.

    Of either only the first: one more than AHEAD_SHOWN, or as many jobs as the group lets run at once.
    """
    most = max(AHEAD_SHOWN + 1, min(job.group_limit, LIMIT_MAX))
    asked: dict[str, object] = {"group": job.group_key, "repo": job.repo_id, "run": job.run_id}
    asked |= {"number": job.number, "job": job.id, "most": most}
    jobs, runs = _ahead()
    found = [
        (run_id, number, JobAhead(run, name))
        for query in jobs
        for run_id, number, run, name in session.execute(query, asked)
    ]
    found.sort(key=lambda each: each[:2])
    unplanned = session.scalars(runs, asked | {"most": AHEAD_SHOWN + 1})
    return [ahead for _, _, ahead in found[:most]] + [JobAhead(run, None) for run in unplanned]


@cache
def _ahead() -> tuple[list[Select[int, int, int, str]], Select[int]]:
    place = _Position(bindparam("repo"), bindparam("run"), bindparam("number"), bindparam("job"))
    other, its_run = place.other, aliased(Run)
    columns = select(other.run_id, other.number, its_run.number, other.name)
    columns = columns.join(its_run, its_run.id == other.run_id).order_by(other.run_id, other.number)
    group: BindParameter[str] = bindparam("group")
    jobs = [columns.where(ahead(group, place)).limit(bindparam("most")) for ahead in (_running, _waits_before)]
    runs = select(its_run.number).join(other, other.run_id == its_run.id).where(_is_unplanned(place))
    return jobs, runs.order_by(other.run_id).limit(bindparam("most"))


def _how_many_ahead(group_key: _GroupKey, place: _Position) -> ColumnElement[int]:
    """How many jobs of the group run, or wait with an earlier turn; of either kind up to LIMIT_MAX are counted."""
    running, waiting = _running(group_key, place), _waits_before(group_key, place)
    return _count(place.other, running) + _count(place.other, waiting)


def _count(other: type[Job], condition: ColumnElement[bool]) -> ColumnElement[int]:
    some = select(_ONE).select_from(other).where(condition).limit(LIMIT_MAX)
    return select(func.count()).select_from(some.correlate(table(Job)).subquery()).scalar_subquery()


def _running(group_key: _GroupKey, place: _Position) -> ColumnElement[bool]:
    other = place.other
    return and_(other.group_key == group_key, other.state == State.RUNNING, other.id != place.job_id)


def _waits_before(group_key: _GroupKey, place: _Position) -> ColumnElement[bool]:
    """The other job waits with an earlier turn. Within a run only jobs that are ready have a turn."""
    other = place.other
    waits = and_(other.group_key == group_key, other.state == State.QUEUED, other.id != place.job_id)
    # The first condition follows from the second, and is what an index can search by.
    same_run = and_(other.ready, other.number < place.number)
    return and_(waits, other.run_id <= place.run_id, or_(other.run_id < place.run_id, same_run))


def _unplanned(place: _Position) -> Select[int]:
    return select(_ONE).select_from(place.other).where(_is_unplanned(place)).correlate(table(Job))


def _is_unplanned(place: _Position) -> ColumnElement[bool]:
    """The other job is that of an earlier run of the repository that is not planned yet, nor waits for approval."""
    other = place.other
    undone = and_(other.plan.is_(None), other.ready, other.finished_ms.is_(None))
    return and_(other.repo_id == place.repo_id, other.run_id < place.run_id, undone)
