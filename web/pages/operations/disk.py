"""The page that says what uses how much of the database, the blob store and the machines' disks."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from web.operations import disk
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers.db.session import db_now_ms, reading

REPOS_SHOWN = 100

router = APIRouter(dependencies=[Depends(current_user)], include_in_schema=False)


@router.get("/disk")
def disk_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """What uses how much; of the repositories those that use most."""
    use = disk.disk_use(services, user)
    with reading(services.engine) as session:
        now = db_now_ms(session)
    more = max(0, len(use.repos) - REPOS_SHOWN)
    shown = use.repos[:REPOS_SHOWN]
    return page(request, "disk.html", user=user, use=use, repos=shown, more=more, words=disk.WORDS, now=now)
