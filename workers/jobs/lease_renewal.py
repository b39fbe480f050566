"""Renews the lease of a running job, and learns of its cancellation that way."""

import threading
import time
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from runner.cancellation import Cancel
from workers.db.session import transaction
from workers.store import leases
from workers.streaming.redis_stream import LiveTail

_log = structlog.get_logger()
RENEWALS_PER_LEASE = 5


class LeaseRenewer:
    """Renews one job's lease from a thread with its own database connection, so that the job cannot delay it.

    Cancels the job where its row says so. Cancels it as lost where the lease belongs to another worker, or ended
    before it could be renewed: another worker may run the job by then.
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
        self._thread = threading.Thread(target=self._renew_until_stopped, name=f"lease-{claim.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _renew_until_stopped(self) -> None:
        every_s = self._lease_s / RENEWALS_PER_LEASE
        renewed_s = time.monotonic()
        while not self._stop.is_set():
            if self._renew():
                renewed_s = time.monotonic()
            elif time.monotonic() - renewed_s > self._lease_s:
                self._cancel.set("the loss of its lease", lost=True)
            if self._cancel and self._cancel.lost:
                return
            self._sleep(every_s)

    def _renew(self) -> bool:
        """Renews once, and cancels the job where its row asks for that. False where the database did not answer."""
        try:
            with transaction(self._engine) as session:
                renewal = leases.renew(session, self._claim.job_id, self._claim.attempt, self._owner, self._lease_s)
        except SQLAlchemyError as error:
            _log.warning("lease not renewed", job=self._claim.job_id, error=str(error))
            return False
        if not renewal.still_mine:
            self._cancel.set("the loss of its lease", lost=True)
        elif renewal.cancel_requested:
            self._cancel.set(renewal.cancel_by or "an unknown user")
        return True

    def _sleep(self, seconds: float) -> None:
        """Waits until the next renewal is due, the job has ended, or Redis announces a cancellation."""
        if self._cancel:
            self._stop.wait(seconds)
        else:
            self._live.wait_for_cancel(self._claim.run_id, seconds, self._stop)
