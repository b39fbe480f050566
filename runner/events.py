"""What the runner says while it works. The server's recorder and the terminal of ``headway run`` listen."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pipelines.state import Outcome


class Stream(StrEnum):
    """Which of a step's outputs a chunk came from; ``note`` is the runner's own voice."""

    STDOUT = "stdout"
    STDERR = "stderr"
    NOTE = "note"


@dataclass(frozen=True)
class StepStarted:
    """The step's turn has come."""

    step: int


@dataclass(frozen=True)
class StepOutput:
    """Masked bytes of a step's output. ``offset`` counts bytes from 0 and has no gaps."""

    step: int
    offset: int
    data: bytes
    stream: Stream


@dataclass(frozen=True)
class StepFinished:
    """The step's turn is over, or never came (skipped). Follows the step's last output."""

    step: int
    outcome: Outcome


@dataclass(frozen=True)
class InstructionChanged:
    """One Dockerfile instruction of a build step. ``seconds`` is None until it has ended."""

    step: int
    index: int
    text: str
    cached: bool = False
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True)
class ImageBuilt:
    """A build step made this image. ``image_id`` is ``sha256:...`` and addresses it until the push."""

    step: int
    image_id: str
    size_bytes: int


@dataclass(frozen=True)
class ImagePushed:
    """One tag has arrived in its registry. ``digest`` is the manifest's."""

    step: int
    repo: str
    tag: str
    digest: str
    image_id: str


@dataclass(frozen=True)
class JobNote:
    """A sentence about the job as a whole, for people: what is being prepared, a warning."""

    text: str


Event = StepStarted | StepOutput | StepFinished | InstructionChanged | ImageBuilt | ImagePushed | JobNote
Emit = Callable[[Event], None]
