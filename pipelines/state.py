"""States of runs, jobs and steps, which transitions are allowed, and the reasons why something ended."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """``failed``: the user's pipeline failed. ``broken``: Headway or its host failed."""

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    CANCELED = "canceled"
    SKIPPED = "skipped"

    @property
    def final(self) -> bool:
        """True when no state follows this one."""
        return not NEXT[self]


# A running job goes back to queued when its worker vanishes and its lease expires.
NEXT: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.SKIPPED, State.CANCELED, State.FAILED, State.BROKEN}),
    State.RUNNING: frozenset({State.PASSED, State.FAILED, State.BROKEN, State.CANCELED, State.QUEUED}),
    State.PASSED: frozenset(),
    State.FAILED: frozenset(),
    State.BROKEN: frozenset(),
    State.CANCELED: frozenset(),
    State.SKIPPED: frozenset(),
}

# The verdict of a run is the worst state of its jobs. Broken is the worst, because it needs an administrator.
_SEVERITY = (State.BROKEN, State.CANCELED, State.FAILED, State.PASSED, State.SKIPPED)


class Reason(StrEnum):
    """Why something did not pass: a code for programs, which never changes. People read ``Outcome.message``."""

    # The pipeline's fault: the state is failed.
    EXIT_CODE = "exit_code"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"
    INVALID_PIPELINE = "invalid_pipeline"
    NO_PIPELINE = "no_pipeline"
    UNTRUSTED = "untrusted"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - the name of a reason, not a password
    SECRETS_TOO_LARGE = "secrets_too_large"
    BUILD_FAILED = "build_failed"
    IMAGE_NOT_FOUND = "image_not_found"
    BAD_COMMAND = "bad_command"
    SERVICE_FAILED = "service_failed"
    PUSH_REFUSED = "push_refused"
    ARTIFACTS_REFUSED = "artifacts_refused"
    DEPENDENCY_FAILED = "dependency_failed"
    CONDITION = "condition"
    CANCELED = "canceled"
    SUPERSEDED = "superseded"
    # The fault of Headway or its host: the state is broken.
    CLONE_FAILED = "clone_failed"
    COMMIT_MISSING = "commit_missing"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    ENGINE_GONE = "engine_gone"
    ENGINE_UNSUITABLE = "engine_unsuitable"
    DISK_FULL = "disk_full"
    NO_BUILDER = "no_builder"
    WORKER_LOST = "worker_lost"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Outcome:
    """How a step, a job or a run ended. ``message`` is a sentence: what happened and what to do.

    ``exit_code`` is a program's; 0 for every step that passed, also where Headway itself did the work. ``detail`` is
    what another program said of it, in its own words.
    """

    state: State
    reason: Reason | None = None
    message: str = ""
    exit_code: int | None = None
    detail: str = ""


PASSED = Outcome(State.PASSED, exit_code=0)


def verdict(states: list[State]) -> State:
    """The state of a run whose jobs all ended in ``states``; passed when there were none."""
    return min(states, key=_SEVERITY.index, default=State.PASSED)
