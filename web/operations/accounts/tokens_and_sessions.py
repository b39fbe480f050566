"""API tokens and browser sessions: lists and ends the user's own and, for administrators, all."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from web.operations import audit
from web.operations.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from web.operations.lookup import check_administrator, user_named
from web.security import auth
from web.security.access import Actor, may_make_tokens
from web.services import OperationServices
from workers import store
from workers.db.models import ApiToken, LoginSession, User
from workers.db.roles import Scope
from workers.db.session import reading, transaction

TOKEN_NAME_CHARS_MAX = 100
TOKEN_DAYS_MAX = 3_650
TOKENS_MAX = 100
_DAY_S = 24 * 3600


def add_token(
    services: OperationServices, actor: Actor, user_name: str, token_name: str, scope: Scope, days: int | None
) -> str:
    """Makes an API token for the user of this name; returns it, and stores only its hash. ``days`` None: for ever.

    Raises NotFoundError, ForbiddenError, InvalidInputError, and ConflictError where there are too many.
    """
    if not may_make_tokens(actor):
        raise ForbiddenError("A token cannot make tokens. Log in with a browser, and make one on the page Account.")
    _check_token(token_name, days)
    token = auth.new_token()
    with transaction(services.engine) as session:
        user = _user(session, actor, user_name)
        if store.count_tokens(session, user.id) >= TOKENS_MAX:
            raise ConflictError(f"{user_name} has {TOKENS_MAX} tokens, which is the limit. Revoke one first.")
        lifetime_s = None if days is None else days * _DAY_S
        store.add_token(session, user.id, token_name, auth.hashed(token), lifetime_s, scope)
        words = f"scope {scope.value}, {'no expiry' if days is None else f'{days} days'}"
        audit.record(session, actor, "token.create", f"{user_name}: {token_name}", words)
    return token


def list_tokens(services: OperationServices, actor: Actor, user_name: str) -> Sequence[ApiToken]:
    """The user's tokens, oldest first. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        return store.tokens_of(session, _user(session, actor, user_name).id)


def list_all_tokens(services: OperationServices, actor: Actor) -> Sequence[tuple[str, ApiToken]]:
    """All API tokens with the names of their users. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        return [(user.name, token) for user in store.users(session) for token in store.tokens_of(session, user.id)]


def token_id(services: OperationServices, actor: Actor, user_name: str, token: str) -> int:
    """The id of the user's token that ``token`` names: by its id, or by its name where one alone has it.

    Raises NotFoundError, ForbiddenError and ConflictError.
    """
    tokens = list_tokens(services, actor, user_name)
    if by_id := [row.id for row in tokens if str(row.id) == token]:
        return by_id[0]
    named = [row.id for row in tokens if row.name == token]
    if len(named) > 1:
        ids = ", ".join(map(str, named))
        raise ConflictError(f"{user_name} has {len(named)} tokens named {token}: name one by its id ({ids}).")
    if not named:
        raise NotFoundError(f"{user_name} has no token {token}.")
    return named[0]


def remove_token(services: OperationServices, actor: Actor, user_name: str, token_id: int) -> None:
    """Revokes a token. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        user = _user(session, _full(actor), user_name)
        name = store.drop_token(session, user.id, token_id)
        if name is None:
            raise NotFoundError(f"{user_name} has no token {token_id}.")
        audit.record(session, actor, "token.revoke", f"{user_name}: {name}")


def list_sessions(services: OperationServices, actor: Actor, user_name: str) -> Sequence[LoginSession]:
    """The user's browser sessions, the last used first. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        return store.sessions_of(session, _user(session, actor, user_name).id)


def end_session(services: OperationServices, actor: Actor, user_name: str, session_id: int) -> None:
    """Ends a browser session. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        user = _user(session, _full(actor), user_name)
        if not store.drop_session_of(session, user.id, session_id):
            raise NotFoundError(f"{user_name} has no session {session_id}.")
        audit.record(session, actor, "session.end", user_name)


def end_sessions(services: OperationServices, actor: Actor, user_name: str) -> int:
    """Ends all the user's browser sessions but the actor's own; returns how many.

    Raises NotFoundError and ForbiddenError.
    """
    with transaction(services.engine) as session:
        user = _user(session, _full(actor), user_name)
        ended = store.drop_sessions(session, user.id, keep=actor.session_id)
        audit.record(session, actor, "session.end", user_name, f"{ended} sessions")
    return ended


def _user(session: Session, actor: Actor, name: str) -> User:
    """The user whose logins the actor asks for: the actor, or for an administrator any user."""
    if name != actor.name or actor.user_id is None:
        check_administrator(actor)
    return user_named(session, name)


def _full(actor: Actor) -> Actor:
    """The actor, who changes tokens or sessions. Raises ForbiddenError for a token that is for less."""
    if actor.scope is not Scope.ADMIN:
        raise ForbiddenError(f"This needs a token with the scope admin; this one has the scope {actor.scope.value}.")
    return actor


def _check_token(name: str, days: int | None) -> None:
    if not 1 <= len(name) <= TOKEN_NAME_CHARS_MAX or not name.isprintable():
        raise InvalidInputError(f"A token's name has 1 to {TOKEN_NAME_CHARS_MAX} characters: say what it is for.")
    if days is not None and not 1 <= days <= TOKEN_DAYS_MAX:
        raise InvalidInputError(f"A token is for 1 to {TOKEN_DAYS_MAX:,} days, or without an end.")
