"""What the workflows that a job needs mean for it once they have ended: does it run, and what do its steps see?

One place for the server and ``headway run``, so that conditions, variables and sentences say the same.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pipelines.state import Outcome, Reason, State

NAMES_COUNT_MAX = 3


class EndedJob(NamedTuple):
    """How a job of a workflow that another one needs has ended."""

    name: str
    state: State
    reason: Reason | None


def failed_needs(ended: Iterable[EndedJob]) -> tuple[str, ...]:
    """The names of the needed workflows that did not pass, each once. One that its condition skipped is no failure."""
    return tuple(dict.fromkeys(job.name for job in ended if not _went_well(job)))


def _went_well(job: EndedJob) -> bool:
    return job.state is State.PASSED or (job.state is State.SKIPPED and job.reason is Reason.CONDITION)


def skip_after(failed: tuple[str, ...], *, on_success: bool, on_failure: bool) -> Outcome | None:
    """The outcome with which a job is skipped, now that what it needs has ended; None if it runs.

    ``failed`` are the ``failed_needs``.
    """
    if failed and not on_failure:
        sentence = f"It needs {listed(failed)}, which did not pass."
        return Outcome(State.SKIPPED, Reason.DEPENDENCY_FAILED, sentence)
    if not failed and not on_success:
        return Outcome(State.SKIPPED, Reason.CONDITION, "It runs only after a failure, and all that it needs passed.")
    return None


def listed(names: Iterable[str]) -> str:
    """The names, separated by commas; of many the first."""
    shown = list(names)
    more = len(shown) - NAMES_COUNT_MAX
    return ", ".join(shown[:NAMES_COUNT_MAX]) + (f" and {more} more" if more > 0 else "")
