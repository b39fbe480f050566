"""The page of the workers."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from web.pages.templates import page
from web.security.auth import Me, visitor
from web.services import Wired
from workers import store
from workers.db.session import db_now_ms, reading

router = APIRouter(dependencies=[Depends(visitor)], include_in_schema=False)


@router.get("/workers")
def workers_page(request: Request, services: Wired, me: Me) -> Response:
    """The workers with what they offer."""
    with reading(services.engine) as session:
        workers, now = store.workers(session), db_now_ms(session)
    return page(request, "workers.html", me=me, workers=workers, now=now)
