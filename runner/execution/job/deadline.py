"""When a step must have ended."""

from dataclasses import dataclass

from pipelines.state import Outcome, Reason, State


@dataclass(frozen=True)
class Deadline:
    """When a step must have ended, by the monotonic clock, and the message if it has not."""

    deadline: float
    message: str

    def outcome(self) -> Outcome:
        """How the step ends at the deadline."""
        return Outcome(State.FAILED, Reason.TIMEOUT, f"{self.message}; raise `timeout:` if it needs longer")
