"""Adds users, and sets how they log in: links, passwords and API tokens."""

import re
from collections.abc import Sequence

from web.operations.errors import ConflictError, InvalidInputError, NotFoundError
from web.operations.lookup import user_named
from web.security import auth
from web.services import OperationServices
from web.urls import login_url
from workers import store
from workers.db.models import User
from workers.db.session import reading, transaction
from workers.store import AlreadyThereError

FIRST_USER = "admin"
PASSWORD_CHARS_MIN = 10
PASSWORD_CHARS_MAX = 1_000
TOKEN_NAME_CHARS_MAX = 100
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def list_users(services: OperationServices) -> Sequence[User]:
    """All users."""
    with reading(services.engine) as session:
        return store.users(session)


def add(services: OperationServices, name: str, *, is_admin: bool) -> str:
    """Adds a user; returns the address of a link that logs them in once.

    Raises InvalidInputError, and ConflictError where the name is taken.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError("A user's name consists of letters, digits and . _ -")
    try:
        with transaction(services.engine) as session:
            user = store.add_user(session, name, is_admin=is_admin)
    except AlreadyThereError as error:
        raise ConflictError(f"{error} headway user link {name} makes a login link.") from None
    return _login_link(services, user)


def make_login_link(services: OperationServices, name: str) -> str:
    """The address of a link that logs the user in once within a day. Raises NotFoundError."""
    with reading(services.engine) as session:
        user = user_named(session, name)
    return _login_link(services, user)


def first_login(services: OperationServices) -> str | None:
    """At the very first start: adds the first user and returns the address of their login link. Later: None."""
    if list_users(services):
        return None
    try:
        return add(services, FIRST_USER, is_admin=True)
    except ConflictError:
        return None  # another process was first, and prints its link


def set_password(services: OperationServices, user_id: int, password: str) -> None:
    """Sets a user's password. Raises InvalidInputError."""
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise InvalidInputError(
            f"A password needs at least {PASSWORD_CHARS_MIN} characters, and at most {PASSWORD_CHARS_MAX:,}."
        )
    password_hash = auth.hash_password(password)
    with transaction(services.engine) as session:
        store.set_password(session, user_id, password_hash)


def add_token_for(services: OperationServices, user_name: str, token_name: str, lifetime_s: int | None) -> str:
    """Makes an API token for the user of this name; returns it. Raises NotFoundError and InvalidInputError."""
    with reading(services.engine) as session:
        user_id = user_named(session, user_name).id
    return add_token(services, user_id, token_name, lifetime_s)


def add_token(services: OperationServices, user_id: int, token_name: str, lifetime_s: int | None = None) -> str:
    """Makes an API token; returns it, and stores only its hash. Raises InvalidInputError."""
    if not 1 <= len(token_name) <= TOKEN_NAME_CHARS_MAX:
        raise InvalidInputError(f"A token's name has 1 to {TOKEN_NAME_CHARS_MAX} characters: say what it is for.")
    token = auth.new_token()
    with transaction(services.engine) as session:
        store.add_token(session, user_id, token_name, auth.hashed(token), lifetime_s)
    return token


def remove_token(services: OperationServices, user_id: int, token_id: int) -> None:
    """Removes one of a user's tokens. Raises NotFoundError."""
    with transaction(services.engine) as session:
        if not store.drop_token(session, user_id, token_id):
            raise NotFoundError("You have no such token.")


def _login_link(services: OperationServices, user: User) -> str:
    return login_url(services.settings, auth.make_login_link(services.engine, user.id))
