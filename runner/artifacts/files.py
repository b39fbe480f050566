"""What is kept of a step's files, the limits of it, and the interface of what keeps them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from pipelines.plan import Artifacts
from pipelines.state import Reason
from runner.errors import StepError
from runner.step_files import LinkError, NotAFileError

PIECE_BYTES = 256 * 1024
"""Stays in the processor's cache between being read, summed up and written."""
PATH_BYTES_MAX = 1024
SENTENCES_COUNT_MAX = 10
"""Of more files that cannot be kept, only the number is said."""
GIT_FOLDER = ".git"


@dataclass(frozen=True)
class FoundFile:
    """A file to keep, as it was when it was found. ``path`` is where it comes back, relative to the checkout."""

    path: str
    size_bytes: int
    executable: bool
    opened: Callable[[], BinaryIO]

    def open(self) -> BinaryIO:
        """The file, opened for reading. Raises OSError, and StepError if it is gone."""
        try:
            return self.opened()
        except (FileNotFoundError, NotADirectoryError, LinkError, NotAFileError) as error:
            raise refused(f"{shown(self.path)} was removed or replaced meanwhile ({error.strerror or error})") from None

    def pieces(self) -> Iterator[bytes]:
        """Its bytes; not more than it had when it was found. Raises OSError, and StepError if it is gone."""
        left = self.size_bytes
        with self.open() as file:
            while left and (piece := file.read(min(left, PIECE_BYTES))):
                left -= len(piece)
                yield piece


@dataclass(frozen=True)
class KeptFile:
    """A file that is kept. ``source`` names the workflow that kept it, ``key`` its bytes for the storage."""

    path: str
    size_bytes: int
    executable: bool
    sha256: str
    key: str
    source: str = ""


class ArtifactStorage(Protocol):
    """Keeps the artifacts of one job, and reads those of others of its run. All calls may raise OSError."""

    def keep(self, step: int, asked: Artifacts, files: Sequence[FoundFile]) -> None:
        """Keeps the files of a step, in place of what earlier attempts at it kept."""
        ...

    def kept_by(self, workflows: Sequence[str]) -> Sequence[KeptFile]:
        """What these workflows of the run have kept, in the order in which it is restored."""
        ...

    def read(self, file: KeptFile) -> Iterator[bytes]:
        """The bytes of a kept file. Raises OSError in the end if they are not what was kept."""
        ...


@dataclass(frozen=True)
class ArtifactLimits:
    """What one step may keep. ``entries_count_max`` is how many names are looked at to find it."""

    bytes_max: int = 1024**3
    files_max: int = 10_000
    entries_count_max: int = 1_000_000


@dataclass
class Found:
    """Collects what is found. ``left_out`` has sentences about what cannot be kept."""

    limits: ArtifactLimits
    remedy: str = "keep fewer (`exclude`), pack them into one archive, or raise on the server HEADWAY_ARTIFACT_{}_MAX"
    files: list[FoundFile] = field(default_factory=list)
    size_bytes: int = 0
    _left_out: list[str] = field(default_factory=list)
    _left_out_count: int = 0
    _entries: int = 0

    def look(self) -> None:
        """Counts one name that is looked at. Raises StepError."""
        self._entries += 1
        if self._entries > self.limits.entries_count_max:
            most = f"{self.limits.entries_count_max:,}"
            raise refused(f"more than {most} files were looked at; name the folder in which they are")

    def add(self, file: FoundFile) -> None:
        """Adds a file. Raises StepError where a limit is passed."""
        if len(self.files) >= self.limits.files_max:
            raise refused(f"they are more than {self.limits.files_max:,} files; {self.remedy.format('FILES')}")
        self.size_bytes += file.size_bytes
        if self.size_bytes > self.limits.bytes_max:
            raise refused(f"they have more than {self.limits.bytes_max:,} bytes; {self.remedy.format('BYTES')}")
        self.files.append(file)

    def leave_out(self, path: str, why: str) -> None:
        """Notes a file that cannot be kept."""
        self._left_out_count += 1
        if len(self._left_out) < SENTENCES_COUNT_MAX:
            self._left_out.append(f"not kept: {shown(path)}: {why}")

    @property
    def left_out(self) -> list[str]:
        """A sentence for each file that cannot be kept; of many, for the first."""
        more = self._left_out_count - len(self._left_out)
        return [*self._left_out, *([f"not kept: {more:,} more for such reasons"] if more else [])]


class FilesRefusedError(StepError):
    """The files of a step are not taken. ``why`` is the end of a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(Reason.ARTIFACTS_REFUSED, f"its artifacts are not kept: {why}")
        self.why = why


def refused(why: str) -> FilesRefusedError:
    """The error for artifacts that are not kept."""
    return FilesRefusedError(why)


def shown(path: str) -> str:
    """A file's name for a sentence, whatever is in it."""
    return repr(path[:200])


def why_no_name(path: str) -> str:
    """Why a file of this name cannot be kept; empty if it can. A step may choose any name."""
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if size_bytes > PATH_BYTES_MAX:
        return f"its path has more than {PATH_BYTES_MAX} bytes"
    if not path.isprintable():
        return "its name has a character that cannot be shown"
    parts = path.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        return "its name leaves the folder"
    return "git's own files are not kept" if parts[0] == GIT_FOLDER else ""
