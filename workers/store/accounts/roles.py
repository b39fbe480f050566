"""Roles of users on repositories, and which repositories a user sees accordingly.

A ``viewer`` is the id of the user whose view it is; None sees everything. Who sees everything is decided in
``web.security.access``.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, or_, select, true
from sqlalchemy.orm import Session

from workers.db.models import Repo, RepoRole, User
from workers.db.roles import Role
from workers.db.session import now_ms
from workers.store.common import insert_or


def role_on(session: Session, user_id: int, repo_id: int) -> Role | None:
    """The role that the user was given on the repository."""
    query = select(RepoRole.role).where(RepoRole.user_id == user_id, RepoRole.repo_id == repo_id)
    return session.scalars(query).one_or_none()


def set_role(session: Session, user_id: int, repo_id: int, role: Role) -> None:
    """Gives the user the role on the repository, instead of the one that the user has."""
    insert = insert_or(session, RepoRole).values(user_id=user_id, repo_id=repo_id, role=role, created_ms=now_ms())
    session.execute(insert.on_conflict_do_update(index_elements=["user_id", "repo_id"], set_={"role": role}))


def drop_role(session: Session, user_id: int, repo_id: int) -> bool:
    """Takes the user's role on the repository away; False if there was none."""
    gone = delete(RepoRole).where(RepoRole.user_id == user_id, RepoRole.repo_id == repo_id)
    return session.execute(gone.returning(RepoRole.user_id)).first() is not None


def roles_on_repo(session: Session, repo_id: int) -> Sequence[tuple[str, Role]]:
    """The users with a role on the repository, by name."""
    query = select(User.name, RepoRole.role).join(RepoRole, RepoRole.user_id == User.id)
    rows = session.execute(query.where(RepoRole.repo_id == repo_id).order_by(User.name))
    return [(row.name, row.role) for row in rows]


def roles_by_user(session: Session) -> dict[int, list[tuple[str, Role]]]:
    """The roles of each user, as repository and role, by the user's id."""
    query = select(RepoRole.user_id, Repo.name, RepoRole.role).join(Repo, Repo.id == RepoRole.repo_id)
    found: dict[int, list[tuple[str, Role]]] = {}
    for user_id, name, role in session.execute(query.order_by(Repo.name)):
        found.setdefault(user_id, []).append((name, role))
    return found


def seen_by(viewer: int | None) -> ColumnElement[bool]:
    """The condition on ``Repo`` for the repositories that the viewer sees."""
    if viewer is None:
        return true()
    own = select(RepoRole.repo_id).where(RepoRole.user_id == viewer)
    return or_(Repo.visible_to_all, Repo.id.in_(own))
