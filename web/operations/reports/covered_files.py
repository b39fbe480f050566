"""The coverage of each file of a run, and how it differs from the run that it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sqlalchemy.orm import Session

from runner.report_results import CoveredFile
from web.operations.lookup import run_numbered
from web.operations.reports.run_reports import RunReports, reports_of
from web.security.access import Actor
from web.services import OperationServices
from workers.db.models import Repo, Run
from workers.db.roles import Role
from workers.db.session import reading
from workers.store.covered_files import covered_files

FileState = Literal["", "changed", "new", "gone"]


class FileOfRun(NamedTuple):
    """The coverage of a file: now, and in the run that this one is compared with; None where that did not report it."""

    path: str
    now: CoveredFile | None
    before: CoveredFile | None
    state: FileState

    @property
    def change(self) -> float | None:
        """By how many percentage points the coverage differs from that before."""
        if self.now is None or self.before is None:
            return None
        return self.now.percent - self.before.percent

    @property
    def order(self) -> tuple[int, float, str]:
        """Those that have lost come first, most first; then new ones, those that have gained, gone ones, and the rest.

        Within new ones and the rest, the least covered come first.
        """
        percent = self.now.percent if self.now else 0.0
        match self.state:
            case "changed":
                change = self.change or 0.0
                return (0, change, self.path) if change < 0 else (2, -change, self.path)
            case "new":
                return (1, percent, self.path)
            case "gone":
                return (3, 0, self.path)
            case "":
                return (4, percent, self.path)


@dataclass(frozen=True)
class FilesOfRun:
    """The coverage of all files of a run, in the order in which they are shown. ``compared`` has the earlier one."""

    files: Sequence[FileOfRun] = ()
    compared: Run | None = None

    def count(self, state: FileState) -> int:
        """How many files are in this state."""
        return sum(each.state == state for each in self.files)

    @property
    def lost(self) -> int:
        """How many files are less covered than before."""
        return sum(each.state == "changed" and (each.change or 0) < 0 for each in self.files)


def files_of(session: Session, run: Run, reports: RunReports) -> FilesOfRun:
    """The coverage of the files of a run whose reports these are.

    A file is new or gone only where both lists are whole, and gone only when the run has ended.
    """
    known = covered_files(session, reports.report_ids)
    if not known.files:
        return FilesOfRun()
    before = covered_files(session, reports.compared_ids)
    has_base = bool(before.files)
    found = []
    for path, file in known.files.items():
        earlier = before.files.get(path)
        state: FileState = "new" if earlier is None and has_base and before.complete else ""
        if earlier is not None and _differs(file, earlier):
            state = "changed"
        found.append(FileOfRun(path, file, earlier, state))
    if known.complete and run.finished_ms is not None:
        gone = before.files.keys() - known.files.keys()
        found += [FileOfRun(path, None, before.files[path], "gone") for path in gone]
    found.sort(key=lambda each: each.order)
    return FilesOfRun(found, reports.compared if has_base else None)


def _differs(now: CoveredFile, before: CoveredFile) -> bool:
    return now.covered_lines * before.total_lines != before.covered_lines * now.total_lines


def run_files(
    services: OperationServices, actor: Actor, name: str, number: int
) -> tuple[Repo, Run, RunReports, FilesOfRun]:
    """The coverage of the files of a run, with the run and its reports."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, actor, name, number, Role.READ, services.settings.retention)
        reports = reports_of(session, repo, run)
        return repo, run, reports, files_of(session, run, reports)
