"""What is kept for all repositories of an owner (``team/*``), or for all (``*``)."""

import re

from sqlalchemy.orm import Session

from web.operations.errors import InvalidInputError
from web.operations.lookup import check_administrator, repo_named
from web.security.access import Actor
from workers.db.roles import Role

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def owner_in(name: str) -> str | None:
    """The owner that ``team/*`` names, empty for ``*``; None where the name is that of a repository."""
    if name == "*":
        return ""
    owner = name.removesuffix("/*")
    return None if owner == name else owner


def place_of(session: Session, actor: Actor, name: str) -> tuple[int | None, str]:
    """The repository's id, or None and the owner: what many repositories use is for administrators of the server.

    Raises NotFoundError, ForbiddenError, and InvalidInputError for what can be no owner.
    """
    owner = owner_in(name)
    if owner is None:
        return repo_named(session, actor, name, Role.ADMIN).id, ""
    check_administrator(actor)
    if name != "*" and not _OWNER.fullmatch(owner):
        raise InvalidInputError(f"{name!r} names no owner: write team/* for the repositories of team, * for all.")
    return None, owner
