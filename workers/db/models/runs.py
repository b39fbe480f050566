"""The tables of runs, their jobs and steps, and of the commit statuses that report them to the forge."""

from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from pipelines.state import Reason, State
from pipelines.trigger import Event
from workers.db.models.base import ID, Base

# Unfinished jobs of concurrency groups without a lane: they run, or wait for their turn.
_HELD = "group_key IS NOT NULL AND lane IS NULL AND finished_ms IS NULL"


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index over few rows: it stays as small as the queue, however long the history grows."""
    # SQLite compares a condition of an index with that of a query as text, and has no boolean values.
    return Index(name, *columns, sqlite_where=text(where.replace(" ready", " ready = 1")), postgresql_where=text(where))


class Run(Base):
    """One execution of a pipeline. ``trigger`` is ``Trigger`` as JSON; ``message`` is the commit's, ``sentence`` ours.

    ``cancel_reason`` is ``canceled`` where a user canceled the run, ``superseded`` where a newer run did, and
    ``dependency_failed`` where a step with ``failure: cancel`` failed. ``cancel_by`` names the one who canceled it.
    ``on_branch``: a branch or tag of the repository contained the commit when a worker asked git; None before that.
    ``held``: it waits for approval, and ``approved_by`` names who gave it. ``rerun`` is
    ``workers.store.reruns.choice.Rerun`` where a person asked for it to repeat another one, or a part of it.
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("repo_id", "number"),
        Index("ix_runs_held", "repo_id", sqlite_where=text("held = 1"), postgresql_where=text("held")),
        Index(None, "repo_id", "branch", "number"),
        Index(None, "repo_id", "ref", "number"),
        Index(None, "repo_id", "event", "number"),
        Index(None, "repo_id", "state", "number"),
        Index(None, "repo_id", "sha"),
        _partial("ix_runs_unfinished", "repo_id", "ref", "id", where="finished_ms IS NULL"),
        _partial("ix_runs_with_logs", "finished_ms", "id", where="logs_deleted_ms IS NULL"),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    number: Mapped[int]
    parent_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)
    trigger: Mapped[str]
    event: Mapped[Event]
    ref: Mapped[str]
    branch: Mapped[str]
    sha: Mapped[str]
    title: Mapped[str]
    message: Mapped[str]
    author: Mapped[str]
    state: Mapped[State] = mapped_column(default=State.QUEUED)
    reason: Mapped[Reason | None]
    sentence: Mapped[str] = mapped_column(default="")
    problems: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    left_out: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    cancel_requested_ms: Mapped[int | None]
    cancel_by: Mapped[str] = mapped_column(default="")
    cancel_reason: Mapped[Reason | None]
    on_branch: Mapped[bool | None]
    held: Mapped[bool] = mapped_column(default=False)
    approved_by: Mapped[str] = mapped_column(default="")
    rerun: Mapped[dict[str, Any] | None]
    created_ms: Mapped[int]
    started_ms: Mapped[int | None]
    finished_ms: Mapped[int | None]
    logs_deleted_ms: Mapped[int | None]


class Job(Base):
    """What one worker claims. ``plan`` is ``JobPlan`` as JSON, or None until a worker has planned the run.

    ``ready`` becomes true when all jobs that it needs have ended. ``attempt`` counts claims and is the fencing token:
    writes from an older attempt are refused. ``lease_s`` is how long its lease lasts without a renewal. ``lost`` counts
    expired leases, ``takeovers`` how often another process on the same machine went on with the running job, which
    raises ``attempt`` too. ``rung_ms`` is the time of the last wake-up. At most ``group_limit`` jobs of a concurrency
    group (``group_key``, or None) run at once; users see ``group_name``. ``cancel_by`` is not empty where this job
    alone is canceled.

    ``lane`` stands for the labels that it asks for, while it waits and nothing but a worker is missing; else it is None
    (see ``workers.store.jobs.lanes``). While ``not_before_ms`` is set, no worker may claim it: it waits until
    ``delay_reason`` is over, for the ``delays``-th time since ``delayed_since_ms`` (see ``workers.store.jobs.delays``).
    ``detail`` is what another program, such as git, said of its end. ``repo_id`` is its run's, so that the queue is
    read without the table of runs;
    None in jobs that ended before this column existed.

    ``carried_from`` is the number of the run in which it ran, where a re-run took it over as it had ended. Until
    ``kept_until_ms`` its machine keeps its files, of ``kept_bytes``. ``files_of`` is the id of the job whose files it
    goes on with. ``services`` are those of its plan [{name, image, after, state, message, begun_ms, started_ms,
    ready_ms, finished_ms}]; the state is waiting, starting, ready, ended or failed, ``after`` the build step whose
    image it has, and the times are there once they are known: rows of before 0037 have none. ``pulls`` are those of
    images, in the order in which they began [{image, started_ms, finished_ms, downloaded_bytes, failed}].

    ``key`` is a random name, given at the first claim, for what the job has on a worker's machine; empty before that.
    In another database, or an older copy of this one, no job can have the same.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("run_id", "number"),
        Index(None, "state", "ready", "lease_until_ms"),
        _partial("ix_jobs_group", "group_key", "state", "run_id", "number", where="group_key IS NOT NULL"),
        _partial("ix_jobs_lane", "lane", "id", where="lane IS NOT NULL"),
        _partial("ix_jobs_lane_of_repo", "repo_id", "lane", "id", where="lane IS NOT NULL"),
        _partial("ix_jobs_lane_rung", "rung_ms", "id", where="lane IS NOT NULL"),
        _partial("ix_jobs_unplanned", "repo_id", "run_id", where="plan IS NULL AND ready AND finished_ms IS NULL"),
        _partial("ix_jobs_held", "repo_id", "run_id", where=_HELD),
        _partial("ix_jobs_held_group", "group_key", where=_HELD),
        _partial("ix_jobs_key", "key", where="key <> ''"),
        _partial("ix_jobs_delayed", "not_before_ms", where="not_before_ms IS NOT NULL"),
        _partial("ix_jobs_unfinished", "id", where="finished_ms IS NULL"),
        _partial("ix_jobs_passed", "repo_id", "name", "id", where="state = 'passed'"),
    )

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    repo_id: Mapped[int | None]
    key: Mapped[str] = mapped_column(default="")
    number: Mapped[int]
    name: Mapped[str] = mapped_column(default="")
    file: Mapped[str] = mapped_column(default="")
    cell: Mapped[dict[str, str]] = mapped_column(default=dict)
    labels: Mapped[dict[str, str]] = mapped_column(default=dict)
    needs: Mapped[list[str]] = mapped_column(default=list)
    on_success: Mapped[bool] = mapped_column(default=True)
    on_failure: Mapped[bool] = mapped_column(default=False)
    plan: Mapped[str | None]
    services: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    pulls: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    group_key: Mapped[str | None]
    group_name: Mapped[str] = mapped_column(default="")
    group_limit: Mapped[int] = mapped_column(default=1)
    cancel_by: Mapped[str] = mapped_column(default="")
    ready: Mapped[bool] = mapped_column(default=True)
    lane: Mapped[str | None]
    not_before_ms: Mapped[int | None]
    delay_reason: Mapped[str] = mapped_column(default="")
    delayed_since_ms: Mapped[int | None]
    delays: Mapped[int] = mapped_column(default=0)
    state: Mapped[State] = mapped_column(default=State.QUEUED)
    reason: Mapped[Reason | None]
    message: Mapped[str] = mapped_column(default="")
    detail: Mapped[str] = mapped_column(default="")
    attempt: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str] = mapped_column(default="")
    lease_until_ms: Mapped[int | None]
    lease_s: Mapped[int | None]
    host: Mapped[str] = mapped_column(default="")
    lost: Mapped[int] = mapped_column(default=0)
    takeovers: Mapped[int] = mapped_column(default=0)
    rung_ms: Mapped[int | None]
    carried_from: Mapped[int | None]
    kept_until_ms: Mapped[int | None]
    kept_bytes: Mapped[int | None]
    files_of: Mapped[int | None]
    created_ms: Mapped[int]
    started_ms: Mapped[int | None]
    finished_ms: Mapped[int | None]

    @property
    def origin(self) -> int:
        """The attempt that started the steps: by it the job's containers, folder and logs are found."""
        return self.attempt - self.takeovers

    @property
    def title(self) -> str:
        """Its workflow, and the values of its matrix cell: what ``JobPlan.title`` is."""
        return " ".join((self.name, ", ".join(self.cell.values()))).rstrip()


class Step(Base):
    """One step of a job. ``attempt`` is the job's that wrote last, and part of the log's address.

    ``facts`` holds what is known: ``image_id``, ``size_bytes``, ``pushed`` [{repo, tag, digest, image_id}],
    ``instructions`` [{index, text, cached, seconds, error}], ``attempts`` before the last one [{state, reason, message,
    exit_code, started_ms, seconds, log_end_bytes}], ``usage`` {memory_peak_bytes, cpu_seconds, memory_limit_bytes},
    ``caches``, and as ``annotations`` problem lines of its output [{severity, file, line, column, message, log_line}].
    ``carried_from`` is the number of the run in which it ran, where that is another one.
    """

    __tablename__ = "steps"
    __table_args__ = (UniqueConstraint("job_id", "number"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    name: Mapped[str]
    kind: Mapped[str]
    image: Mapped[str] = mapped_column(default="")
    state: Mapped[State] = mapped_column(default=State.QUEUED)
    reason: Mapped[Reason | None]
    message: Mapped[str] = mapped_column(default="")
    exit_code: Mapped[int | None]
    log_bytes: Mapped[int] = mapped_column(default=0)
    log_lines: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    carried_from: Mapped[int | None]
    started_ms: Mapped[int | None]
    finished_ms: Mapped[int | None]


class Approval(Base):
    """A maintainer's approval of one commit of one author into one branch.

    ``author_id`` is the author's account at the forge. Where the forge sent none, it names the one run.
    """

    __tablename__ = "approvals"
    __table_args__ = (UniqueConstraint("repo_id", "sha", "author_id", "target_branch"),)

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"))
    sha: Mapped[str]
    author_id: Mapped[str]
    target_branch: Mapped[str]
    approved_by: Mapped[str]
    created_ms: Mapped[int]


class Status(Base):
    """What was reported of a run to its forge. There is a row only where the repository has a token for that.

    ``told`` is the run's state as the forge has it, ``told_workflows`` those of its workflows by name, and
    ``progress`` how far its jobs were then. ``next_try_ms`` is when to report again: None when there is no more to
    report, or when it was given up for ``reason``, a sentence.
    """

    __tablename__ = "statuses"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    told: Mapped[State | None]
    told_workflows: Mapped[dict[str, str]] = mapped_column(default=dict)
    progress: Mapped[int] = mapped_column(default=0)
    next_try_ms: Mapped[int | None] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(default="")
