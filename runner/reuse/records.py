"""What is kept of the result of a step, and the interface of what keeps it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.plan import CommandsStep
from runner.artifacts.files import KeptFile
from runner.report_results import StepReports
from runner.reuse.sources import SourceTree


@dataclass(frozen=True)
class Record:
    """The result of a step that passed. ``since`` names its run, ``seconds`` is how long it ran.

    ``parts`` are digests of what the result depends on, by their names. ``address`` is for the records alone.
    """

    since: str
    seconds: float
    parts: Mapping[str, str] = field(default_factory=dict)
    files: tuple[KeptFile, ...] = ()
    reports: StepReports | None = None
    address: int | str = 0


class ReuseRecords(Protocol):
    """The records for one job. All calls may raise OSError."""

    def find(self, step: CommandsStep, key: str) -> Record | None:
        """The result with this key, if all that it left is still there."""
        ...

    def latest(self, step: CommandsStep) -> Record | None:
        """The newest record of the step, whatever its key: to say what has changed since."""
        ...

    def take(self, step: CommandsStep, record: Record) -> bool:
        """Makes the result that of the step: log, artifacts and reports. False if something of it is gone."""
        ...

    def keep(self, step: CommandsStep, key: str, parts: Mapping[str, str], seconds: float) -> None:
        """Keeps the result of the step, which has passed. It counts once its run has passed."""
        ...

    def read(self, file: KeptFile) -> Iterator[bytes]:
        """The bytes of a file of a record. Raises OSError in the end if they are not what was kept."""
        ...


@dataclass(frozen=True)
class ReuseAccess:
    """What a job may use of earlier results. ``fingerprint`` gives a keyed digest of a text: it may hold secrets.

    Without ``takes`` every step runs. Without ``keeps`` nothing is kept for later runs.
    """

    records: ReuseRecords
    tree: SourceTree
    fingerprint: Callable[[str], str] = field(repr=False)
    takes: bool = True
    keeps: bool = True


def shown_seconds(seconds: float) -> str:
    """A duration, as people write it."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f}s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s"


def unchanged(record: Record) -> str:
    """The sentence about a step that did not run again."""
    return f"unchanged since {record.since}, saved {shown_seconds(record.seconds)}"
