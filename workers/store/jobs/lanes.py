"""Lanes: the jobs that wait for nothing but a worker, in one lane for each set of labels that they ask for.

A job has a lane while it is queued and not delayed, all that it needs has ended, and its concurrency group has room.
What changes one of these writes the lane in the same transaction (``turns_after``, for groups); a claim checks
again. So a worker finds its next job with one look at the head of each lane, however many jobs wait behind it, for
other workers or for their turn, and however long the history is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVarTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Row,
    Select,
    bindparam,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session, aliased

from pipelines.state import State
from workers.db.models import Job, Repo, Run
from workers.db.session import now_ms
from workers.labels import ANY, ONLY, fits, lane_of, wanted
from workers.store.common import CLOCK_STEP_MS, table
from workers.store.jobs.concurrency_turns import has_turn

Ts = TypeVarTuple("Ts")
_NO_REPO = 0
_READ_AT_ONCE = 20
_Waiting = Row[int, int, int, bool, int, str | None, dict[str, str], bool]


@dataclass(frozen=True)
class _Head:
    """The first job of a lane."""

    job_id: int
    lane: str | None


def first_in_lanes(
    session: Session, offered: Mapping[str, str] | None, most: int = 1, older_ms: int | None = None
) -> list[int]:
    """The jobs that a worker with these labels may claim, the first ``most`` by id; None fits every job.

    ``older_ms``: only those whose last wake-up is so long ago.
    """
    repo_id = _only_repo(session, offered)
    query = _first(of_repo=repo_id is not None, notified=older_ms is not None)
    found: list[int] = []
    for head in sorted(_heads(session, offered, repo_id), key=lambda head: head.job_id):
        if len(found) == most and head.job_id > found[-1]:
            break
        asked = {"lane": head.lane, "repo": repo_id, "older_ms": older_ms, "most": most}
        found = sorted([*found, *session.scalars(query, asked)])[:most]
    return found


def _only_repo(session: Session, offered: Mapping[str, str] | None) -> int | None:
    """The id of the only repository whose jobs the worker takes, of no repository where it takes none; None for all."""
    names = _only_repo_names(offered)
    if not names:
        return None
    found = session.scalars(select(Repo.id).where(Repo.name.in_(names))).all()
    return found[0] if len(names) == len(found) == 1 else _NO_REPO


def _only_repo_names(offered: Mapping[str, str] | None) -> set[str]:
    if offered is None:
        return set()
    return {offered[label] for label in ("repo", f"{ONLY}repo") if label in offered} - {ANY}


@cache
def _first(*, of_repo: bool, notified: bool) -> Select[int]:
    """The first jobs of a lane that may be claimed."""
    lane: BindParameter[str] = bindparam("lane")
    query = _in_order(select(Job.id), Job, of_repo=of_repo).where(Job.lane >= lane, Job.lane <= lane, has_turn())
    query = query.limit(bindparam("most"))
    return query.where(rung_before(bindparam("older_ms", type_=BigInteger()))) if notified else query


def _in_order(query: Select[*Ts], job: type[Job], *, of_repo: bool) -> Select[*Ts]:
    """The query in the order of an index of lanes.

    The lane must be given as a range, also if that holds one value: given the value itself, PostgreSQL takes the order
    by id for the whole order, and may read the history along the primary key.
    """
    repo: BindParameter[int] = bindparam("repo", type_=BigInteger())
    return (query.where(job.repo_id == repo) if of_repo else query).order_by(job.lane, job.id)


def rung_before(older_ms: ColumnElement[int]) -> ColumnElement[bool]:
    """The job's last wake-up is so many milliseconds ago."""
    # A time in the future is from before the clock was set back.
    in_future = Job.rung_ms > now_ms() + CLOCK_STEP_MS
    return or_(Job.rung_ms.is_(None), Job.rung_ms < now_ms() - older_ms, in_future)


def _heads(session: Session, offered: Mapping[str, str] | None, repo_id: int | None) -> list[_Head]:
    """The heads of the lanes that a worker with these labels may take jobs from."""
    rows = session.execute(_every_head(of_repo=repo_id is not None), {"repo": repo_id})
    if offered is None:
        return [_Head(job_id, lane) for job_id, lane, _ in rows]
    # The repository was asked for in the query already: here it is one that the worker takes.
    repo = min(_only_repo_names(offered), default=ANY)
    return [_Head(job_id, lane) for job_id, lane, labels in rows if fits(wanted(labels, repo), offered)]


@cache
def _every_head(*, of_repo: bool) -> Select[int, str | None, dict[str, str]]:
    """The first job of each lane. Goes from lane to lane through the index: it reads as many entries as there are."""
    here, others, head = aliased(Job), aliased(Job), aliased(Job)
    start = _in_order(select(here.lane.label("lane")), here, of_repo=of_repo).where(here.lane.is_not(None)).limit(1)
    lanes = select(start.subquery().c.lane).cte("lanes", recursive=True)
    behind = _in_order(select(others.lane), others, of_repo=of_repo).where(others.lane > lanes.c.lane).limit(1)
    following = behind.correlate(lanes).scalar_subquery()
    lanes = lanes.union_all(select(following).where(lanes.c.lane.is_not(None)))
    first = _in_order(select(head.id), head, of_repo=of_repo).where(head.lane >= lanes.c.lane).limit(1)
    heads = select(first.correlate(lanes).scalar_subquery().label("id")).where(lanes.c.lane.is_not(None)).subquery()
    return select(Job.id, Job.lane, Job.labels).join(heads, heads.c.id == Job.id)


def turns_after(session: Session, *runs: Run, planned: bool = False) -> list[int]:
    """To be called last in a transaction that changed jobs of these (locked) runs: gives lanes to jobs of their groups.

    Returns the jobs that may start now. ``planned``: the run was planned just now, so that later ones may go on.
    """
    session.flush()
    given: list[int] = []
    for run in runs:
        rows = session.execute(select(Job.group_key, Job.plan.is_(None)).where(Job.run_id == run.id).distinct()).all()
        keys = {key for key, _ in rows if key is not None}
        if planned or any(unplanned for _, unplanned in rows):
            keys |= _held_behind(session, run)
        given += [each for key in sorted(keys) for each in give_turns(session, run.repo_id, key)]
    return given


def give_turns(session: Session, repo_id: int, group_key: str) -> list[int]:
    """Gives lanes to the jobs of the concurrency group whose turn it is. Returns those that had none yet."""
    due = due_turns(session, repo_id, group_key)
    if not due:
        return []
    # Rows that others have locked are not waited for: the caller may hold locks of other runs.
    query = select(Job.id).where(Job.id.in_(due), Job.state == State.QUEUED).order_by(Job.id)
    given = session.scalars(query.with_for_update(skip_locked=True)).all()
    jobs = table(Job)
    for job_id in given:
        session.execute(update(jobs).where(jobs.c.id == job_id).values(lane=lane_of(due[job_id])))
    return list(given)


def due_turns(session: Session, repo_id: int, group_key: str) -> dict[int, dict[str, str]]:
    """The jobs of the concurrency group whose turn it is and that have no lane yet, with their labels."""
    return {row.id: row.labels for row in _whose_turn_it_is(session, repo_id, group_key) if row.lane is None}


def _whose_turn_it_is(session: Session, repo_id: int, group_key: str) -> Iterator[_Waiting]:
    """Reads the group's waiting jobs in the order of turns, up to the first that has to wait.

    Behind those that were read a job may have room that has a higher limit than all before it: found when they end.
    """
    first_unplanned = _first_unplanned(session, repo_id)
    running = select(func.count()).where(Job.group_key == group_key, Job.state == State.RUNNING)
    earlier, run_id, in_run, ready_in_run, limit = session.scalar(running) or 0, 0, 0, 0, 0
    for row in _waiting(session, group_key):
        if row.run_id != run_id:
            earlier, run_id, in_run, ready_in_run = earlier + in_run, row.run_id, 0, 0
        limit = max(limit, row.group_limit)
        if earlier >= limit or (first_unplanned is not None and first_unplanned < run_id):
            return
        if row.ready and not row.delayed and earlier + ready_in_run < row.group_limit:
            yield row
        in_run, ready_in_run = in_run + 1, ready_in_run + row.ready


def _waiting(session: Session, group_key: str) -> Iterator[_Waiting]:
    asked: dict[str, object] = {"group": group_key, "run": 0, "number": 0}
    while rows := session.execute(_waiting_behind(), asked).all():
        yield from rows
        if len(rows) < _READ_AT_ONCE:
            return
        asked |= {"run": rows[-1].run_id, "number": rows[-1].number}


@cache
def _waiting_behind() -> Select[int, int, int, bool, int, str | None, dict[str, str], bool]:
    delayed = Job.not_before_ms.is_not(None).label("delayed")
    columns = select(Job.id, Job.run_id, Job.number, Job.ready, Job.group_limit, Job.lane, Job.labels, delayed)
    waits = (Job.group_key == bindparam("group"), Job.state == State.QUEUED)
    behind = tuple_(Job.run_id, Job.number) > tuple_(bindparam("run"), bindparam("number"))
    return columns.where(*waits, behind).order_by(Job.run_id, Job.number).limit(_READ_AT_ONCE)


def _first_unplanned(session: Session, repo_id: int) -> int | None:
    undone = (Job.repo_id == repo_id, Job.plan.is_(None), Job.ready, Job.finished_ms.is_(None))
    return session.scalar(select(Job.run_id).where(*undone).order_by(Job.run_id).limit(1))


def _held_behind(session: Session, run: Run) -> set[str]:
    """The groups of later jobs that may have waited for this run to be planned, and wait for no other one."""
    until = _first_unplanned(session, run.repo_id)
    if until is not None and until < run.id:
        return set()
    held = select(Job.group_key).where(*_held(), Job.repo_id == run.repo_id, Job.run_id > run.id).distinct()
    return set(filter(None, session.scalars(held if until is None else held.where(Job.run_id < until))))


def _held() -> Sequence[ColumnElement[bool]]:
    return Job.group_key.is_not(None), Job.lane.is_(None), Job.finished_ms.is_(None)


def next_held_groups(session: Session, after: str, limit: int) -> list[tuple[int, str]]:
    """Some concurrency groups in which jobs wait for their turn, with their repositories: those behind ``after``."""
    found: list[tuple[int, str]] = []
    query = select(Job.repo_id, Job.group_key).where(*_held()).order_by(Job.group_key).limit(1)
    while len(found) < limit and (row := session.execute(query.where(Job.group_key > after)).one_or_none()):
        after = row.group_key or ""
        found.append((row.repo_id or 0, after))
    return found
