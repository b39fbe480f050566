"""What a job of a test on the engine did: its events, its output, its outcome."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.state import Outcome, State
from runner.events import Event, ImageBuilt, ImagePushed, InstructionChanged, JobNote, StepFinished, StepOutput, Stream
from runner.execution.job.job import Job

MakeJob = Callable[..., Job]
"""Makes a job of one step, with further fields of its assignment by keyword."""


@dataclass
class JobResult:
    """The events of a job, and its outcome. ``on_event`` hears each event, in the thread that it came from."""

    key: str
    folder: Path
    on_event: Callable[[Event], None] | None = None
    events: list[Event] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    outcome: Outcome = field(default_factory=lambda: Outcome(State.RUNNING))
    tells_of_instructions: bool = True

    def __call__(self, event: Event) -> None:
        """Keeps an event."""
        self.events.append(event)
        if self.on_event:
            self.on_event(event)

    def names_image(self, name: str) -> bool:
        """True for a name that only this job can have given to an image."""
        repos = tuple(f"{event.repo}{mark}" for event in self.pushed for mark in ":@")
        return self.key in name or name.startswith(repos)

    def log(self, step: int = 1, *streams: Stream) -> bytes:
        """The bytes of a step's output, of these streams or of all. Its offsets must have no gap."""
        chunks = [event for event in list(self.events) if isinstance(event, StepOutput) and event.step == step]
        end = 0
        for chunk in chunks:
            assert chunk.offset == end
            end += len(chunk.data)
        return b"".join(chunk.data for chunk in chunks if chunk.stream in (streams or tuple(Stream)))

    def said(self, step: int = 1) -> list[str]:
        """The lines that a step's commands wrote to their standard output, without those that show a command."""
        lines = self.log(step, Stream.STDOUT).decode().splitlines()
        return [line for line in lines if not line.startswith("+ ")]

    def step(self, number: int = 1) -> Outcome:
        """How a step ended."""
        (outcome,) = [
            event.outcome for event in self.events if isinstance(event, StepFinished) and event.step == number
        ]
        return outcome

    @property
    def states(self) -> list[State]:
        """The states of all steps, by their numbers."""
        ended = [event for event in self.events if isinstance(event, StepFinished)]
        return [event.outcome.state for event in sorted(ended, key=lambda event: event.step)]

    @property
    def built(self) -> list[ImageBuilt]:
        """The images that were built."""
        return [event for event in self.events if isinstance(event, ImageBuilt)]

    @property
    def pushed(self) -> list[ImagePushed]:
        """The tags that arrived."""
        return [event for event in self.events if isinstance(event, ImagePushed)]

    @property
    def notes(self) -> str:
        """What was said about the job as a whole."""
        return "\n".join(event.text for event in self.events if isinstance(event, JobNote))

    def instructions(self, step: int = 1) -> list[InstructionChanged]:
        """The last news of each Dockerfile instruction of a build step; the test is skipped where no client tells."""
        need_instructions(tell=self.tells_of_instructions)
        last: dict[int, InstructionChanged] = {}
        for event in self.events:
            if isinstance(event, InstructionChanged) and event.step == step:
                last[event.index] = event
        return [last[index] for index in sorted(last)]

    def everything(self) -> str:
        """All that a person could get to see of the job, in one text."""
        texts = [str(event) for event in self.events if not isinstance(event, StepOutput)]
        logs = [self.log(step) for step in {event.step for event in self.events if isinstance(event, StepOutput)}]
        return "\n".join([*texts, str(self.outcome), *(log.decode(errors="replace") for log in logs)])


def need_instructions(*, tell: bool) -> None:
    """Skips a test that is about a build's instructions where the client does not tell of them."""
    if not tell:
        pytest.skip("the build client of this engine does not tell of instructions (buildx 0.13 and newer do)")
