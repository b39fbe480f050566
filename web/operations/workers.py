"""The running workers, as a user may see them."""

from dataclasses import replace

from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.session import reading
from workers.store import KnownWorker

_REPO_LABEL = "repo"


def list_workers(services: OperationServices, actor: Actor) -> list[KnownWorker]:
    """The running workers by name. The label ``repo`` names repositories: it is shown to administrators alone."""
    with reading(services.engine) as session:
        found = store.workers(session)
    return found if actor.is_admin else [_without_repo(worker) for worker in found]


def _without_repo(worker: KnownWorker) -> KnownWorker:
    return replace(worker, labels={name: value for name, value in worker.labels.items() if name != _REPO_LABEL})
