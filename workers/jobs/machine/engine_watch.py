"""Whether a worker's Docker Engine can run jobs: without one, the worker takes none, says so, and goes on by itself."""

import threading
import time
from collections.abc import Callable

import structlog

from runner.docker.client import Engine
from runner.errors import StepError, as_step_error
from workers.jobs.machine.shared_flag import SharedFlag

LOOK_EVERY_S = 15.0
LOOK_AGAIN_S = 1.0
"""The pause between two looks at an engine that did not answer."""
ANSWER_S_MAX = 5.0
"""How long an engine may take to answer. One that is asked for longer counts as gone."""

_log = structlog.get_logger()


def as_sentence(error: StepError | OSError) -> str:
    """Why a worker takes no job, as its page says it."""
    words = str(as_step_error(error))
    return f"{words[0].upper()}{words[1:].rstrip('.')}."


class EngineWatch:
    """Looks at the engine, from a thread of its own once ``start`` is called.

    After a job that broke because of the engine, ``suspect`` makes the next look a trial: ``prove`` does what a job
    needs, and raises StepError or OSError where the engine cannot. All processes of a worker share ``suspected``.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        prove: Callable[[], None],
        suspected: SharedFlag | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._prove = prove
        self._suspected = SharedFlag() if suspected is None else suspected
        self._monotonic_s = monotonic_s
        self._problem = ""
        self._asked_s: float | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._look_for_ever, name="engine-watch", daemon=True)

    def start(self) -> None:
        """Starts the thread, which ends with the process."""
        self._thread.start()

    def suspect(self) -> None:
        """A job broke because of the engine."""
        self._suspected.set()

    def problem(self) -> str:
        """Why the worker takes no job, by the last look; empty where it does. Returns at once."""
        asked_s = self._asked_s
        if asked_s is not None and (waits_s := self._monotonic_s() - asked_s) > ANSWER_S_MAX:
            return f"The Docker Engine has not answered for {waits_s:.0f} seconds. Restart it."
        return self._problem

    def look(self) -> str:
        """Looks now. Returns what ``problem`` returns from then on. Takes ``ANSWER_S_MAX`` at most; a trial, longer."""
        if not self._lock.acquire(timeout=ANSWER_S_MAX):
            return self.problem()
        try:
            self._asked_s = self._monotonic_s()
            found = self._found()
        finally:
            self._asked_s = None
            self._lock.release()
        if found != self._problem:
            if found:
                _log.warning("this worker takes no job", problem=found)
            else:
                _log.info("this worker takes jobs again")
            self._problem = found
        return found

    def _found(self) -> str:
        try:
            self._engine().ping(ANSWER_S_MAX)
            if self._suspected:
                self._prove()
                self._suspected.set(to=False)
        except (StepError, OSError) as error:
            return as_sentence(error)
        return ""

    def _look_for_ever(self) -> None:
        while True:
            time.sleep(LOOK_AGAIN_S if self.look() else LOOK_EVERY_S)
