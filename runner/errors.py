"""What can go wrong with the machine, and with what a step asks of it."""

from pipelines.state import Outcome, Reason, State


class StepError(Exception):
    """The step cannot do what it was asked; the reason is the user's to mend, and the step has failed."""

    state = State.FAILED

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)

    @property
    def outcome(self) -> Outcome:
        """How the step ended."""
        return Outcome(self.state, self.reason, str(self))


class MachineError(StepError):
    """The machine, or something it depends on, is broken: the verdict is not the user's fault."""

    state = State.BROKEN
