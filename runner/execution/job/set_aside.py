"""Containers of failed steps that are set aside, in place of their removal, so that a person can look into one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from pipelines.state import Outcome, State


@dataclass(frozen=True)
class FailedContainer:
    """The container of a failed step. ``preparation`` is what its script did before the first command.

    ``secret_files`` are paths of files in memory, which end with the container.
    """

    step: str
    container: str
    preparation: str
    secret_files: tuple[str, ...] = ()


@dataclass
class SetAside:
    """The containers set aside of one job; of each step that of its last attempt. Safe to use from several threads.

    ``chosen`` is the one that stays after the end of the job. Where ``kept``, the job's end removes nothing.
    """

    chosen: FailedContainer | None = None
    kept: bool = False
    _by_step: dict[str, FailedContainer] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def ended(self, failed: FailedContainer, outcome: Outcome) -> Sequence[str]:
        """An attempt at a step has ended. Returns the containers to be removed."""
        with self._lock:
            earlier = self._by_step.pop(failed.step, None)
            unneeded = [earlier.container] if earlier else []
            if outcome.state is State.FAILED:
                self._by_step[failed.step] = failed
            else:
                unneeded.append(failed.container)
            return unneeded

    def choose(self, failed_steps: Sequence[str]) -> None:
        """Chooses the container of the first of these steps, in the order of their ends, that has one."""
        with self._lock:
            self.chosen = next((self._by_step[name] for name in failed_steps if name in self._by_step), None)
