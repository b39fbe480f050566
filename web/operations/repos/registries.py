"""Sets and removes logins to image registries."""

from web.operations import audit
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import check_administrator
from web.operations.repos.owners import place_of
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.session import reading, transaction
from workers.secrets.vault import registry_place


def list_registries(services: OperationServices, actor: Actor) -> list[tuple[str, str, str]]:
    """Host, account and repository (empty: all repositories) of every login. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        names: dict[int | None, str] = {repo.id: repo.name for repo in store.repos(session)}
        rows = store.registries(session)
        return [(row.host, row.username, names.get(row.repo_id, row.owner and f"{row.owner}/*")) for row in rows]


def put(services: OperationServices, actor: Actor, repo_name: str, host: str, username: str, password: str) -> None:
    """Sets the login to a registry, for one repository, an owner (``team/*``) or (empty) for all.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    if not password:
        raise InvalidInputError("The password is empty. Give it on standard input.")
    with transaction(services.engine) as session:
        repo_id, owner = place_of(session, actor, repo_name or "*")
        sealed = services.vault.seal(registry_place(repo_id, host, owner), password)
        store.put_registry(session, repo_id, host, username, sealed, owner)
        audit.record(session, actor, "registry.login", _place(repo_name, host), f"as {username}")


def remove(services: OperationServices, actor: Actor, repo_name: str, host: str) -> None:
    """Removes the login to a registry. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo_id, owner = place_of(session, actor, repo_name or "*")
        if not store.drop_registry(session, repo_id, host, owner):
            raise NotFoundError(f"There is no login to {host}{f' for {repo_name}' if repo_name else ''}.")
        audit.record(session, actor, "registry.logout", _place(repo_name, host))


def _place(repo_name: str, host: str) -> str:
    return f"{repo_name or 'all repositories'} {host}"
