"""The coverage of each file of a run."""

from typing import Annotated, Literal

from fastapi import Query

from runner.report_results import CoveredFile
from web.api.schemas import Schema
from web.json_api import RunNumber, make_router
from web.operations.reports.covered_files import FileOfRun, run_files
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()
FILES_LISTED_MAX = 1000


class FileLinesSchema(Schema):
    """How many lines of a file the tests have run."""

    covered_lines: int
    total_lines: int
    percent: float


class CoveredFileSchema(Schema):
    """The coverage of a file, and that ``before``, in the run that this one is compared with.

    ``state`` is ``changed``, ``new``, ``gone`` (its run has reported it, and this one has not), or empty. ``change`` is
    in percentage points.
    """

    path: str
    state: Literal["", "changed", "new", "gone"]
    now: FileLinesSchema | None
    before: FileLinesSchema | None
    change: float | None


class CoveredFilesSchema(Schema):
    """The coverage of files. ``count`` is how many there are in all; ``next_after`` is there if others follow."""

    files: list[CoveredFileSchema]
    count: int
    compared_with: int | None
    next_after: int | None


@router.get("/repos/{name:path}/runs/{number}/coverage")
def get_covered_files(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=FILES_LISTED_MAX)] = FILES_LISTED_MAX,
) -> CoveredFilesSchema:
    """The coverage of each file of a run: those that have lost most first, then new ones and other changes.

    After them come all others. Within new ones and the others, the least covered come first. ``after`` is
    ``next_after`` of the page before.
    """
    _, _, _, found = run_files(services, user, name, number)
    end = after + limit
    return CoveredFilesSchema(
        files=[_file(each) for each in found.files[after:end]],
        count=len(found.files),
        compared_with=found.compared.number if found.compared else None,
        next_after=end if end < len(found.files) else None,
    )


def _file(each: FileOfRun) -> CoveredFileSchema:
    return CoveredFileSchema(
        path=each.path,
        state=each.state,
        now=_lines(each.now),
        before=_lines(each.before),
        change=None if each.change is None else round(each.change, 2),
    )


def _lines(file: CoveredFile | None) -> FileLinesSchema | None:
    if file is None:
        return None
    return FileLinesSchema(
        covered_lines=file.covered_lines,
        total_lines=file.total_lines,
        percent=round(file.percent, 2),
    )
