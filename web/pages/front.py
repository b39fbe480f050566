"""The front page: all repositories, and the newest runs."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from web.pages.refresh import front_page_version
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers import store
from workers.db.session import db_now_ms, reading

RECENT_RUNS = 30

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/")
def front_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """All repositories, and the newest runs."""
    with reading(services.engine) as session:
        repos = store.repos(session, user.viewer)
        last = store.last_runs(session, user.viewer)
        recent = store.recent_runs(session, RECENT_RUNS, user.viewer)
        idle = store.idle_runs(session)
        now = db_now_ms(session)
    version = front_page_version(recent, len(repos), idle)
    return page(
        request, "front.html", user=user, repos=repos, last=last, recent=recent, idle=idle, now=now, version=version
    )
