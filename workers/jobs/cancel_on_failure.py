"""Steps with ``failure: cancel``: when one fails, the whole run ends."""

from collections.abc import Callable

from pipelines.plan import JobPlan
from pipelines.state import State
from runner.events import Emit, Event, StepFinished
from workers.store.jobs import machine_faults


class CancelOnFailure:
    """Passes a job's events on. When such a step has failed, calls ``cancel`` with a text that names the step."""

    def __init__(self, emit: Emit, plan: JobPlan, cancel: Callable[[str], None]) -> None:
        self._emit = emit
        self._cancel = cancel
        self._after_fault = ""
        self._causes = {
            step.number: f"step {step.name!r} of {plan.name!r}, which failed"
            for step in plan.steps
            if step.failure == "cancel"
        }

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self._emit(event)
        if not isinstance(event, StepFinished) or event.step not in self._causes:
            return
        if machine_faults.is_fault(event.outcome):
            self._after_fault = self._causes[event.step]
        elif event.outcome.state in {State.FAILED, State.BROKEN}:
            self._cancel(self._causes[event.step])

    def cancel_after_fault(self) -> None:
        """To be called where a fault of the machine is the job's verdict: it is not given to another one."""
        if self._after_fault:
            self._cancel(self._after_fault)
