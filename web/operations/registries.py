"""Sets and removes logins to image registries."""

from sqlalchemy.orm import Session

from web.operations import audit
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import check_administrator, repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.secrets.vault import registry_place


def list_registries(services: OperationServices, actor: Actor) -> list[tuple[str, str, str]]:
    """Host, account and repository (empty: all repositories) of every login. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        names: dict[int | None, str] = {repo.id: repo.name for repo in store.repos(session)}
        return [(row.host, row.username, names.get(row.repo_id, "")) for row in store.registries(session)]


def put(services: OperationServices, actor: Actor, repo_name: str, host: str, username: str, password: str) -> None:
    """Sets the login to a registry, for one repository or (empty) for all.

    Raises NotFoundError, ForbiddenError and InvalidInputError.
    """
    if not password:
        raise InvalidInputError("The password is empty. Give it on standard input.")
    with transaction(services.engine) as session:
        repo_id = _repo_id(session, actor, repo_name)
        sealed = services.vault.seal(registry_place(repo_id, host), password)
        store.put_registry(session, repo_id, host, username, sealed)
        audit.record(session, actor, "registry.login", _place(repo_name, host), f"as {username}")


def remove(services: OperationServices, actor: Actor, repo_name: str, host: str) -> None:
    """Removes the login to a registry. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo_id = _repo_id(session, actor, repo_name)
        if not store.drop_registry(session, repo_id, host):
            raise NotFoundError(f"There is no login to {host}{f' for {repo_name}' if repo_name else ''}.")
        audit.record(session, actor, "registry.logout", _place(repo_name, host))


def _repo_id(session: Session, actor: Actor, repo_name: str) -> int | None:
    """The repository's id. A login for all repositories (None) is for administrators alone to change."""
    if repo_name:
        return repo_named(session, actor, repo_name, Role.ADMIN).id
    check_administrator(actor)
    return None


def _place(repo_name: str, host: str) -> str:
    return f"{repo_name or 'all repositories'} {host}"
