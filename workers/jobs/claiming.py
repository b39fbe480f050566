"""From a wake-up to a claim: a worker claims the job that the message names, or another one that waits.

The sender of a wake-up need not know the workers: any free worker receives it. A worker whose labels do not match the
job forwards the message once, to the queues of the workers whose labels do.
"""

import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from workers import store
from workers.db.session import reading, transaction
from workers.labels import fits, queue_of
from workers.store.jobs import leases
from workers.store.processes.workers import OWNER_MARK


@dataclass(frozen=True)
class JobClaimer:
    """Claims jobs for one worker process. ``owner`` names it in leases; ``on_claim`` is called after each claim.

    ``forward`` sends a job's id to queues; it gets how many slots the workers of each queue have.
    """

    database: Engine
    owner: str
    labels: Mapping[str, str]
    lease_s: int
    forward: Callable[[int, Mapping[str, int]], object]
    on_claim: Callable[[], object] = int

    def claim(self, job_id: int) -> leases.Claim | None:
        """Claims this job, or the one that has waited longest of those that fit this worker. None is no error."""
        claim = self._claim(job_id)
        if claim is None:
            self._forward(job_id)
            other = self.next_ready()
            claim = None if other is None else self._claim(other)
        if claim is not None:
            self.on_claim()
        return claim

    def is_waiting(self, job_id: int) -> bool:
        """Whether some worker may claim this job now."""
        with reading(self.database) as session:
            return leases.labels_needed(session, job_id) is not None

    def next_ready(self) -> int | None:
        """The job that has waited longest of those that fit this worker."""
        with reading(self.database) as session:
            return leases.next_ready(session, self.labels)

    def _claim(self, job_id: int) -> leases.Claim | None:
        with transaction(self.database) as session:
            if store.is_drained(session, self.owner.partition(OWNER_MARK)[0]):
                return None
            return leases.claim(session, job_id, self.owner, self.lease_s, socket.gethostname(), self.labels)

    def _forward(self, job_id: int) -> None:
        with reading(self.database) as session:
            asked = leases.labels_needed(session, job_id)
            if asked is None or fits(asked, self.labels):
                return
            slots: Counter[str] = Counter()
            for worker in store.workers(session):
                if fits(asked, worker.labels):
                    slots[queue_of(worker.labels)] += worker.slots
        if slots:
            self.forward(job_id, slots)
