"""The workers that are there, as a page and in the API."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from web.api import REFUSALS
from web.auth import Me, visitor
from web.render import page
from web.services import Wired
from web.shapes import WorkerShape
from workers import store
from workers.db import db_now_ms, reading

router = APIRouter(dependencies=[Depends(visitor)])


@router.get("/workers", include_in_schema=False)
def workers_page(request: Request, services: Wired, me: Me) -> Response:
    """The workers with what they offer."""
    with reading(services.engine) as session:
        workers, now = store.workers(session), db_now_ms(session)
    return page(request, "workers.html", me=me, workers=workers, now=now)


@router.get("/api/workers", responses=REFUSALS)
def list_workers(services: Wired) -> list[WorkerShape]:
    """The workers that are there, by name. One that says nothing for as long as a lease is not listed any more."""
    with reading(services.engine) as session:
        return [WorkerShape.model_validate(worker) for worker in store.workers(session)]
