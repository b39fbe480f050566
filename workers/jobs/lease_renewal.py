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
from runner.threads import in_this_context
from workers.db.full_disk import means_full_disk
from workers.db.session import reading, transaction
from workers.store.jobs import leases
from workers.streaming.redis_stream import LiveTail

_log = structlog.get_logger()
RENEWALS_PER_LEASE = 5
_LOSS = "the loss of its lease"
_FULL_DISK_RETRY_S = 0.2


class LeaseRenewer:
    """Renews one job's lease from a thread with its own database connection, so that the job cannot delay it.

    Cancels the job where its row says so. Cancels it as lost where the lease belongs to another worker, or ended
    before it could be renewed: another worker may run the job by then. A second thread sees that the lease has ended
    while the database hangs.

    A renewal that the database cannot write because its disk is full does not end the lease: no other worker can take
    the job meanwhile, and the scheduler begins to count anew when there is room (see ``Reaper``).
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
        self._thread = threading.Thread(target=in_this_context(self._renew_until_stopped), name=name, daemon=True)
        self._watch = threading.Thread(
            target=in_this_context(self._watch_until_stopped), name=f"{name}-watch", daemon=True
        )

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
        while not (self._stop.is_set() or self._cancel.lost):
            # The lease lasts from some moment after this one: others see the renewal later.
            asked_s, pause_s = time.monotonic(), self._lease_s / RENEWALS_PER_LEASE
            try:
                self._learn(self._renewed())
            except SQLAlchemyError as error:
                _log.warning("lease not renewed", job=self._claim.job_id, error=str(error))
                if means_full_disk(error):
                    pause_s = _FULL_DISK_RETRY_S
                    self._hold(asked_s)
            else:
                self._renewed_s = asked_s
            self._sleep(pause_s)

    def _watch_until_stopped(self) -> None:
        while (left_s := self._renewed_s + self._lease_s - time.monotonic()) > 0:
            if self._stop.wait(left_s):
                return
        self._cancel.set(_LOSS, lost=True)

    def _renewed(self) -> leases.Renewal:
        """Renews once. Raises SQLAlchemyError where the database did not answer."""
        with transaction(self._engine) as session:
            return leases.renew(session, self._claim.job_id, self._claim.attempt, self._owner, self._lease_s)

    def _hold(self, asked_s: float) -> None:
        """The lease holds on while it can be read, but not written, that it is this worker's."""
        try:
            with reading(self._engine) as session:
                self._learn(leases.renewal(session, self._claim.job_id, self._claim.attempt, self._owner))
        except SQLAlchemyError as error:
            _log.warning("lease not read", job=self._claim.job_id, error=str(error))
        else:
            self._renewed_s = asked_s

    def _learn(self, renewal: leases.Renewal) -> None:
        """Cancels the job where it is another worker's, or its row asks for that."""
        if not renewal.still_mine:
            self._cancel.set(_LOSS, lost=True)
        elif renewal.cancel_requested:
            self._cancel.set(renewal.cancel_by or "an unknown user")

    def _sleep(self, seconds: float) -> None:
        """Waits until the next renewal is due, the job has ended, or Redis announces a cancellation."""
        if self._cancel:
            self._stop.wait(seconds)
        else:
            self._live.wait_for_cancel(self._claim.run_id, seconds, self._stop)
