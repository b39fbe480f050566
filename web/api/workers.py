"""The running workers, as JSON."""

from web.api.router import make_router
from web.api.schemas import WorkerSchema
from web.operations import workers
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


@router.get("/workers")
def list_workers(services: ServicesDep, user: CurrentUser) -> list[WorkerSchema]:
    """The running workers by name. A worker without a heartbeat for the length of a lease is left out."""
    return [WorkerSchema.model_validate(worker) for worker in workers.list_workers(services, user)]
