"""Users: their names and passwords, and disabling and removing them."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from workers.db.models import User
from workers.db.session import now_ms
from workers.store.accounts.sessions import drop_login_links, drop_sessions
from workers.store.common import AlreadyThereError, insert_or


def add_user(session: Session, name: str, password_hash: str | None = None, *, is_admin: bool = False) -> User:
    """A new user. Raises AlreadyThereError for a name that is taken."""
    insert = insert_or(session, User).values(
        name=name, password_hash=password_hash, is_admin=is_admin, created_ms=now_ms()
    )
    user_id = session.execute(insert.on_conflict_do_nothing(index_elements=["name"]).returning(User.id)).scalar()
    if user_id is None:
        raise AlreadyThereError(f"There is already a user named {name}.")
    return session.get_one(User, user_id)


def user_by_name(session: Session, name: str) -> User | None:
    """The user with exactly this name."""
    return session.scalars(select(User).where(User.name == name)).one_or_none()


def users(session: Session) -> Sequence[User]:
    """All users by name."""
    return session.scalars(select(User).order_by(User.name)).all()


def set_password(session: Session, user_id: int, password_hash: str | None) -> None:
    """Sets the user's password hash, or removes it (None)."""
    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))


def set_administrator(session: Session, user_id: int, *, is_admin: bool) -> None:
    """Whether the user may do everything."""
    session.execute(update(User).where(User.id == user_id).values(is_admin=is_admin))


def lock_enabled_administrators(session: Session) -> Sequence[int]:
    """The ids of the administrators who may log in. They cannot change until the transaction ends.

    Without the lock, two administrators who disable each other at the same time would both find the other one left.
    """
    enabled = select(User.id).where(User.is_admin, User.disabled_ms.is_(None)).order_by(User.id)
    return session.scalars(enabled.with_for_update()).all()


def disable_user(session: Session, user_id: int) -> None:
    """The user cannot log in, and the user's tokens do not work. Sessions and login links are deleted."""
    session.execute(update(User).where(User.id == user_id).values(disabled_ms=now_ms()))
    drop_sessions(session, user_id)
    drop_login_links(session, user_id)


def enable_user(session: Session, user_id: int) -> None:
    """The user can log in again, and tokens that have not expired work again."""
    session.execute(update(User).where(User.id == user_id).values(disabled_ms=None))


def remove_user(session: Session, user_id: int) -> None:
    """Deletes the user with sessions, tokens, login links and roles. Runs keep the name."""
    session.execute(delete(User).where(User.id == user_id))
