"""After which outcomes a step runs again, and how often."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from pipelines.state import Outcome, Reason, State

RetryClass = Literal["broken", "timeout", "failed"]
RETRY_CLASSES: tuple[RetryClass, ...] = get_args(RetryClass)
FURTHER_ATTEMPTS_MAX = 10
BACKOFF_SECONDS_MAX = 3600
EXIT_STATUS_MAX = 255

_THE_SAME_AGAIN = frozenset(
    {Reason.DISK_FULL, Reason.INVALID_PIPELINE, Reason.SECRET_MISSING, Reason.SECRETS_TOO_LARGE, Reason.UNTRUSTED}
    | {Reason.BAD_COMMAND, Reason.CANCELED}
)
"""Reasons that another attempt of the same job cannot change, or that must not be tried again."""


class Retry(BaseModel):
    """A step runs up to ``attempts`` further times while it ends in a class of ``on`` or with one of ``exit_codes``.

    ``backoff_s`` is the pause before each further attempt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    attempts: int
    on: tuple[RetryClass, ...] = RETRY_CLASSES
    exit_codes: tuple[int, ...] = ()
    backoff_s: int = 0

    def covers(self, outcome: Outcome) -> bool:
        """True if the step runs again after this outcome."""
        if outcome.state not in {State.FAILED, State.BROKEN} or outcome.reason in _THE_SAME_AGAIN:
            return False
        return _class_of(outcome) in self.on or outcome.exit_code in self.exit_codes

    def __str__(self) -> str:
        """For people, such as ``retry 2 times on broken, timeout, exit status 75 after 10 s``."""
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        on = [*self.on, *(f"exit status {code}" for code in self.exit_codes)]
        after = f" after {self.backoff_s} s" if self.backoff_s else ""
        return f"retry {times} on {', '.join(on)}{after}"


def _class_of(outcome: Outcome) -> RetryClass:
    if outcome.state is State.BROKEN:
        return "broken"
    return "timeout" if outcome.reason is Reason.TIMEOUT else "failed"
