"""The running workers, as JSON."""

from pydantic import Field

from web.api.schemas import Schema
from web.json_api import make_router
from web.operations import workers
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class WorkerSchema(Schema):
    """A worker. ``busy`` of its ``slots`` run jobs now. It runs only jobs whose labels it has."""

    name: str
    labels: dict[str, str]
    slots: int
    busy: int
    started_ms: int
    seen_ms: int
    problem: str = Field(description="Why it takes no job now; empty where it does.")


@router.get("/workers")
def list_workers(services: ServicesDep, user: CurrentUser) -> list[WorkerSchema]:
    """The running workers by name. A worker without a heartbeat for the length of a lease is left out."""
    return [WorkerSchema.model_validate(worker) for worker in workers.list_workers(services, user)]
