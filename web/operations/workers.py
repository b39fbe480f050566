"""The running workers, as a user may see them."""

from dataclasses import replace

from web.operations import audit
from web.operations.errors import NotFoundError
from web.operations.lookup import check_administrator
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.session import reading, transaction
from workers.store import KnownWorker

_REPO_LABEL = "repo"


def list_workers(services: OperationServices, actor: Actor) -> list[KnownWorker]:
    """The running workers by name. The label ``repo`` names repositories: it is shown to administrators alone."""
    with reading(services.engine) as session:
        found = store.workers(session)
    return found if actor.is_admin else [_without_repo(worker) for worker in found]


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
