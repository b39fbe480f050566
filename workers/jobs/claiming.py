"""From a message to a claim: a worker takes the job that it was rung for, or another that waits.

A message goes to whoever is free, for whoever rings need not know the workers. One who may not have the job passes it
on, to queues that only those hear who may: a message is passed on once at the most.
"""

import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from workers import store
from workers.db.session import reading, transaction
from workers.labels import fits, queue_of
from workers.store import leases


@dataclass(frozen=True)
class Ear:
    """A worker process that listens. ``pass_on`` gets a job and, by queue, how many can take a job from there."""

    database: Engine
    owner: str
    labels: Mapping[str, str]
    lease_s: int
    pass_on: Callable[[int, Mapping[str, int]], object]

    def take(self, job_id: int) -> leases.Claim | None:
        """The right to work on this job, or on the one that has waited longest of those that fit; None is no error."""
        claim = self._claim(job_id)
        if claim is not None:
            return claim
        self._hand_on(job_id)
        other = self.next()
        return None if other is None else self._claim(other)

    def next(self) -> int | None:
        """The job that has waited longest of those that this worker may have."""
        with reading(self.database) as session:
            return leases.next_ready(session, self.labels)

    def _claim(self, job_id: int) -> leases.Claim | None:
        with transaction(self.database) as session:
            return leases.claim(session, job_id, self.owner, self.lease_s, socket.gethostname(), self.labels)

    def _hand_on(self, job_id: int) -> None:
        with reading(self.database) as session:
            asked = leases.asked_of(session, job_id)
            if asked is None or fits(asked, self.labels):
                return
            slots: Counter[str] = Counter()
            for worker in store.workers(session):
                if fits(asked, worker.labels):
                    slots[queue_of(worker.labels)] += worker.slots
        if slots:
            self.pass_on(job_id, slots)
