"""Artifacts of ``headway run``: files in the user's cache, kept until the next run starts."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB
from pathlib import Path
from threading import Lock
from typing import IO, Self
from uuid import uuid4

from pipelines.plan import Artifacts, JobPlan
from runner.artifacts.files import PIECE_BYTES, FoundFile, KeptFile
from runner.file_locks import locked_file

LISTED_COUNT_MAX = 20
_LOCK = "lock"
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass
class LocalArtifacts:
    """The artifacts of one run. Its folder is made when the first is kept, and locked as long as the run lasts."""

    base: Path
    folder: Path = field(init=False)
    _kept: dict[tuple[int, int], list[KeptFile]] = field(default_factory=dict)
    _lock: IO[str] | None = None
    _opening: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.folder = self.base / uuid4().hex[:12]
        self._remove_earlier()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """From now on another run may remove what this one kept."""
        if self._lock is not None:
            self._lock.close()

    def of(self, job: JobPlan) -> "JobArtifacts":
        """What keeps the artifacts of this job."""
        return JobArtifacts(self, job)

    def open_folder(self) -> None:
        """Makes the folder, closed to other users. Raises OSError."""
        with self._opening:
            if self._lock is None:
                self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.folder.mkdir(mode=0o700)
                self._lock = locked_file(self.folder / _LOCK, LOCK_EX)

    def add(self, job: int, step: int, files: list[KeptFile]) -> None:
        """Notes what a step keeps."""
        self._kept[job, step] = files

    def all(self) -> list[KeptFile]:
        """All files, in the order of their jobs and steps."""
        return [file for _, files in sorted(self._kept.items()) for file in files]

    def by_step(self) -> Mapping[tuple[int, int], Sequence[KeptFile]]:
        """The files by the numbers of their jobs and steps."""
        return self._kept

    def copy_of(self, job: JobPlan, step: int, files: Sequence[KeptFile]) -> bool:
        """Keeps copies of files as those of this step. False if one is gone, or has changed."""
        if not files:
            return True
        try:
            self.open_folder()
            JobArtifacts(self, job).copy(step, files)
        except OSError:
            return False
        return True

    def listed(self) -> list[str]:
        """Lines for the terminal: what was kept, and where it is."""
        files = self.all()
        if not files:
            return []
        total = sum(file.size_bytes for file in files)
        count = "1 file" if len(files) == 1 else f"{len(files):,} files"
        lines = [f"artifacts: {count}, {total:,} bytes, in {self.folder} until the next `headway run`"]
        lines += [f"  {file.source}: {file.path} ({file.size_bytes:,} bytes)" for file in files[:LISTED_COUNT_MAX]]
        more = len(files) - LISTED_COUNT_MAX
        return [*lines, *([f"  and {more:,} more"] if more > 0 else [])]

    def _remove_earlier(self) -> None:
        """Removes what earlier runs kept. One that still runs has its lock."""
        with suppress(OSError):
            for folder in self.base.iterdir():
                with suppress(OSError), locked_file(folder / _LOCK, LOCK_EX | LOCK_NB, make=False):
                    shutil.rmtree(folder)


@dataclass(frozen=True)
class JobArtifacts:
    """See ``ArtifactStorage``. The key of a kept file is its path on this machine."""

    run: LocalArtifacts
    job: JobPlan

    def keep(self, step: int, asked: Artifacts, files: Sequence[FoundFile]) -> None:  # noqa: ARG002 - how long is for servers
        """See ``ArtifactStorage``."""
        self.run.open_folder()
        self.run.add(self.job.number, step, [self._copy(file, step, file.pieces()) for file in files])

    def copy(self, step: int, files: Sequence[KeptFile]) -> None:
        """Keeps copies of these files. Raises OSError."""
        self.run.add(self.job.number, step, [self._copy(file, step, read_checked(file)) for file in files])

    def _copy(self, file: FoundFile | KeptFile, step: int, pieces: Iterator[bytes]) -> KeptFile:
        job = f"{self.job.number}-{_NO_NAME.sub('_', self.job.title).strip('. _')}"
        target = self.run.folder / job / str(step) / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size_bytes = hashlib.sha256(), 0
        with target.open("wb") as copy:
            os.fchmod(copy.fileno(), 0o755 if file.executable else 0o644)
            for piece in pieces:
                copy.write(piece)
                digest.update(piece)
                size_bytes += len(piece)
        return KeptFile(file.path, size_bytes, file.executable, digest.hexdigest(), str(target), self.job.name)

    def kept_by(self, workflows: Sequence[str]) -> Sequence[KeptFile]:
        """See ``ArtifactStorage``."""
        return [file for file in self.run.all() if file.source in workflows]

    def read(self, file: KeptFile) -> Iterator[bytes]:
        """See ``ArtifactStorage``."""
        with Path(file.key).open("rb") as opened:
            while piece := opened.read(PIECE_BYTES):
                yield piece


def read_checked(file: KeptFile) -> Iterator[bytes]:
    """The bytes of a file whose key is its path. Raises OSError in the end if they are not what was kept."""
    digest = hashlib.sha256()
    with Path(file.key).open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != file.sha256:
        raise OSError(f"{file.key} is not what was kept")
