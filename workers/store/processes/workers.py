"""Workers and their heartbeats: a worker counts as alive while it sends them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pipelines.state import State
from workers.db.models import Job, Worker
from workers.db.session import now_ms
from workers.store.common import CLOCK_STEP_MS, insert_or

OWNER_MARK = "/"
"""In the owner of a lease: between the worker's name and the id of one of its processes."""


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
    session.execute(delete(Worker).where((Worker.name == name) | (Worker.until_ms < now_ms())))


def workers(session: Session) -> list[KnownWorker]:
    """All workers that are alive, by name."""
    owners = session.scalars(select(Job.lease_owner).where(Job.state == State.RUNNING))
    busy = Counter(owner.partition(OWNER_MARK)[0] for owner in owners)
    # A heartbeat from the future was sent before the clock was set back.
    current = (Worker.until_ms >= now_ms()) & (Worker.seen_ms <= now_ms() + CLOCK_STEP_MS)
    rows = session.scalars(select(Worker).where(current).order_by(Worker.name))
    return [
        KnownWorker(row.name, row.labels, row.slots, busy[row.name], row.started_ms, row.seen_ms, row.problem)
        for row in rows
    ]
