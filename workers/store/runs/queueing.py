"""Queueing runs: numbered, held where they wait for approval, and ending the older ones that they replace."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count

from sqlalchemy import (
    ColumnElement,
    Insert,
    bindparam,
    case,
    exists,
    insert,
    literal,
    literal_column,
    null,
    select,
    update,
)  # fmt: skip
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from pipelines.state import State
from pipelines.trigger import Trigger
from workers.db.models import NEWEST_WINS_EVENTS, Job, Repo, Run
from workers.db.session import now_ms
from workers.labels import NO_LABELS
from workers.store.common import table
from workers.store.jobs.lanes import turns_after
from workers.store.reruns.choice import Rerun
from workers.store.runs.approvals import approver, drop_replaced, note_writer
from workers.store.runs.runs import trigger_of
from workers.store.runs.statuses import may_have_token, open_statuses
from workers.store.runs.superseding import supersede_runs

_TITLE_CHARS_MAX = 200
_DEFAULTS = dict.fromkeys(("problems", "warnings", "left_out"), "'[]'")
_DEFAULTS |= {"state": f"'{State.QUEUED.value}'", "sentence": "''", "cancel_by": "''"}


@dataclass(frozen=True)
class NewRun:
    """A run to be queued. ``parent_run_id`` is the run that it repeats.

    ``held``: it waits for approval, unless its commit was approved before. ``repeats``: its trigger came earlier, so
    that it ends no run which has come since.
    """

    repo_id: int
    trigger: Trigger
    parent_run_id: int | None = None
    held: bool = False
    repeats: bool = False

    @property
    def is_new(self) -> bool:
        """Whether its trigger is the newest, so that older runs may end for it."""
        return self.parent_run_id is None and not self.repeats


@dataclass(frozen=True)
class Queued:
    """A queued run. ``job_id`` is its only job so far.

    After the commit, notify workers of ``job_id``, and of the cancellation of the runs ``superseded``.
    """

    run_id: int
    number: int
    job_id: int
    superseded: tuple[int, ...] = ()


def queue_run(
    session: Session, repo_id: int, trigger: Trigger, parent_run_id: int | None = None, *, held: bool = False
) -> Queued:
    """A new run with the repository's next number and one job without a plan: its worker plans the run."""
    (queued,) = queue_runs(session, [NewRun(repo_id, trigger, parent_run_id, held)])
    return queued


def queue_runs(session: Session, new: Sequence[NewRun]) -> list[Queued]:
    """Queues a batch of runs with few statements. Each repository's runs are numbered in this order."""
    if not new:
        return []
    connection, (count_on, new_run, new_jobs, new_statuses) = session.connection(), _queueing()
    before: dict[int, int] = {}
    newest_wins: dict[int, list[str]] = {}
    has_token: dict[int, bool] = {}
    has_held: dict[int, bool] = {}
    # Lock order, to avoid deadlocks: repositories by id.
    for repo_id, more in sorted(Counter(each.repo_id for each in new).items()):
        found = connection.execute(count_on, {"repo": repo_id, "count": more}).one()
        counted, newest_wins[repo_id], has_token[repo_id], has_held[repo_id] = found
        before[repo_id] = counted - more
    numbers = {repo_id: count(last + 1) for repo_id, last in before.items()}
    places = [(each.repo_id, next(numbers[each.repo_id])) for each in new]
    rows = [
        {"repo_id": repo_id, "number": number, "parent_run_id": each.parent_run_id}
        | trigger_columns(each.trigger)
        | _approval(session, each)
        for each, (repo_id, number) in zip(new, places, strict=True)
    ]
    connection.execute(new_run, rows)
    made: dict[tuple[int, int], Queued] = {}
    for repo_id, last in before.items():
        # The rows of one INSERT get ids in their order.
        ids = sorted(connection.execute(new_jobs, {"repo": repo_id, "last": last}))
        if has_token[repo_id]:
            connection.execute(new_statuses, {"repo": repo_id, "last": last})
        made |= {
            (repo_id, number): Queued(run_id, number, job_id) for number, (run_id, job_id) in enumerate(ids, last + 1)
        }
    queued = [made[place] for place in places]
    ended: list[Run] = []
    for at in _newest(new, newest_wins):
        older = supersede_runs(session, session.get_one(Run, queued[at].run_id))
        queued[at] = replace(queued[at], superseded=tuple(run.id for run in older if not run.state.final))
        ended += older
    for each, its in zip(new, queued, strict=True):
        has_held[each.repo_id] |= each.held
        if each.is_new and has_held[each.repo_id]:
            ended += drop_replaced(session, session.get_one(Run, its.run_id))
    # Last, for it locks jobs of other runs. The scheduler wakes workers for them.
    turns_after(session, *ended)
    return queued


def _approval(session: Session, new: NewRun) -> dict[str, object]:
    """Whether the run is held, and who has approved its commit before."""
    note_writer(session, new.repo_id, new.trigger)
    by = approver(session, new.repo_id, new.trigger) if new.held else ""
    return {"held": new.held and not by, "approved_by": by}


def _newest(new: Sequence[NewRun], newest_wins: Mapping[int, Collection[str]]) -> Collection[int]:
    """Which of the new runs cancel older ones: the last of each branch or pull request, unless it is a rerun."""
    last: dict[tuple[int, str, str], int] = {}
    for at, each in enumerate(new):
        event = each.trigger.event
        if each.is_new and event in NEWEST_WINS_EVENTS and event.value in newest_wins[each.repo_id]:
            last[each.repo_id, event.value, each.trigger.ref] = at
    return last.values()


@cache
def _queueing() -> tuple[ReturningUpdate[int, list[str], bool, bool], Insert, ReturningInsert[int, int], Insert]:
    """The statements of every webhook, built once: building them costs more than running them."""
    repos, runs, jobs = table(Repo), table(Run), table(Job)
    mine, counted = repos.c.id == bindparam("repo"), repos.c.last_number + bindparam("count")
    # Values that are the same for every new run are literals in the statement: as parameters they cost time per row.
    literals: dict[str, ColumnElement[str]] = {name: literal_column(text) for name, text in _DEFAULTS.items()}
    theirs = (runs.c.repo_id == bindparam("repo")) & (runs.c.number > bindparam("last"))
    # rung_ms is set because the caller sends a wake-up at once; if that is lost, the scheduler sends another.
    # A held run waits for approval, and its job for its lane.
    lane = case((runs.c.held, null()), else_=literal_column(f"'{NO_LABELS}'"))
    of_run = select(runs.c.id, runs.c.repo_id, literal(1), ~runs.c.held, lane, now_ms(), now_ms())
    first_jobs = of_run.where(theirs).order_by(runs.c.number)
    # Not repos.c.id: in RETURNING SQLAlchemy leaves tables out of names for SQLite, and that would be the run's id.
    held = exists().where(runs.c.repo_id == bindparam("repo"), runs.c.held)
    return (
        update(repos)
        .where(mine)
        .values(last_number=counted, newest_ms=now_ms())
        .returning(repos.c.last_number, repos.c.newest_wins, may_have_token(), held),
        insert(runs).values(created_ms=now_ms(), **literals),
        insert(jobs)
        .from_select(["run_id", "repo_id", "number", "ready", "lane", "rung_ms", "created_ms"], first_jobs)
        .returning(jobs.c.run_id, jobs.c.id),
        open_statuses(),
    )


def trigger_columns(trigger: Trigger) -> dict[str, object]:
    """The columns of a run that its trigger fills. Runs of sent trees have no branch: no list of a branch has them."""
    title = trigger.pull_request.title if trigger.pull_request else ""
    return {
        "trigger": trigger.model_dump_json(),
        "event": trigger.event,
        "ref": trigger.ref,
        "branch": "" if trigger.sent_tree else trigger.branch,
        "sha": trigger.sha,
        "title": (title or trigger.message.strip().partition("\n")[0].strip())[:_TITLE_CHARS_MAX],
        "message": trigger.message,
        "author": trigger.author or trigger.sender,
    }


def rerun(
    session: Session, run_id: int, *, held: bool = False, asked: Rerun | None = None, no_reuse: bool = False
) -> Queued:  # fmt: skip
    """Queues a run of the same trigger, with a new number. ``asked`` says who asked, and which jobs run again."""
    run = session.get_one(Run, run_id)
    trigger = trigger_of(run).model_copy(update={"no_reuse": no_reuse})
    queued = queue_run(session, run.repo_id, trigger, parent_run_id=run.id, held=held)
    if asked is not None:
        session.execute(update(table(Run)).where(table(Run).c.id == queued.run_id).values(rerun=asked))
        session.expire_all()
    return queued
