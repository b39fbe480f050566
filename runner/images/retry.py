"""Asks a registry again where that may help: the one policy for pulls, pushes, access checks and builds.

Which answers are transient is in ``runner/docker/registry_answers.py``.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from pipelines.state import Reason
from runner.docker.registry_answers import TransientRegistryError
from runner.errors import MachineError, StepError
from runner.logs.output import Write

RETRY_S = 120.0
"""For how long a registry is asked again, from its first transient answer on, if the server's settings say nothing."""
TRIES_MIN = 3
"""The engine has retries of its own in a push, which may take all of that time."""
FIRST_PAUSE_S, PAUSE_S_MAX = 1.0, 30.0
_CHECK_EVERY_S = 0.2
_IN_MINUTES_S_MIN = 100
T = TypeVar("T")


class RegistryRetries:
    """Retries of one request to a registry. ``trouble`` is its last transient answer while it is asked again.

    ``write`` logs each retry. ``check`` is called during the pauses and may raise to stop. With 0 for ``limit_s`` there
    are no retries.
    """

    def __init__(
        self,
        limit_s: float,
        write: Write,
        check: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit_s = limit_s
        self._write = write
        self._check = check
        self._clock = clock
        self._sleep = sleep
        self._tries = 0
        self._first_s: float | None = None
        self.trouble: TransientRegistryError | None = None

    def call(self, ask: Callable[[], T]) -> T:
        """Calls ``ask`` until it returns, and returns its result. Raises MachineError if the trouble lasts.

        That is so too where the step's time or the job's ends meanwhile: the registry used it up, not the step.
        """
        self._tries, self._first_s = 0, None
        while True:
            self._tries += 1
            try:
                answer = ask()
            except TransientRegistryError as error:
                self._first_s = self._clock() if self._first_s is None else self._first_s
                self.trouble = error
            except StepError as error:
                raise self.explained(error) from error
            else:
                self.trouble = None
                return answer
            self._pause(self.trouble)

    def served(self) -> None:
        """The registry serves again: from now on it is not the reason if time runs out."""
        self.trouble = None

    def given_up(self, trouble: TransientRegistryError) -> MachineError:
        """The error for trouble that lasts: what the registry answered, how often and for how long it was asked."""
        tries = f" after {self._tries} tries over {_duration(self._trouble_s())}" if self._tries > 1 else ""
        return MachineError(Reason.REGISTRY_UNREACHABLE, f"{trouble.what}{tries}; {trouble.answer.hint}")

    def _pause(self, trouble: TransientRegistryError) -> None:
        left_s = self._limit_s - self._trouble_s()
        if self._limit_s <= 0 or (left_s <= 0 and self._tries >= TRIES_MIN):
            raise self.given_up(trouble) from trouble
        own_s = min(FIRST_PAUSE_S * 2 ** min(self._tries - 1, 10), PAUSE_S_MAX)
        if trouble.answer.pause_s > max(left_s, own_s):
            raise self.given_up(trouble) from trouble  # an earlier try would be refused
        # The last try is at the end of the time, so that all of it is used.
        pause_s = max(min(own_s, left_s) if left_s > 0 else own_s, trouble.answer.pause_s)
        self._write(f"{trouble.answer}; trying again in {_duration(pause_s)} (try {self._tries + 1})")
        ends_s = self._clock() + pause_s
        while (wait_s := ends_s - self._clock()) > 0:
            try:
                self._check()
            except StepError as error:
                raise self.explained(error) from error
            self._sleep(min(wait_s, _CHECK_EVERY_S))

    def _trouble_s(self) -> float:
        return 0.0 if self._first_s is None else self._clock() - self._first_s

    def explained(self, error: StepError) -> StepError:
        """``error``, or what the registry answered where it has used up the time of the step."""
        trouble = self.trouble
        if trouble and error.reason is Reason.TIMEOUT and self._trouble_s() <= self._limit_s:
            return self.given_up(trouble)
        return error


def _duration(seconds: float) -> str:
    if seconds >= _IN_MINUTES_S_MIN:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
