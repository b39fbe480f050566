"""Sets and removes logins to image registries."""

from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import repo_named
from web.services import OperationServices
from workers import store
from workers.db.session import reading, transaction
from workers.secrets.vault import registry_place


def list_registries(services: OperationServices) -> list[tuple[str, str, str]]:
    """Host, account and repository (empty: all repositories) of every login."""
    with reading(services.engine) as session:
        names: dict[int | None, str] = {repo.id: repo.name for repo in store.repos(session)}
        return [(row.host, row.username, names.get(row.repo_id, "")) for row in store.registries(session)]


def put(services: OperationServices, repo_name: str, host: str, username: str, password: str) -> None:
    """Sets the login to a registry, for one repository or (empty) for all.

    Raises NotFoundError and InvalidInputError.
    """
    if not password:
        raise InvalidInputError("The password is empty. Give it on standard input.")
    with transaction(services.engine) as session:
        repo_id = repo_named(session, repo_name).id if repo_name else None
        sealed = services.vault.seal(registry_place(repo_id, host), password)
        store.put_registry(session, repo_id, host, username, sealed)


def remove(services: OperationServices, repo_name: str, host: str) -> None:
    """Removes the login to a registry. Raises NotFoundError."""
    with transaction(services.engine) as session:
        repo_id = repo_named(session, repo_name).id if repo_name else None
        if not store.drop_registry(session, repo_id, host):
            raise NotFoundError(f"There is no login to {host}{f' for {repo_name}' if repo_name else ''}.")
