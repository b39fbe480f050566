"""Who may do what: the one place that decides it, for API, pages, streams and commands alike."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from workers.db.models import Repo
from workers.db.roles import Role, Scope, lower
from workers.store.accounts import roles

COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Actor:
    """Who asks for something, from where, and with what.

    ``user_id`` None is Headway itself or its command line: who has a shell as Headway's user may do everything.
    ``session_id`` is the browser session, ``token_id`` the API token of the request. ``scope`` is the token's.
    """

    user_id: int | None
    name: str
    is_admin: bool
    source: str
    scope: Scope = Scope.ADMIN
    session_id: int | None = None
    token_id: int | None = None

    @property
    def administers(self) -> bool:
        """True for who may administrate the server: users, and the audit log."""
        return self.is_admin and self.scope is Scope.ADMIN

    @property
    def viewer(self) -> int | None:
        """Whose view ``workers.store.accounts.roles`` selects: None where everything is seen."""
        return None if self.is_admin else self.user_id


def may_make_tokens(actor: Actor) -> bool:
    """Whether the actor may make API tokens: not with a token, which could live longer than it by that."""
    return actor.token_id is None


def may_set_own_password(actor: Actor) -> bool:
    """Whether the actor may set the own password: in a browser alone, where the old one is asked for."""
    return actor.session_id is not None


def command_line(name: str) -> Actor:
    """The actor of a command; ``name`` is the operating system's user."""
    return Actor(None, name, is_admin=True, source=COMMAND_LINE)


def role_on(session: Session, actor: Actor, repo: Repo) -> Role | None:
    """What the actor may do on the repository; None: it must look as if it did not exist."""
    role = _own_role(session, actor, repo)
    return None if role is None else lower(role, actor.scope.role_max)


def may(session: Session, actor: Actor, repo: Repo, needed: Role) -> bool:
    """Whether the actor may do on the repository what the role ``needed`` is for."""
    role = role_on(session, actor, repo)
    return role is not None and role.includes(needed)


def _own_role(session: Session, actor: Actor, repo: Repo) -> Role | None:
    if actor.is_admin:
        return Role.ADMIN
    given = None if actor.user_id is None else roles.role_on(session, actor.user_id, repo.id)
    return given or (Role.READ if repo.visible_to_all else None)
