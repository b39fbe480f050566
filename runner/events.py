"""The events of a job. The server's recorder and the terminal of ``headway run`` receive them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pipelines.state import Outcome
from runner.report_results import Annotation, StepReports


class Stream(StrEnum):
    """Where a chunk of a step's log came from; ``note`` is text by the runner itself."""

    STDOUT = "stdout"
    STDERR = "stderr"
    NOTE = "note"


@dataclass(frozen=True)
class StepStarted:
    """The step has started."""

    step: int


@dataclass(frozen=True)
class StepOutput:
    """A chunk of a step's output, with secrets masked. ``offset`` is its position in bytes; there are no gaps."""

    step: int
    offset: int
    data: bytes
    stream: Stream


@dataclass(frozen=True)
class EndedAttempt:
    """An attempt of a step after which the step runs again. ``log_end_bytes`` is where its part of the log ends."""

    outcome: Outcome
    started_s: float
    seconds: float
    log_end_bytes: int


@dataclass(frozen=True)
class StepRetried:
    """The step runs again: all of its attempts so far. What they wrote must be stored when the call returns."""

    step: int
    attempts: tuple[EndedAttempt, ...]


@dataclass(frozen=True)
class StepMeasured:
    """What the container of an attempt of the step used; 0 if that is not known. Without a limit, it is 0, too."""

    step: int
    memory_peak_bytes: int
    cpu_s: float
    memory_limit_bytes: int


@dataclass(frozen=True)
class StepFinished:
    """The step has ended, or was skipped. Comes after its last output."""

    step: int
    outcome: Outcome


@dataclass(frozen=True)
class StepReused:
    """The step did not run: an earlier result took its place, that of ``since``. It would have taken ``seconds``."""

    step: int
    outcome: Outcome
    since: str
    seconds: float


@dataclass(frozen=True)
class CacheUse:
    """A cache of a step. ``found`` is the key of what was kept before, empty where nothing was; it has ``size_bytes``.

    With ``copied`` it could not be mounted. Under ``key`` are ``saved_bytes`` now, 0 if nothing new is kept. The step
    was ``faster_s`` seconds faster than without the cache, as far as that is known.
    """

    name: str
    key: str
    found: str = ""
    size_bytes: int = 0
    copied: bool = False
    saved_bytes: int = 0
    faster_s: float | None = None


@dataclass(frozen=True)
class CachesUsed:
    """The caches of a step: once when it begins, and again when it has ended."""

    step: int
    caches: tuple[CacheUse, ...]


@dataclass(frozen=True)
class InstructionChanged:
    """The progress of one Dockerfile instruction of a build step. ``seconds`` is None until it has ended."""

    step: int
    index: int
    text: str
    cached: bool = False
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True)
class ImageBuilt:
    """A build step built this image. ``image_id`` (``sha256:...``) addresses it until the push."""

    step: int
    image_id: str
    size_bytes: int


@dataclass(frozen=True)
class ImagePushed:
    """One tag was pushed to its registry. ``digest`` is the manifest's."""

    step: int
    repo: str
    tag: str
    digest: str
    image_id: str


@dataclass(frozen=True)
class ImagePullChanged:
    """The pull of an image begins, or has ended after ``seconds``. An image that is in the engine is not pulled.

    ``downloaded_bytes`` is 0 where nothing was missing, or where the engine does not say it.
    """

    image: str
    seconds: float | None = None
    downloaded_bytes: int = 0
    failed: bool = False


ServiceState = Literal["starting", "ready", "ended", "failed"]


@dataclass(frozen=True)
class ServiceChanged:
    """What a service does now. It is ``ready`` also where nothing waits for it; ``message`` says how it ended.

    It is ``starting`` twice: while its image is pulled, and with ``has_container`` once its container has started.
    """

    name: str
    state: ServiceState
    message: str = ""
    has_container: bool = False


@dataclass(frozen=True)
class ReportsRead:
    """The reports of a step have been read, after an attempt at it. Those of an earlier attempt no longer count."""

    step: int
    reports: StepReports


@dataclass(frozen=True)
class ProblemLinesFound:
    """What tools have written of problems in the output of a step that failed. Comes before its end."""

    step: int
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True)
class JobNote:
    """A sentence about the job as a whole, for people: progress of the preparation, or a warning."""

    text: str


StepEvent = (
    StepStarted | StepOutput | StepRetried | StepMeasured | StepFinished | CachesUsed | ReportsRead | ProblemLinesFound
)
JobEvent = ImagePullChanged | ServiceChanged | JobNote
Event = StepEvent | StepReused | InstructionChanged | ImageBuilt | ImagePushed | JobEvent
Emit = Callable[[Event], None]
