"""The queue of all repositories, the oldest job first: its jobs, how many there are, and how long such jobs took."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, ScalarSelect, Select, bindparam, case, literal, literal_column, select
from sqlalchemy.orm import Session, aliased, defer

from pipelines.state import State
from workers.db.models import Job, Repo, Run
from workers.labels import wanted

WAITS = ("forge", "approval", "needs", "concurrency", "worker")
"""For what a queued job waits."""

COUNTED_MAX = 1_000
"""Queued jobs that are counted for a page: the first ones."""

PAST_JOBS_MAX = 10
"""Passed jobs of a workflow whose durations are read: the last ones."""

NAMES_MAX = 2_000
"""Jobs of the runs of one page that are read for the names of unfinished ones."""

JobKind = tuple[int, str]
"""The id of a repository and the name of a workflow: jobs that usually take about as long."""


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits, with the name of its repository and the number of its run."""

    job: Job
    repo: str
    run_number: int


@dataclass(frozen=True)
class JobForWorker:
    """A job that waits for a worker. ``asked`` are its labels, with its repository."""

    id: int
    kind: JobKind
    asked: Mapping[str, str]


@dataclass(frozen=True)
class BusySlot:
    """A job that runs on a worker, which is named by the owner of its lease."""

    kind: JobKind
    lease_owner: str
    started_ms: int | None


@dataclass(frozen=True)
class QueueCounts:
    """How many jobs of the first ``COUNTED_MAX`` wait for what, and by labels how many wait for a worker.

    ``more``: there are others behind them.
    """

    waits: Mapping[str, int]
    labels: Sequence[tuple[Mapping[str, str], int]]
    more: bool


def what_it_waits_for() -> ColumnElement[str]:
    """Of a queued job, which of ``WAITS`` it is."""
    return case(
        (Job.not_before_ms.is_not(None), "forge"),
        (~Job.ready & Job.plan.is_(None), "approval"),
        (~Job.ready, "needs"),
        (Job.lane.is_(None), "concurrency"),
        else_="worker",
    )


def queued_jobs(session: Session, after: int, limit: int) -> list[QueuedJob]:
    """The next jobs of the queue, those with an id above ``after``. Their plans are read only when they are used."""
    ids = _queued_ids(session, after, limit)
    jobs = session.scalars(select(Job).options(defer(Job.plan)).where(Job.id.in_(ids)).order_by(Job.id)).all()
    # Joined to the jobs, these tables may be read whole.
    asked = select(Run.id, Run.number).where(Run.id.in_({job.run_id for job in jobs}))
    numbers = {row[0]: row[1] for row in session.execute(asked)}
    names = _repo_names(session, {job.repo_id for job in jobs})
    return [QueuedJob(job, names.get(job.repo_id, ""), numbers[job.run_id]) for job in jobs]


def first_in_queue(session: Session, limit: int) -> list[JobForWorker]:
    """Those of the first ``limit`` jobs of the queue that wait for a worker."""
    columns = select(Job.id, Job.repo_id, Job.name, Job.labels, Job.lane)
    first = columns.where(Job.id.in_(_queued_ids(session, 0, limit))).order_by(Job.id)
    rows = [row for row in session.execute(first) if row.lane is not None]
    names = _repo_names(session, {row.repo_id for row in rows})
    return [
        JobForWorker(row.id, (row.repo_id or 0, row.name), wanted(row.labels, names.get(row.repo_id, "")))
        for row in rows
    ]


def _repo_names(session: Session, ids: Collection[int | None]) -> dict[int | None, str]:
    return {row[0]: row[1] for row in session.execute(select(Repo.id, Repo.name).where(Repo.id.in_(ids)))}


def queue_counts(session: Session, most: int = COUNTED_MAX) -> QueueCounts:
    """How many jobs of the queue wait for what."""
    ids = _queued_ids(session, 0, most + 1)  # one more, to know whether there are others
    rows = session.execute(select(what_it_waits_for(), Job.lane, Job.id).where(Job.id.in_(ids)).order_by(Job.id)).all()
    waits = {why: sum(row[0] == why for row in rows) for why in WAITS}
    firsts: dict[str | None, int] = {}
    lanes: Counter[int] = Counter()
    for why, lane, job_id in rows:
        if why == "worker":
            lanes[firsts.setdefault(lane, job_id)] += 1
    labels = session.execute(select(Job.id, Job.labels).where(Job.id.in_(lanes))).all()
    by_labels = [({name: value for name, value in asked.items() if value}, lanes[job_id]) for job_id, asked in labels]
    by_labels.sort(key=lambda each: (-each[1], sorted(each[0].items())))
    return QueueCounts(waits, by_labels, more=sum(waits.values()) > most)


def unfinished_names(session: Session, run_ids: Collection[int], most: int = NAMES_MAX) -> dict[int, list[str]]:
    """The names of jobs that have not ended, by the ids of their runs."""
    # As a condition, finished_ms would make a database read all unfinished jobs.
    query = select(Job.run_id, Job.name, Job.finished_ms).where(Job.run_id.in_(run_ids))
    found: dict[int, list[str]] = {}
    for run_id, name, finished_ms in session.execute(query.order_by(Job.run_id, Job.number).limit(most)):
        if finished_ms is None:
            found.setdefault(run_id, []).append(name)
    return found


def busy_slots(session: Session) -> list[BusySlot]:
    """The jobs that run now: as many as there are slots."""
    columns = select(Job.repo_id, Job.name, Job.lease_owner, Job.started_ms).where(Job.state == State.RUNNING)
    return [BusySlot((row[0] or 0, row[1]), row[2], row[3]) for row in session.execute(columns)]


def past_durations(session: Session, kinds: Iterable[JobKind]) -> dict[JobKind, list[int]]:
    """How long the last passed jobs of each kind took, in milliseconds, sorted."""
    found: dict[JobKind, list[int]] = {}
    for repo_id, name in kinds:
        rows = session.execute(_passed_before(), {"repo": repo_id, "name": name})
        found[repo_id, name] = sorted(ended - started for started, ended in rows if started and ended)
    return found


def _queued_ids(session: Session, after: int, limit: int) -> Sequence[int]:
    """The first ids of jobs of the queue above ``after``, in order: neither history nor length matter."""
    return session.scalars(_hops(), {"after": after, "most": limit}).all()


@cache
def _hops() -> Select[int]:
    """Goes from job to job through the index of unfinished ones: a database that is asked for many may sort all."""
    hops = select(_next_id(bindparam("after")).label("id"), literal(1).label("number")).cte("hops", recursive=True)
    further = select(_next_id(hops.c.id), hops.c.number + 1)
    hops = hops.union_all(further.where(hops.c.id.is_not(None), hops.c.number < bindparam("most")))
    return select(hops.c.id).where(hops.c.id.is_not(None)).order_by(hops.c.number)


def _next_id(after: ColumnElement[int]) -> ScalarSelect[int]:
    job = aliased(Job)
    # Given the state itself, the index of states may be read.
    waits = (job.finished_ms.is_(None), job.state != State.RUNNING, job.id > after)
    return select(job.id).where(*waits).order_by(job.id).limit(1).scalar_subquery()


@cache
def _passed_before() -> Select[int | None, int | None]:
    """In the order of an index. The name is given as a range, see ``workers.store.jobs.lanes``."""
    name = bindparam("name", type_=Job.name.type)
    # A job that was carried over did not run.
    passed = (Job.state == literal_column("'passed'"), Job.carried_from.is_(None))
    of_kind = (Job.repo_id == bindparam("repo"), Job.name >= name, Job.name <= name)
    query = select(Job.started_ms, Job.finished_ms).where(*passed, *of_kind)
    return query.order_by(Job.name.desc(), Job.id.desc()).limit(PAST_JOBS_MAX)
