"""The page with the coverage of each file of a run."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from web.operations.reports.covered_files import run_files
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep

FILES_ON_A_PAGE = 200

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/repos/{name:path}/runs/{number}/coverage")
def page_of_coverage(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: Annotated[int, Path(ge=1, le=2**53)],
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """The coverage of each file, from that position on in the order in which they are shown."""
    repo, run, reports, found = run_files(services, user, name, number)
    end = after + FILES_ON_A_PAGE
    return page(
        request,
        "covered_files.html",
        user=user,
        repo=repo,
        run=run,
        reports=reports,
        covered=found,
        shown=found.files[after:end],
        after=after,
        next_after=end if end < len(found.files) else 0,
    )
