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
    drained: bool = Field(description="It takes no new job, and ends when its jobs have ended.")


class DemandSchema(Schema):
    """Jobs that ask for these labels."""

    labels: dict[str, str]
    queued: int = Field(description="Jobs that wait for nothing but a worker.")
    running: int
    slots: int = Field(description="How many slots of workers would be busy now: both together.")
    oldest_s: float = Field(description="For how many seconds the oldest of those that wait has waited.")


@router.get("/queue")
def list_demand(services: ServicesDep, user: CurrentUser) -> list[DemandSchema]:
    """How many slots of workers would be busy now, by the labels that jobs ask for: for what starts workers."""
    return [DemandSchema.model_validate(each) for each in workers.workers_wanted(services, user)]


@router.get("/workers")
def list_workers(services: ServicesDep, user: CurrentUser) -> list[WorkerSchema]:
    """The running workers by name. A worker without a heartbeat for the length of a lease is left out."""
    return [WorkerSchema.model_validate(worker) for worker in workers.list_workers(services, user)]


@router.post("/workers/{worker_name}/drain", status_code=204)
def drain_worker(services: ServicesDep, user: CurrentUser, worker_name: str) -> None:
    """Lets a worker take no new job. It ends when its jobs have ended."""
    workers.set_drained(services, user, worker_name, drained=True)


@router.post("/workers/{worker_name}/undrain", status_code=204)
def undrain_worker(services: ServicesDep, user: CurrentUser, worker_name: str) -> None:
    """Lets a drained worker take jobs again, if it has not ended."""
    workers.set_drained(services, user, worker_name, drained=False)
