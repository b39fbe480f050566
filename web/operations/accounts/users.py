"""Adds, disables and removes users, and sets what they are and how they log in: links and passwords."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from web.operations import audit
from web.operations.errors import ConflictError, ForbiddenError, InvalidInputError
from web.operations.lookup import check_administrator, user_named
from web.security import auth
from web.security.access import Actor, may_set_own_password
from web.services import OperationServices
from web.urls import login_url
from workers import store
from workers.db.models import User
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.store import AlreadyThereError
from workers.store.accounts import roles

FIRST_USER = "admin"
PASSWORD_CHARS_MIN = 10
PASSWORD_CHARS_MAX = 1_000
NAME_CHARS_MAX = 100
WRONG_OLD_PASSWORD = "The old password is wrong."  # noqa: S105 - a sentence
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class KnownUser:
    """A user, and the roles that the user was given: repository and role."""

    row: User
    roles: Sequence[tuple[str, Role]]


def list_users(services: OperationServices, actor: Actor) -> Sequence[KnownUser]:
    """All users by name. Raises ForbiddenError."""
    check_administrator(actor)
    with reading(services.engine) as session:
        given: Mapping[int, Sequence[tuple[str, Role]]] = roles.roles_by_user(session)
        return [KnownUser(user, given.get(user.id, ())) for user in store.users(session)]


def add(services: OperationServices, actor: Actor, name: str, *, is_admin: bool) -> str:
    """Adds a user, who sees no repository yet; returns the address of a link that logs them in once.

    Raises ForbiddenError, InvalidInputError, and ConflictError where the name is taken.
    """
    check_administrator(actor)
    if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
        raise InvalidInputError(f"A user's name consists of up to {NAME_CHARS_MAX} letters, digits and . _ -")
    try:
        with transaction(services.engine) as session:
            user = store.add_user(session, name, is_admin=is_admin)
            audit.record(session, actor, "user.add", name, "an administrator" if is_admin else "")
    except AlreadyThereError as error:
        raise ConflictError(f"{error} headway user link {name} makes a login link.") from None
    return _login_link(services, user)


def make_login_link(services: OperationServices, actor: Actor, name: str, *, forget_password: bool = False) -> str:
    """The address of a link that logs the user in once within a day.

    With ``forget_password`` the user's password is removed and all sessions end, so that the user can set another.
    Raises NotFoundError, ForbiddenError, and ConflictError for a disabled user.
    """
    check_administrator(actor)
    with transaction(services.engine) as session:
        user = user_named(session, name)
        if user.disabled_ms is not None:
            raise ConflictError(f"{name} is disabled. headway user enable {name} lets them log in again.")
        if forget_password:
            store.set_password(session, user.id, None)
            store.drop_sessions(session, user.id)
            store.drop_login_links(session, user.id)
        audit.record(session, actor, "user.link", name, "the password was removed" if forget_password else "")
    return _login_link(services, user)


def first_login(services: OperationServices) -> str | None:
    """At the very first start: adds the first user and returns the address of their login link. Later: None."""
    with reading(services.engine) as session:
        if store.users(session):
            return None
    try:
        return add(services, Actor(None, "headway", is_admin=True, source="first start"), FIRST_USER, is_admin=True)
    except ConflictError:
        return None  # another process was first, and prints its link


def disable(services: OperationServices, actor: Actor, name: str) -> None:
    """The user cannot log in any more; sessions and tokens stop at once. Tokens work again when the user is enabled.

    Raises NotFoundError, ForbiddenError, and ConflictError for the last administrator.
    """
    with transaction(services.engine) as session:
        user = _user_who_may_go(session, actor, name, "disabled")
        if user.disabled_ms is None:
            store.disable_user(session, user.id)
            audit.record(session, actor, "user.disable", name)


def enable(services: OperationServices, actor: Actor, name: str) -> None:
    """The user can log in again. Raises NotFoundError and ForbiddenError."""
    check_administrator(actor)
    with transaction(services.engine) as session:
        user = user_named(session, name)
        if user.disabled_ms is not None:
            store.enable_user(session, user.id)
            audit.record(session, actor, "user.enable", name)


def remove(services: OperationServices, actor: Actor, name: str) -> None:
    """Removes the user with sessions, tokens, links and roles. Runs and the audit log keep the name.

    Raises NotFoundError, ForbiddenError, and ConflictError for the last administrator.
    """
    with transaction(services.engine) as session:
        user = _user_who_may_go(session, actor, name, "removed")
        store.remove_user(session, user.id)
        audit.record(session, actor, "user.remove", name)


def set_administrator(services: OperationServices, actor: Actor, name: str, *, is_admin: bool) -> None:
    """Makes the user an administrator, or an ordinary user, who keeps the roles that were given on repositories.

    Raises NotFoundError, ForbiddenError, and ConflictError for the last administrator.
    """
    check_administrator(actor)
    with transaction(services.engine) as session:
        user = (
            user_named(session, name) if is_admin else _user_who_may_go(session, actor, name, "made an ordinary user")
        )
        if user.is_admin != is_admin:
            store.set_administrator(session, user.id, is_admin=is_admin)
            audit.record(session, actor, "user.admin", name, "an administrator" if is_admin else "an ordinary user")


def _user_who_may_go(session: Session, actor: Actor, name: str, what: str) -> User:
    """The user, unless no other administrator would be left."""
    check_administrator(actor)
    left = store.lock_enabled_administrators(session)
    user = user_named(session, name)
    if list(left) == [user.id]:
        hint = "Make another one first: headway user admin NAME"
        raise ConflictError(f"{name} is the last administrator who can log in, and cannot be {what}. {hint}")
    return user


def set_password(services: OperationServices, actor: Actor, old: str, new: str) -> int:
    """Sets the actor's own password and ends all their other sessions, and login links; returns how many sessions.

    ``old`` must be right if there is a password. Raises InvalidInputError, and ForbiddenError for a program.
    """
    if actor.user_id is None or not may_set_own_password(actor):
        raise ForbiddenError("A password is set in a browser, on the page Account.")
    if not PASSWORD_CHARS_MIN <= len(new) <= PASSWORD_CHARS_MAX:
        raise InvalidInputError(
            f"A password needs at least {PASSWORD_CHARS_MIN} characters, and at most {PASSWORD_CHARS_MAX:,}."
        )
    with reading(services.engine) as session:
        before = user_named(session, actor.name).password_hash
    if before is not None and not auth.password_fits(old[:PASSWORD_CHARS_MAX], before):
        raise InvalidInputError(WRONG_OLD_PASSWORD)
    password_hash = auth.hash_password(new)
    with transaction(services.engine) as session:
        store.set_password(session, actor.user_id, password_hash)
        store.drop_login_links(session, actor.user_id)
        ended = store.drop_sessions(session, actor.user_id, keep=actor.session_id)
        audit.record(session, actor, "user.password", actor.name, f"{ended} other sessions ended")
    return ended


def _login_link(services: OperationServices, user: User) -> str:
    return login_url(services.settings, auth.make_login_link(services.engine, user.id))
