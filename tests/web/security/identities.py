"""Everybody who could call a route, and what each may do on the repository ``REPO``."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.people import OPERATOR
from tests.web.conftest import REPO, Site
from web.operations.accounts import roles
from web.security.auth import hashed, new_secret, new_token
from workers import store
from workers.db.roles import Role, Scope
from workers.db.session import transaction

OTHER_REPO = "acme/elsewhere"


@dataclass(frozen=True)
class Identity:
    """``role`` is what the identity may do on ``REPO``, with its token's scope. Nobody and the dead are not ``alive``.

    ``given`` is the role that the user has there, ``scope`` that of the token; None is a browser session.
    """

    name: str
    role: Role | None = None
    given: Role | None = None
    scope: Scope | None = None
    alive: bool = True
    is_admin: bool = False
    disabled: bool = False
    lifetime_s: int = 3600
    elsewhere: bool = False

    @property
    def full(self) -> bool:
        """May change what lets its user in."""
        return self.alive and self.scope in {None, Scope.ADMIN}

    @property
    def browser(self) -> bool:
        return self.alive and self.scope is None

    @property
    def server(self) -> bool:
        return self.full and self.is_admin


R, W, A = Role.READ, Role.WRITE, Role.ADMIN
NOBODY = Identity("nobody", alive=False)
IDENTITIES = (
    NOBODY,
    Identity("disabled session", given=A, alive=False, disabled=True),
    Identity("disabled administrator's token", alive=False, disabled=True, is_admin=True, scope=Scope.ADMIN),
    Identity("expired session", given=A, alive=False, lifetime_s=-1),
    Identity("expired token", given=A, alive=False, lifetime_s=-1, scope=Scope.ADMIN),
    Identity("user without a role"),
    Identity("administrator of another repository", elsewhere=True),
    Identity("reader", role=R, given=R),
    Identity("writer", role=W, given=W),
    Identity("repository administrator", role=A, given=A),
    Identity("administrator", role=A, is_admin=True),
    Identity("token of a user without a role", scope=Scope.ADMIN),
    Identity("reader's token of the scope admin", role=R, given=R, scope=Scope.ADMIN),
    Identity("writer's token of the scope read", role=R, given=W, scope=Scope.READ),
    Identity("writer's token of the scope run", role=W, given=W, scope=Scope.RUN),
    Identity("repository administrator's token of the scope read", role=R, given=A, scope=Scope.READ),
    Identity("repository administrator's token of the scope run", role=W, given=A, scope=Scope.RUN),
    Identity("repository administrator's token of the scope admin", role=A, given=A, scope=Scope.ADMIN),
    Identity("administrator's token of the scope read", role=R, is_admin=True, scope=Scope.READ),
    Identity("administrator's token of the scope run", role=W, is_admin=True, scope=Scope.RUN),
    Identity("administrator's token of the scope admin", role=A, is_admin=True, scope=Scope.ADMIN),
)


def credentials(site: Site, who: Identity) -> tuple[Mapping[str, str], str]:
    """Adds a user for the identity, and what lets it in: headers of a request, and the user's name."""
    if who is NOBODY:
        return {}, ""
    name = f"user-{new_secret()}"
    user_id = site.add_user(name, is_admin=who.is_admin)
    if who.given:
        roles.put(site.services, OPERATOR, REPO, name, who.given)
    if who.elsewhere:
        roles.put(site.services, OPERATOR, OTHER_REPO, name, Role.ADMIN)
    secret = new_token() if who.scope else new_secret()
    with transaction(site.engine) as session:
        if who.disabled:
            store.disable_user(session, user_id)
        if who.scope:
            store.add_token(session, user_id, "matrix", hashed(secret), who.lifetime_s, who.scope)
        else:
            store.add_session(session, user_id, hashed(secret), who.lifetime_s)
    return ({"authorization": f"Bearer {secret}"} if who.scope else {"cookie": f"headway={secret}"}), name
