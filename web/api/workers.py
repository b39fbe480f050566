"""The running workers, as JSON."""

from web.api.router import make_router
from web.api.schemas import WorkerSchema
from web.services import ServicesDep
from workers import store
from workers.db.session import reading

router = make_router()


@router.get("/workers")
def list_workers(services: ServicesDep) -> list[WorkerSchema]:
    """The running workers by name. A worker without a heartbeat for the length of a lease is left out."""
    with reading(services.engine) as session:
        return [WorkerSchema.model_validate(worker) for worker in store.workers(session)]
