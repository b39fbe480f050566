"""The running workers, as a user may see them."""

from dataclasses import replace

from redis import RedisError

from web.operations import audit
from web.operations.errors import NotFoundError
from web.operations.lookup import check_administrator
from web.security.access import Actor
from web.services import OperationServices, Services
from workers import store
from workers.db.session import reading, transaction
from workers.store import KnownWorker
from workers.store.processes.leaders import SCHEDULER, has_leader
from workers.store.runs.demand import Demand, demand

_REPO_LABEL = "repo"


def list_workers(services: OperationServices, actor: Actor) -> list[KnownWorker]:
    """The running workers by name. The label ``repo`` names repositories: it is shown to administrators alone."""
    with reading(services.engine) as session:
        found = store.workers(session)
    return found if actor.is_admin else [_without_repo(worker) for worker in found]


def workers_wanted(services: OperationServices, actor: Actor) -> list[Demand]:
    """How many slots of workers would be busy now, by labels. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        return demand(session)


def trouble(services: Services) -> list[str]:
    """What keeps jobs from workers although there are some, or hides what they do, in sentences."""
    found = []
    try:
        services.redis.ping()
    except RedisError:
        found.append("Redis does not answer: jobs start some seconds late, and pages show the output of steps late.")
    with reading(services.engine) as session:
        if not has_leader(session, SCHEDULER):
            found.append("No scheduler is running: crons do not start, and jobs of dead workers wait for ever.")
    return found


def set_drained(services: OperationServices, actor: Actor, name: str, *, drained: bool) -> None:
    """Lets the worker take no new job, so that it ends with its last one, or take jobs again.

    Raises NotFoundError and ForbiddenError.
    """
    check_administrator(actor)
    with transaction(services.engine) as session:
        changed = store.set_drained(session, name, drained=drained)
        if changed is None:
            raise NotFoundError(f"No worker named {name} is running. The page Workers has their names.")
        if changed:
            audit.record(session, actor, "worker.drain" if drained else "worker.undrain", name)


def _without_repo(worker: KnownWorker) -> KnownWorker:
    return replace(worker, labels={name: value for name, value in worker.labels.items() if name != _REPO_LABEL})
