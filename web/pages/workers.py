"""The page that lists the running workers."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers import store
from workers.db.session import db_now_ms, reading

router = APIRouter(dependencies=[Depends(current_user)], include_in_schema=False)


@router.get("/workers")
def workers_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """The running workers with their slots and labels, and what fails of the scheduler's work."""
    with reading(services.engine) as session:
        workers, now = store.workers(session), db_now_ms(session)
        failing = store.failed_duties(session)
    return page(request, "workers.html", user=user, workers=workers, failing=failing, now=now)
