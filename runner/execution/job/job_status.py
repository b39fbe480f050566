"""The status of a job so far: which steps it lets run, CI_PIPELINE_STATUS, and why a step is skipped."""

from collections.abc import Collection

from pipelines.needs import listed
from pipelines.plan import Step
from pipelines.state import Outcome, Reason, State


class JobStatus:
    """What went before: the workflows that the job needs, its own steps, and a cancellation.

    ``failed_needs`` are the needed workflows that did not pass. ``cancel_message`` says who canceled the run, as the
    rest of a sentence, and is set where only the steps for that state still run.
    """

    def __init__(self, failed_needs: Collection[str] = ()) -> None:
        self.failed_needs = tuple(failed_needs)
        self.failed_steps: list[str] = []
        self.cancel_message = ""

    @property
    def word(self) -> str:
        """``success``, ``failure`` or ``canceled``: a failure that came before the cancellation is one."""
        if self.failed_needs or self.failed_steps:
            return "failure"
        return "canceled" if self.cancel_message else "success"

    def will_run(self, step: Step) -> bool:
        """True if the step runs, as things stand."""
        if self.cancel_message:
            return step.on_canceled
        if self.failed_steps:
            return step.on_failure
        if self.failed_needs:
            return step.on_failure or (step.on_success and step.on_failed_needs)
        return step.on_success

    def skipped(self, step: Step) -> Outcome:
        """The outcome of a step that does not run."""
        if self.cancel_message:
            return Outcome(State.SKIPPED, Reason.CANCELED, f"the run was {self.cancel_message}")
        if self.failed_steps and step.on_success:
            noun = "step" if len(self.failed_steps) == 1 else "steps"
            names = listed(repr(name) for name in self.failed_steps)
            return Outcome(State.SKIPPED, Reason.DEPENDENCY_FAILED, f"{noun} {names} failed")
        if self.failed_needs and step.on_success:
            names = listed(repr(name) for name in self.failed_needs)
            message = f"it runs only after success (`when: status`), and workflow {names} did not pass"
            return Outcome(State.SKIPPED, Reason.CONDITION, message)
        only = "only after a failure" if step.on_failure else "only after a cancellation"
        return Outcome(State.SKIPPED, Reason.CONDITION, f"it runs {only} (`when: status`)")
