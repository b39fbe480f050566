"""A folder of results on this machine: for each key the log, the artifacts and the reports of a step that passed."""

import hmac
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from pipelines.plan import CommandsStep, JobPlan
from runner.artifacts.files import PIECE_BYTES, KeptFile
from runner.report_results import StepReports
from runner.reuse.records import Record
from runner.source.working_tree import WorkingTree

BYTES_MAX = 1024**3
"""What the records of all repositories of a user may have together."""
AGE_DAYS_MAX = 30
_RECORD, _LOG, _FILES, _LATEST = "record.json", "log", "files", "latest"
_DAY_S = 86_400
_KEY, _KEY_BYTES = "key", 32


@cache
def _reports() -> TypeAdapter[StepReports | None]:
    """Made when it is needed: that takes long, and a run without `sources:` has no results to keep."""
    return TypeAdapter(StepReports | None)


@dataclass(frozen=True)
class Draft:
    """A result that is to be kept: its key, and the title of its step."""

    key: str
    title: str
    parts: Mapping[str, str]
    seconds: float
    at_s: float


@dataclass(frozen=True)
class RecordFolder:
    """The records of one repository, in ``base / scope``. A record is there as a whole, or not at all."""

    base: Path
    scope: str

    @property
    def _folder(self) -> Path:
        return self.base / self.scope

    def store(self, draft: Draft, log: bytes, files: Sequence[KeptFile], reports: StepReports | None) -> None:
        """Keeps a result, in place of an earlier one with its key. Raises OSError."""
        target, made = self._folder / draft.key, self._folder / f"new-{uuid4().hex}"
        (made / _FILES).mkdir(mode=0o700, parents=True)
        try:
            (made / _LOG).write_bytes(log)
            for number, file in enumerate(files):
                with Path(file.key).open("rb") as source, (made / _FILES / str(number)).open("xb") as copy:
                    shutil.copyfileobj(source, copy, PIECE_BYTES)
            said = {
                **asdict(draft), "parts": dict(draft.parts), "files": [asdict(file) for file in files],
                "reports": _reports().dump_python(reports, mode="json"),
            }  # fmt: skip
            (made / _RECORD).write_text(json.dumps(said))
            shutil.rmtree(target, ignore_errors=True)
            made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self._note_latest(draft)

    def _note_latest(self, draft: Draft) -> None:
        folder = self._folder / _LATEST
        folder.mkdir(mode=0o700, exist_ok=True)
        draft_file = folder / uuid4().hex
        draft_file.write_text(draft.key)
        draft_file.replace(folder / _name(draft.title))

    def read(self, key: str) -> Record | None:
        """The record with this key."""
        folder = self._folder / key
        try:
            said = json.loads((folder / _RECORD).read_text())
            reports = _reports().validate_python(said["reports"])
            files = tuple(
                replace(KeptFile(**file), key=str(folder / _FILES / str(number)))
                for number, file in enumerate(said["files"])
            )
            at_s, seconds = float(said["at_s"]), float(said["seconds"])
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            return None
        if time.time() - at_s > AGE_DAYS_MAX * _DAY_S:
            return None
        since = time.strftime("the run of %Y-%m-%d %H:%M", time.localtime(at_s))
        return Record(since, seconds, said["parts"], files, reports, key)

    def latest(self, title: str) -> Record | None:
        """The newest record of the step with this title."""
        try:
            key = (self._folder / _LATEST / _name(title)).read_text()
        except (OSError, ValueError):
            return None
        return self.read(key)

    def trim(self, now_s: float) -> None:
        """Removes records of all repositories that are too old, and the oldest while they have too many bytes."""
        left_bytes = BYTES_MAX
        for made_s, folder in sorted(self._all(), reverse=True):
            left_bytes -= _size_bytes(folder)
            if now_s - made_s > AGE_DAYS_MAX * _DAY_S or left_bytes < 0:
                shutil.rmtree(folder, ignore_errors=True)

    def _all(self) -> list[tuple[float, Path]]:
        found = []
        with suppress(OSError):
            for folder in self.base.glob("*/*"):
                with suppress(OSError):
                    if folder.name != _LATEST:
                        found.append((folder.stat().st_mtime, folder))
        return found


def _size_bytes(folder: Path) -> int:
    with suppress(OSError):
        return sum(file.stat().st_size for file in folder.rglob("*") if not file.is_symlink())
    return 0


def _name(title: str) -> str:
    return sha256(title.encode(errors="surrogatepass")).hexdigest()[:32]


def records_of(base: Path, tree: WorkingTree) -> RecordFolder:
    """The records of the repository in this folder. By the folder: one of a stranger could have any remote."""
    return RecordFolder(base, sha256(os.fsencode(tree.folder)).hexdigest()[:32])


def title_of(job: JobPlan, step: CommandsStep) -> str:
    """What stays the same of a step from run to run."""
    return json.dumps([job.name, job.cell, step.name], sort_keys=True)


def fingerprints(base: Path) -> Callable[[str], str]:
    """What makes digests, with a key of this user that is made when it is first needed. Raises OSError."""
    path = base / _KEY
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        made = base / f"{_KEY}-{uuid4().hex}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with suppress(FileExistsError):  # another process has just made it
            os.link(made, path)
        made.unlink()
    return partial(_keyed, path.read_bytes())


def _keyed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(errors="surrogatepass"), "sha256").hexdigest()
