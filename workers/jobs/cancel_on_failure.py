"""Steps with ``failure: cancel``: when one fails, the whole run ends."""

from collections.abc import Callable

from pipelines.plan import JobPlan
from pipelines.state import State
from runner.events import Emit, Event, StepFinished


class CancelOnFailure:
    """Passes a job's events on. When such a step has failed, calls ``cancel`` with a text that names the step."""

    def __init__(self, emit: Emit, plan: JobPlan, cancel: Callable[[str], None]) -> None:
        self._emit = emit
        self._cancel = cancel
        self._causes = {
            step.number: f"step {step.name!r} of {plan.name!r}, which failed"
            for step in plan.steps
            if step.failure == "cancel"
        }

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self._emit(event)
        if isinstance(event, StepFinished) and event.outcome.state in {State.FAILED, State.BROKEN}:
            cause = self._causes.get(event.step)
            if cause is not None:
                self._cancel(cause)
