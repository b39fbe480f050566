"""While Redis does not answer, each process of a worker looks into the database for jobs itself.

No wake-up comes then, and Celery's parent process waits for its connection. The database decides who has a job, as
ever: when Redis is back, a wake-up for a job that runs finds nothing to claim.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from redis import Redis, RedisError

LOOK_S = 4.0
"""The pause between two looks, up to half of it longer or shorter: the processes must not all look at once."""
SILENT_LOOKS = 2
"""Redis counts as away when it has not answered so often in a row."""
WAIT_FOR_TURN_S = 60.0
"""How long a wake-up waits for the job that this process runs already."""

_log = structlog.get_logger()


class Turn:
    """A process runs one job at a time, whether a wake-up or its own look has started it. Make it before the fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, wait_s: float) -> Iterator[bool]:
        """Whether it is this caller's turn, which then lasts until the end of the block."""
        mine = self._lock.acquire(timeout=wait_s)
        try:
            yield mine
        finally:
            if mine:
                self._lock.release()

    def end(self, wait_s: float) -> None:
        """Waits for the job that runs; no other is started after that."""
        self._lock.acquire(timeout=wait_s)


@dataclass
class LooksWithoutRedis:
    """``answers``: whether Redis does. ``find`` returns the id of a job that waits for a worker like this, if it takes
    jobs, and ``run`` claims and runs it, or another one.
    """

    answers: Callable[[], bool]
    find: Callable[[], int | None]
    run: Callable[[int], object]
    turn: Turn
    _silent: int = 0

    def start(self) -> None:
        """Looks from a thread, until the process ends."""
        threading.Thread(target=self._look_for_ever, name="without Redis", daemon=True).start()

    def look(self) -> None:
        """One look. Runs jobs while Redis is away and there are some. Raises nothing: it must go on."""
        last = None
        while self._is_away():
            try:
                with self.turn.taken(wait_s=0) as mine:
                    job_id = self.find() if mine else None
                    # One that still waits could not be claimed: the worker is drained, or not well.
                    if job_id is None or job_id == last:
                        return
                    last = job_id
                    _log.warning("a job starts without a wake-up: Redis does not answer", job=job_id)
                    self.run(job_id)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look tries again
                _log.warning("no job could be started without Redis", error=str(error))
                return

    def _is_away(self) -> bool:
        self._silent = 0 if self.answers() else self._silent + 1
        return self._silent >= SILENT_LOOKS

    def _look_for_ever(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(random.uniform(LOOK_S / 2, LOOK_S * 3 / 2))  # noqa: S311 - no secret
            self.look()


def redis_answers(redis: Redis) -> bool:
    """Whether it does now."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False
