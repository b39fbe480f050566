"""Workers and their heartbeats: a worker counts as alive while it sends them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Job, Worker
from workers.db.session import now_ms
from workers.store.common import CLOCK_STEP_MS, insert_or

OWNER_MARK = "/"
"""In the owner of a lease: between the worker's name and the id of one of its processes."""


DRAINED = "It is drained: it takes no new job."
_DRAINED_KEPT_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class KnownWorker:
    """A worker that is alive. ``busy`` of its ``slots`` have a job. ``*_ms`` are milliseconds since 1970.

    ``problem`` says why it takes no job; empty where it does.
    """

    name: str
    labels: Mapping[str, str]
    slots: int
    busy: int
    started_ms: int
    seen_ms: int
    problem: str = ""
    drained: bool = False

    @property
    def free(self) -> int:
        """How many jobs it could start now."""
        return 0 if self.problem else max(0, self.slots - self.busy)


def record_heartbeat(
    session: Session, name: str, labels: Mapping[str, str], slots: int, silent_s: int, problem: str = ""
) -> None:  # fmt: skip
    """Stores a worker's heartbeat. The worker counts as alive for ``silent_s`` seconds from now.

    ``problem`` says why it takes no job, if that is so.
    """
    until = now_ms() + silent_s * 1000
    insert = insert_or(session, Worker).values(
        name=name,
        labels=dict(labels),
        slots=slots,
        started_ms=now_ms(),
        seen_ms=now_ms(),
        until_ms=until,
        problem=problem,
    )
    changed = {"seen_ms": now_ms(), "until_ms": until, "problem": problem}
    session.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changed))


def remove_worker(session: Session, name: str) -> None:
    """Removes a worker that has stopped, and all workers whose last heartbeat has expired."""
    # One that is drained may be silent and come back: it must not take jobs then.
    kept_ms = case((Worker.drained, _DRAINED_KEPT_MS), else_=0)
    session.execute(delete(Worker).where((Worker.name == name) | (Worker.until_ms + kept_ms < now_ms())))


def set_drained(session: Session, name: str, *, drained: bool) -> bool | None:
    """Whether the worker takes no new job. Returns whether that is a change, and None where there is no such worker."""
    alive = (Worker.name == name) & (Worker.until_ms >= now_ms())
    before = session.scalar(select(Worker.drained).where(alive).with_for_update())
    if before is None or before == drained:
        return None if before is None else False
    session.execute(update(Worker).where(Worker.name == name).values(drained=drained))
    return True


def is_drained(session: Session, name: str) -> bool:
    """Whether the worker may take no new job."""
    return bool(session.scalar(select(Worker.drained).where(Worker.name == name)))


def jobs_of_worker(session: Session, name: str) -> int:
    """How many jobs the worker has now."""
    owners = session.scalars(select(Job.lease_owner).where(Job.state == State.RUNNING))
    return sum(owner.partition(OWNER_MARK)[0] == name for owner in owners)


def workers(session: Session) -> list[KnownWorker]:
    """All workers that are alive, by name."""
    owners = session.scalars(select(Job.lease_owner).where(Job.state == State.RUNNING))
    busy = Counter(owner.partition(OWNER_MARK)[0] for owner in owners)
    # A heartbeat from the future was sent before the clock was set back.
    current = (Worker.until_ms >= now_ms()) & (Worker.seen_ms <= now_ms() + CLOCK_STEP_MS)
    rows = session.scalars(select(Worker).where(current).order_by(Worker.name))
    return [
        KnownWorker(
            row.name,
            row.labels,
            row.slots,
            busy[row.name],
            row.started_ms,
            row.seen_ms,
            row.problem or (DRAINED if row.drained else ""),
            row.drained,
        )
        for row in rows
    ]
