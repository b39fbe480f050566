"""The front page: the repositories, and the newest runs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from web.pages.refresh import front_page_version
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers import store
from workers.db.session import db_now_ms, reading

RECENT_RUNS = 30
REPOS_ON_A_PAGE = 100

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/")
def front_page(
    request: Request, services: ServicesDep, user: CurrentUser, after: Annotated[str, Query(max_length=1000)] = ""
) -> Response:
    """The repositories by name, those behind ``after``, and the newest runs of all."""
    with reading(services.engine) as session:
        found = store.repos(session, user.viewer, after, REPOS_ON_A_PAGE + 1)
        repos = found[:REPOS_ON_A_PAGE]
        last = store.last_runs(session, repos)
        recent = store.recent_runs(session, RECENT_RUNS, user.viewer)
        recent_idle = store.idle_runs(session, [run for run, _ in recent])
        idle = recent_idle | store.idle_runs(session, last.values())
        version, now = store.repos_version(session, user.viewer), db_now_ms(session)
    return page(
        request,
        "front.html",
        user=user,
        repos=repos,
        last=last,
        recent=recent,
        idle=idle,
        after=after,
        next_after=repos[-1].name if len(found) > len(repos) else "",
        now=now,
        version=front_page_version(recent, version, recent_idle),
    )
