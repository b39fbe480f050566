"""The page that lists the running workers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from web.operations import workers
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers import store
from workers.db.session import db_now_ms, reading

WorkerName = Annotated[str, Form(max_length=300)]

router = APIRouter(dependencies=[Depends(current_user)], include_in_schema=False)


@router.get("/workers")
def workers_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """The running workers with their slots and labels, and what fails of the scheduler's work."""
    found = workers.list_workers(services, user)
    with reading(services.engine) as session:
        now = db_now_ms(session)
        # Their sentences may name repositories.
        failing = store.failed_duties(session) if user.administers else []
    trouble = workers.trouble(services)
    return page(request, "workers.html", user=user, workers=found, failing=failing, trouble=trouble, now=now)


@router.post("/workers/drain")
def drain_worker(services: ServicesDep, user: CurrentUser, name: WorkerName) -> Response:
    """Lets a worker take no new job."""
    workers.set_drained(services, user, name, drained=True)
    return RedirectResponse("/workers", 303)


@router.post("/workers/undrain")
def undrain_worker(services: ServicesDep, user: CurrentUser, name: WorkerName) -> Response:
    """Lets a drained worker take jobs again."""
    workers.set_drained(services, user, name, drained=False)
    return RedirectResponse("/workers", 303)
