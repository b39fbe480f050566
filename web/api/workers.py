"""The workers that are there, as JSON."""

from fastapi import APIRouter, Depends

from web.api.runs import REFUSALS
from web.api.schemas import WorkerShape
from web.security.auth import visitor
from web.services import Wired
from workers import store
from workers.db.session import reading

router = APIRouter(dependencies=[Depends(visitor)])


@router.get("/api/workers", responses=REFUSALS)
def list_workers(services: Wired) -> list[WorkerShape]:
    """The workers that are there, by name. One that says nothing for as long as a lease is not listed any more."""
    with reading(services.engine) as session:
        return [WorkerShape.model_validate(worker) for worker in store.workers(session)]
