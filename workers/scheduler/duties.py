"""The duties of the scheduler. Each runs in a thread of its own, fails alone, is reported, and is tried again later."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from workers import store
from workers.back_off import BackOff
from workers.db.session import transaction
from workers.scheduler.pace import AT_REST_S, Pace

HANGS_AFTER_S = 300.0
_STOP_WITHIN_S = 5.0

_log = structlog.get_logger()


@dataclass(frozen=True)
class Duty:
    """What is done every ``every_s`` seconds. ``work`` returns what fails of it, which it tries again by itself.

    ``of_unfinished``: it has to do with unfinished runs alone, and rests while there are none.
    """

    name: str
    every_s: float
    work: Callable[[], str]
    of_unfinished: bool = False


class DutyThread:
    """Does one duty again and again while this process leads. ``report`` gets a sentence, or empty text for success."""

    def __init__(
        self, duty: Duty, leads: threading.Event, stop: threading.Event, pace: Pace, report: Callable[[str], None]
    ) -> None:
        self.duty = duty
        self._leads = leads
        self._stop = stop
        self._pace = pace
        self._report = report
        self._back_off = BackOff()
        self._began_s: float | None = None
        self._thread = threading.Thread(target=self._do_until_stopped, name=duty.name, daemon=True)

    def start(self) -> None:
        """Starts the thread. It ends when ``stop`` is set and the pace ends."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Waits for the end of the thread. A duty that hangs is left behind: the thread ends with the process."""
        self._thread.join(timeout_s)

    def report_if_it_hangs(self, hangs_after_s: float = HANGS_AFTER_S) -> None:
        """To be called from another thread now and then."""
        began_s = self._began_s
        if began_s is not None and (took_s := time.monotonic() - began_s) > hangs_after_s:
            self._report(f"It has not finished for {took_s // 60:.0f} minutes. If that goes on, restart the scheduler.")

    def _do_until_stopped(self) -> None:
        while not self._stop.is_set():
            pause_s = self._do() if self._leads.is_set() else min(self.duty.every_s, 1.0)
            rests = self.duty.of_unfinished and self._leads.is_set()
            self._pace.wait(pause_s, None if rests else max(pause_s, AT_REST_S))

    def _do(self) -> float:
        """Does the duty once. Returns the pause before the next time, in seconds."""
        self._began_s = time.monotonic()
        try:
            problem, pause_s = self.duty.work(), self.duty.every_s
        except Exception as error:  # noqa: BLE001 - whatever it is, the other duties go on, and this one is tried again
            problem = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            pause_s = max(self.duty.every_s, self._back_off.failed(self.duty.name, problem))
            _log.warning("a duty of the scheduler failed", duty=self.duty.name, error=problem, again_in_s=pause_s)
        else:
            self._back_off.succeeded(self.duty.name)
        finally:
            self._began_s = None
        self._report(problem)
        return pause_s


class DutyReporter:
    """Keeps in the database what fails of one duty, for the pages. Writes only what has changed."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._written: str | None = None
        self._lock = threading.Lock()

    def __call__(self, problem: str) -> None:
        """What fails; empty where nothing does. While the database does not answer, the log alone has it."""
        with self._lock:
            if problem == self._written:
                return
            try:
                with transaction(self._engine) as session:
                    if problem:
                        store.note_failed_duty(session, self._name, problem)
                    else:
                        store.note_done_duty(session, self._name)
            except SQLAlchemyError as error:
                _log.warning("the state of a duty was not stored", duty=self._name, error=str(error))
            else:
                self._written = problem
        if problem:
            _log.warning("a part of the scheduler's work fails", duty=self._name, problem=problem)


def stop_all(threads: list[DutyThread]) -> None:
    """Waits for duties that are at work, all together for 5 s at most."""
    deadline_s = time.monotonic() + _STOP_WITHIN_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
