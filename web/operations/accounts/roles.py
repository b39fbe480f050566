"""Who has which role on a repository, and whether all users see it."""

from collections.abc import Sequence

from web.operations import audit
from web.operations.errors import NotFoundError
from web.operations.lookup import repo_named, user_named
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.store.accounts import roles


def list_roles(services: OperationServices, actor: Actor, repo_name: str) -> Sequence[tuple[str, Role]]:
    """The users with a role on the repository, by name. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        return roles.roles_on_repo(session, repo_named(session, actor, repo_name, Role.ADMIN).id)


def put(services: OperationServices, actor: Actor, repo_name: str, user_name: str, role: Role) -> None:
    """Gives a user a role on the repository. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.ADMIN)
        user = user_named(session, user_name)
        before = roles.role_on(session, user.id, repo.id)
        roles.set_role(session, user.id, repo.id, role)
        words = audit.change(before.value if before else "", role.value)
        audit.record(session, actor, "role.set", f"{repo_name} {user_name}", words)


def remove(services: OperationServices, actor: Actor, repo_name: str, user_name: str) -> None:
    """Takes a user's role on the repository away. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.ADMIN)
        user = user_named(session, user_name)
        before = roles.role_on(session, user.id, repo.id)
        if before is None:
            raise NotFoundError(f"{user_name} has no role on {repo_name}.")
        roles.drop_role(session, user.id, repo.id)
        audit.record(session, actor, "role.remove", f"{repo_name} {user_name}", audit.change(before.value, ""))


def set_visible_to_all(services: OperationServices, actor: Actor, repo_name: str, *, visible: bool) -> None:
    """Whether all users see the repository's runs and logs. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.ADMIN)
        words = audit.change(repo.visible_to_all, visible)
        store.set_visible_to_all(session, repo.id, visible=visible)
        audit.record(session, actor, "repo.visibility", repo_name, f"visible to all users: {words}")
