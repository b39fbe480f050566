"""Which runs and deliveries of a repository are too old, or too many. They are removed a few at a time."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from pipelines.state import State
from pipelines.trigger import PULL_REQUEST_EVENTS
from workers.db.models import Cron, Delivery, Run, Status
from workers.db.session import db_now_ms, now_ms
from workers.retention_policy import RUNS_KEPT, RetentionPolicy
from workers.store.common import DAY_MS, table

SEEN_MS = DAY_MS
"""A run that ended less than this ago is not removed because there are too many: a user may look at it now."""
RUN_REMOVED = "The run that it started was removed, because it was old."


class RunExpiry(NamedTuple):
    """Runs that ended before ``ended_before_ms`` are too old, those up to the number ``surplus`` too many.

    From the number ``kept_from`` on all are kept.
    """

    repo_id: int
    ended_before_ms: int
    surplus: int
    seen_ms: int
    kept_from: int

    def is_over(self, number: int, finished_ms: int | None) -> bool:
        """True for a run, with a number below ``kept_from``, that may be removed."""
        if finished_ms is None:
            return False
        return finished_ms < self.ended_before_ms or (number <= self.surplus and finished_ms < self.seen_ms)


class Examined(NamedTuple):
    """The runs that may be removed, and the last number that was looked at; None: no other can be among them."""

    run_ids: Sequence[int]
    up_to: int | None


def run_expiry(session: Session, repo_id: int, last_number: int, policy: RetentionPolicy) -> RunExpiry | None:
    """What is over of the repository's runs; None where nothing can be. ``last_number`` is that of the newest."""
    if last_number <= RUNS_KEPT or not (policy.run_days or policy.run_count):
        return None
    kept_from = _finished_number(session, repo_id, RUNS_KEPT - 1)
    if kept_from is None:
        return None
    now = db_now_ms(session)
    # Looked for only where there may be one: it is behind as many rows as are kept.
    many = 0 < policy.run_count < last_number
    surplus = _finished_number(session, repo_id, policy.run_count) if many else None
    ended_before_ms = now - policy.run_days * DAY_MS if policy.run_days else 0
    return RunExpiry(repo_id, ended_before_ms, surplus or 0, now - SEEN_MS, kept_from)


def _finished_number(session: Session, repo_id: int, newer: int) -> int | None:
    """The number of the finished run than which so many finished runs are ``newer``."""
    query = select(Run.number).where(Run.repo_id == repo_id, Run.finished_ms.is_not(None))
    return session.scalars(query.order_by(Run.number.desc()).offset(newer).limit(1)).one_or_none()


def expired_runs(session: Session, expiry: RunExpiry, default_branch: str, after: int, limit: int) -> Examined:
    """Looks at the next ``limit`` runs behind the number ``after``, the oldest first."""
    query = select(Run.id, Run.number, Run.created_ms, Run.finished_ms).where(
        Run.repo_id == expiry.repo_id, Run.number > after, Run.number < expiry.kept_from
    )
    rows = session.execute(query.order_by(Run.number).limit(limit)).all()
    over = [run_id for run_id, number, _, finished_ms in rows if expiry.is_over(number, finished_ms)]
    if over:
        kept = _referred_to(session, over) | _newest_passed(session, expiry.repo_id, default_branch)
        over = [run_id for run_id in over if run_id not in kept]
    if len(rows) < limit:
        return Examined(over, None)
    # Runs are numbered in the order in which they are made, and end later.
    _, number, created_ms, _ = rows[-1]
    more = created_ms < expiry.ended_before_ms or number < expiry.surplus
    return Examined(over, number if more else None)


def _referred_to(session: Session, run_ids: Collection[int]) -> set[int]:
    """Those that are still needed: a cron shows its last run, and some statuses are not sent to the forge yet."""
    crons = session.scalars(select(Cron.last_run_id).where(Cron.last_run_id.in_(run_ids)))
    statuses = select(Status.run_id).where(Status.run_id.in_(run_ids), Status.next_try_ms.is_not(None))
    return {run_id for run_id in crons if run_id is not None} | set(session.scalars(statuses))


def _newest_passed(session: Session, repo_id: int, branch: str) -> set[int]:
    """The newest run of the branch itself that has passed."""
    query = select(Run.id).where(
        Run.repo_id == repo_id,
        Run.branch == branch,
        Run.state == State.PASSED,
        Run.event.not_in(PULL_REQUEST_EVENTS),
    )
    return set(session.scalars(query.order_by(Run.number.desc()).limit(1)))


def remove_finished(session: Session, run_ids: Sequence[int]) -> int:
    """Removes those of these runs that have ended, with all their rows; their logs are marked. Returns how many.

    Their deliveries stay until their own time is over: one that is sent again still starts nothing.
    """
    runs, deliveries = table(Run), table(Delivery)
    of_runs = deliveries.c.run_id.in_(run_ids)
    session.execute(update(deliveries).where(of_runs).values(run_id=None, reason=RUN_REMOVED))
    gone = delete(runs).where(runs.c.id.in_(run_ids), runs.c.finished_ms.is_not(None)).returning(runs.c.id)
    return len(session.execute(gone).all())


def expired_deliveries(session: Session, repo_id: int, policy: RetentionPolicy, limit: int) -> Sequence[int]:
    """The oldest deliveries that are too old or too many, ``limit`` at most."""
    place = tuple_(Delivery.received_ms, Delivery.id)
    conditions = []
    if policy.delivery_days:
        conditions.append(Delivery.received_ms < db_now_ms(session) - policy.delivery_days * DAY_MS)
    if policy.delivery_count:
        newest = select(Delivery.received_ms, Delivery.id).where(Delivery.repo_id == repo_id)
        newest = newest.order_by(Delivery.received_ms.desc(), Delivery.id.desc())
        surplus = session.execute(newest.offset(policy.delivery_count).limit(1)).one_or_none()
        if surplus is not None:
            conditions.append(place <= tuple_(*surplus))
    if not conditions:
        return ()
    query = select(Delivery.id).where(Delivery.repo_id == repo_id, or_(*conditions))
    return session.scalars(query.order_by(Delivery.received_ms, Delivery.id).limit(limit)).all()


def count_expired_deliveries(session: Session, repo_id: int, policy: RetentionPolicy) -> int:
    """How many of the repository's deliveries are too old or too many."""
    of_repo = select(func.count()).select_from(Delivery).where(Delivery.repo_id == repo_id)
    old = 0
    if policy.delivery_days:
        old = session.scalar(of_repo.where(Delivery.received_ms < now_ms() - policy.delivery_days * DAY_MS)) or 0
    total = session.scalar(of_repo) or 0
    return max(old, total - policy.delivery_count if policy.delivery_count else 0)


def remove_deliveries(session: Session, delivery_ids: Sequence[int]) -> None:
    """Removes deliveries. The runs that they started stay."""
    deliveries = table(Delivery)
    session.execute(delete(deliveries).where(deliveries.c.id.in_(delivery_ids)))
