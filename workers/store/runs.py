"""Runs, and reading their jobs and steps."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import BindParameter, bindparam, insert, literal, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from pipelines.state import State
from pipelines.trigger import Trigger
from workers.db import db_now_ms, now_ms
from workers.store.common import table
from workers.store.ending import jobs_now, lock_run, settle
from workers.tables import Job, Repo, Run, Step

_TITLE_CHARS_MAX = 200


@dataclass(frozen=True)
class NewRun:
    """A run to be queued. ``parent_run_id`` is the run that it repeats."""

    repo_id: int
    trigger: Trigger
    parent_run_id: int | None = None


@dataclass(frozen=True)
class Queued:
    """A run that waits. ``job_id`` is its one job so far, to be rung after the commit."""

    run_id: int
    number: int
    job_id: int


@dataclass(frozen=True)
class CancelResult:
    """The run's state after it was asked to stop. Workers on ``running_job_ids`` have yet to hear of it."""

    state: State
    running_job_ids: list[int]


@dataclass(frozen=True)
class StepPlace:
    """A step and all that it belongs to."""

    step: Step
    job: Job
    run: Run
    repo: Repo


def queue_run(session: Session, repo_id: int, trigger: Trigger, parent_run_id: int | None = None) -> Queued:
    """A new run with the repository's next number and one job without a plan: whoever claims that will plan."""
    (queued,) = queue_runs(session, [NewRun(repo_id, trigger, parent_run_id)])
    return queued


def queue_runs(session: Session, new: Sequence[NewRun]) -> list[Queued]:
    """The same for many, in as few statements: each repository's runs are numbered in this order."""
    if not new:
        return []
    connection, (count_on, new_run, new_jobs) = session.connection(), _queueing()
    last: dict[int, int] = {}
    # By id, so that two which do this at once never wait for each other crosswise.
    for repo_id, count in sorted(Counter(each.repo_id for each in new).items()):
        last[repo_id] = connection.execute(count_on, {"repo": repo_id, "count": count}).scalar_one() - count
    places: list[tuple[int, int]] = []
    rows: list[dict[str, object]] = []
    for each in new:
        last[each.repo_id] += 1
        places.append((each.repo_id, last[each.repo_id]))
        row = {"repo_id": each.repo_id, "number": last[each.repo_id], "parent_run_id": each.parent_run_id}
        rows.append(row | trigger_columns(each.trigger))
    run_ids = {(repo_id, number): run_id for run_id, repo_id, number in connection.execute(new_run, rows)}
    job_ids = {run_id: job_id for job_id, run_id in connection.execute(new_jobs, {"runs": list(run_ids.values())})}
    return [Queued(run_ids[place], place[1], job_ids[run_ids[place]]) for place in places]


@cache
def _queueing() -> tuple[ReturningUpdate[int], ReturningInsert[int, int, int], ReturningInsert[int, int]]:
    """The three statements of every webhook, made once: making them costs more than running them."""
    repos, runs, jobs = table(Repo), table(Run), table(Job)
    mine, counted = repos.c.id == bindparam("repo"), repos.c.last_number + bindparam("count")
    # It counts as rung, for the caller rings at once; the scheduler rings again where that did not help.
    theirs: BindParameter[int] = bindparam("runs", expanding=True)
    first_jobs = select(runs.c.id, literal(1), now_ms(), now_ms()).where(runs.c.id.in_(theirs)).order_by(runs.c.id)
    return (
        update(repos).where(mine).values(last_number=counted).returning(repos.c.last_number),
        insert(runs).values(created_ms=now_ms()).returning(runs.c.id, runs.c.repo_id, runs.c.number),
        insert(jobs)
        .from_select(["run_id", "number", "rung_ms", "created_ms"], first_jobs)
        .returning(jobs.c.id, jobs.c.run_id),
    )


def trigger_columns(trigger: Trigger) -> dict[str, object]:
    """A run's columns that say what it was started by."""
    title = trigger.pull_request.title if trigger.pull_request else ""
    return {
        "trigger": trigger.model_dump_json(),
        "event": trigger.event,
        "ref": trigger.ref,
        "branch": trigger.branch,
        "sha": trigger.sha,
        "title": (title or trigger.message.strip().partition("\n")[0].strip())[:_TITLE_CHARS_MAX],
        "message": trigger.message,
        "author": trigger.author or trigger.sender,
    }


def rerun(session: Session, run_id: int) -> Queued:
    """The same trigger once more, under a new number."""
    run = session.get_one(Run, run_id)
    return queue_run(session, run.repo_id, trigger_of(run), parent_run_id=run.id)


def trigger_of(run: Run) -> Trigger:
    """What the run was started by."""
    return Trigger.model_validate_json(run.trigger)


def request_cancel(session: Session, run_id: int, by: str) -> CancelResult:
    """Asks a run to stop: what waits ends now, what runs is ended by its worker. A run that has ended stays."""
    run = lock_run(session, run_id)
    if not run.state.final and run.cancel_requested_ms is None:
        run.cancel_requested_ms, run.cancel_by = db_now_ms(session), by
        settle(session, run)
    running = [job.id for job in jobs_now(session, run_id) if job.state is State.RUNNING]
    return CancelResult(run.state, running)


def run_by_id(session: Session, run_id: int) -> Run | None:
    """The run with this id."""
    return session.get(Run, run_id)


def run_by_number(session: Session, repo_id: int, number: int) -> Run | None:
    """The repository's run with this number."""
    return session.scalars(select(Run).where(Run.repo_id == repo_id, Run.number == number)).one_or_none()


def runs_of(session: Session, repo_id: int, before: int | None = None, limit: int = 30) -> Sequence[Run]:
    """The repository's newest runs first, those with a number below ``before``."""
    query = select(Run).where(Run.repo_id == repo_id).order_by(Run.number.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Run.number < before)).all()


def recent_runs(session: Session, limit: int = 30) -> list[tuple[Run, Repo]]:
    """The newest runs of all repositories."""
    query = select(Run, Repo).join(Repo, Repo.id == Run.repo_id).order_by(Run.id.desc()).limit(limit)
    return [(run, repo) for run, repo in session.execute(query)]


def last_runs(session: Session) -> dict[int, Run]:
    """Each repository's newest run by the repository's id; a repository without runs is not in it."""
    query = select(Run).join(Repo, (Repo.id == Run.repo_id) & (Repo.last_number == Run.number))
    return {run.repo_id: run for run in session.scalars(query)}


def previous_run(session: Session, run: Run) -> Run | None:
    """The run before this one on the same branch of the same repository."""
    query = select(Run).where(Run.repo_id == run.repo_id, Run.branch == run.branch, Run.number < run.number)
    return session.scalars(query.order_by(Run.number.desc()).limit(1)).one_or_none()


def jobs_of(session: Session, run_id: int) -> Sequence[Job]:
    """The run's jobs by number."""
    return session.scalars(select(Job).where(Job.run_id == run_id).order_by(Job.number)).all()


def job_by_id(session: Session, job_id: int) -> Job | None:
    """The job with this id."""
    return session.get(Job, job_id)


def steps_of(session: Session, job_id: int) -> Sequence[Step]:
    """The job's steps by number."""
    return session.scalars(select(Step).where(Step.job_id == job_id).order_by(Step.number)).all()


def steps_of_run(session: Session, run_id: int) -> Sequence[Step]:
    """All steps of all jobs of a run, by job and number."""
    query = select(Step).join(Job, Job.id == Step.job_id).where(Job.run_id == run_id)
    return session.scalars(query.order_by(Job.number, Step.number)).all()


def step_by_id(session: Session, step_id: int) -> Step | None:
    """The step with this id."""
    return session.get(Step, step_id)


def step_place(session: Session, step_id: int) -> StepPlace | None:
    """The step with its job, run and repository: what tells where its log is and who may read it."""
    query = (
        select(Step, Job, Run, Repo)
        .join(Job, Job.id == Step.job_id)
        .join(Run, Run.id == Job.run_id)
        .join(Repo, Repo.id == Run.repo_id)
        .where(Step.id == step_id)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else StepPlace(*row)


def runs_past_retention(session: Session, days: int, limit: int = 100) -> Sequence[int]:
    """The oldest runs that ended more than ``days`` days ago and still have logs."""
    query = select(Run.id).where(Run.finished_ms < now_ms() - days * 86_400_000, Run.logs_deleted_ms.is_(None))
    return session.scalars(query.order_by(Run.finished_ms).limit(limit)).all()


def forget_logs(session: Session, run_ids: Sequence[int]) -> None:
    """Notes that these runs' logs were deleted."""
    session.execute(update(Run).where(Run.id.in_(run_ids)).values(logs_deleted_ms=now_ms()))
