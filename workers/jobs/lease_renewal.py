"""Renews the lease of a running job, and learns of its cancellation that way.

The threads here share the interpreter with the job's own: all that a job does has limits, so that none holds it for
longer than a second or two (see docs/decisions/031-work-with-a-limit.md).
"""

import threading
import time
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.cancellation import Cancel
from workers.db.session import transaction
from workers.store.jobs import leases
from workers.streaming.redis_stream import LiveTail

_log = structlog.get_logger()
RENEWALS_PER_LEASE = 5
_LOSS = "the loss of its lease"


class LeaseRenewer:
    """Renews one job's lease from a thread with its own database connection, so that the job cannot delay it.

    Cancels the job where its row says so. Cancels it as lost where the lease belongs to another worker, or ended
    before it could be renewed: another worker may run the job by then. A second thread sees that the lease has ended
    while the database hangs.
    """

    def __init__(
        self, engine: Engine, live: LiveTail, claim: leases.Claim, owner: str, lease_s: int, cancel: Cancel
    ) -> None:
        self._engine = engine
        self._live = live
        self._claim = claim
        self._owner = owner
        self._lease_s = lease_s
        self._cancel = cancel
        self._stop = threading.Event()
        self._renewed_s = time.monotonic()
        name = f"lease-{claim.job_id}"
        self._thread = threading.Thread(target=self._renew_until_stopped, name=name, daemon=True)
        self._watch = threading.Thread(target=self._watch_until_stopped, name=f"{name}-watch", daemon=True)

    def __enter__(self) -> Self:
        self._renewed_s = time.monotonic()
        self._thread.start()
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._watch.join()
        self._thread.join()

    def _renew_until_stopped(self) -> None:
        every_s = self._lease_s / RENEWALS_PER_LEASE
        while not (self._stop.is_set() or self._cancel.lost):
            # The lease lasts from some moment after this one: others see the renewal later.
            asked_s = time.monotonic()
            if self._renew():
                self._renewed_s = asked_s
            self._sleep(every_s)

    def _watch_until_stopped(self) -> None:
        while (left_s := self._renewed_s + self._lease_s - time.monotonic()) > 0:
            if self._stop.wait(left_s):
                return
        self._cancel.set(_LOSS, lost=True)

    def _renew(self) -> bool:
        """Renews once, and cancels the job where its row asks for that. False where the database did not answer."""
        try:
            with transaction(self._engine) as session:
                renewal = leases.renew(session, self._claim.job_id, self._claim.attempt, self._owner, self._lease_s)
        except SQLAlchemyError as error:
            _log.warning("lease not renewed", job=self._claim.job_id, error=str(error))
            return False
        if not renewal.still_mine:
            self._cancel.set(_LOSS, lost=True)
        elif renewal.cancel_requested:
            self._cancel.set(renewal.cancel_by or "an unknown user")
        return True

    def _sleep(self, seconds: float) -> None:
        """Waits until the next renewal is due, the job has ended, or Redis announces a cancellation."""
        if self._cancel:
            self._stop.wait(seconds)
        else:
            self._live.wait_for_cancel(self._claim.run_id, seconds, self._stop)
