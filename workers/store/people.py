"""Accounts that come and go: disabling and removing users, and the sessions and tokens that end with them."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from workers.db.models import ApiToken, LoginLink, LoginSession, User
from workers.db.session import now_ms


def lock_enabled_administrators(session: Session) -> Sequence[int]:
    """The ids of the administrators who may log in. They cannot change until the transaction ends.

    Without the lock, two administrators who disable each other at the same time would both find the other one left.
    """
    enabled = select(User.id).where(User.is_admin, User.disabled_ms.is_(None)).order_by(User.id)
    return session.scalars(enabled.with_for_update()).all()


def disable(session: Session, user_id: int) -> None:
    """The user cannot log in, and the user's tokens do not work. Sessions and login links are deleted."""
    session.execute(update(User).where(User.id == user_id).values(disabled_ms=now_ms()))
    drop_sessions(session, user_id)
    drop_login_links(session, user_id)


def enable(session: Session, user_id: int) -> None:
    """The user can log in again, and tokens that have not expired work again."""
    session.execute(update(User).where(User.id == user_id).values(disabled_ms=None))


def remove(session: Session, user_id: int) -> None:
    """Deletes the user with sessions, tokens, login links and roles. Runs keep the name."""
    session.execute(delete(User).where(User.id == user_id))


def sessions_of(session: Session, user_id: int) -> Sequence[LoginSession]:
    """The user's browser sessions that have not expired, the last used first."""
    query = select(LoginSession).where(LoginSession.user_id == user_id, LoginSession.expires_ms > now_ms())
    last_used = func.coalesce(LoginSession.last_used_ms, LoginSession.created_ms)
    return session.scalars(query.order_by(last_used.desc(), LoginSession.id.desc())).all()


def drop_session_of(session: Session, user_id: int, session_id: int) -> bool:
    """Ends a browser session of this user; False if the user has none with this id."""
    gone = delete(LoginSession).where(LoginSession.id == session_id, LoginSession.user_id == user_id)
    return session.execute(gone.returning(LoginSession.id)).first() is not None


def drop_sessions(session: Session, user_id: int, keep: int | None = None) -> int:
    """Ends the user's browser sessions but the one with the id ``keep``. Returns how many."""
    gone = delete(LoginSession).where(LoginSession.user_id == user_id)
    if keep is not None:
        gone = gone.where(LoginSession.id != keep)
    return len(session.execute(gone.returning(LoginSession.id)).all())


def drop_login_links(session: Session, user_id: int) -> None:
    """Deletes the user's login links, used or not."""
    session.execute(delete(LoginLink).where(LoginLink.user_id == user_id))


def count_tokens(session: Session, user_id: int) -> int:
    """How many API tokens the user has."""
    return session.scalars(select(func.count()).where(ApiToken.user_id == user_id)).one()
