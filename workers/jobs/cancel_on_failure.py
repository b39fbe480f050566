"""Steps with ``failure: cancel``: when one fails, the whole run ends."""

from collections.abc import Callable

from pipelines.plan import JobPlan
from pipelines.state import State
from runner.events import Emit, Event, StepFinished


class CancelOnFailure:
    """Passes a job's events on, and calls ``cancel`` with who did it when such a step has failed."""

    def __init__(self, emit: Emit, plan: JobPlan, cancel: Callable[[str], None]) -> None:
        self._emit = emit
        self._cancel = cancel
        self._who = {
            step.number: f"step {step.name!r} of {plan.name!r}, which failed"
            for step in plan.steps
            if step.failure == "cancel"
        }

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self._emit(event)
        if isinstance(event, StepFinished) and event.outcome.state in {State.FAILED, State.BROKEN}:
            who = self._who.get(event.step)
            if who is not None:
                self._cancel(who)
