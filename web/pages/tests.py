"""The pages of tests: all tests of a run, and what a test did in earlier runs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from runner.report_results import CaseName
from web.operations.lookup import repo_named, run_numbered
from web.operations.reports.test_history import history_of
from web.operations.reports.test_lists import POSITION_CHARACTERS_MAX, TestSearch, list_tests
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading

TESTS_ON_A_PAGE = 200
HISTORY_ON_A_PAGE = 50
TEXT_CHARACTERS_MAX = 1000

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])
Part = Annotated[str, Query(max_length=TEXT_CHARACTERS_MAX)]


@router.get("/repos/{name:path}/runs/{number}/tests")
def page_of_tests(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: Annotated[int, Path(ge=1, le=2**53)],
    state: Literal["", "passed", "failed", "error", "skipped"] = "",
    q: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=POSITION_CHARACTERS_MAX)] = "",
) -> Response:
    """All tests of a run, or those that are searched for."""
    found = list_tests(services, user, name, number, TestSearch(state, q, after, TESTS_ON_A_PAGE))
    with reading(services.engine) as session:
        repo, run = run_numbered(session, user, name, number, Role.READ, services.settings.retention)
    return page(
        request,
        "tests.html",
        user=user,
        repo=repo,
        run=run,
        tests=found.tests,
        next_after=found.tests[-1].position if found.more else "",
        state=state,
        q=q,
        after=after,
    )


@router.get("/repos/{name:path}/tests/history")
def history_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    test: Part,
    suite: Part = "",
    class_name: Part = "",
    before: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """In which runs a test passed, failed or was skipped."""
    named = CaseName(suite, class_name, test)
    found = history_of(services, user, name, named, HISTORY_ON_A_PAGE, before)
    with reading(services.engine) as session:
        repo, now = repo_named(session, user, name, Role.READ), db_now_ms(session)
    return page(
        request,
        "test_history.html",
        user=user,
        repo=repo,
        test=named,
        history=found,
        before=before,
        now=now,
    )
