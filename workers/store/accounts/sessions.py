"""Browser sessions, and the links that log a user in once. Only hashes of their tokens are stored."""

from collections.abc import Sequence

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from workers.db.models import ApiToken, LoginLink, LoginSession, User
from workers.db.session import db_now_ms, now_ms

SESSIONS_MAX = 50


def add_session(
    session: Session, user_id: int, token_hash: str, lifetime_s: int, *, address: str = "", browser: str = ""
) -> None:
    """Logs a browser in for ``lifetime_s`` seconds. The user's oldest sessions end beyond ``SESSIONS_MAX``."""
    now = db_now_ms(session)
    new = LoginSession(user_id=user_id, token_hash=token_hash, address=address, browser=browser, created_ms=now)
    new.last_used_ms, new.expires_ms = now, now + lifetime_s * 1000
    session.add(new)
    session.flush()
    newest = select(LoginSession.id).where(LoginSession.user_id == user_id).order_by(LoginSession.id.desc())
    if (surplus := session.scalars(newest.offset(SESSIONS_MAX).limit(1)).one_or_none()) is not None:
        session.execute(delete(LoginSession).where(LoginSession.user_id == user_id, LoginSession.id <= surplus))


def session_user(session: Session, token_hash: str) -> tuple[User, LoginSession] | None:
    """The user of this browser session, unless it has expired or the user is disabled."""
    row = session.execute(_logged_in().where(LoginSession.token_hash == token_hash)).one_or_none()
    return None if row is None else (row[0], row[1])


def user_of_session(session: Session, session_id: int) -> User | None:
    """The user of the browser session with this id, under the same conditions."""
    row = session.execute(_logged_in().where(LoginSession.id == session_id)).one_or_none()
    return None if row is None else row[0]


def _logged_in() -> Select[User, LoginSession]:
    query = select(User, LoginSession).join(LoginSession, LoginSession.user_id == User.id)
    return query.where(LoginSession.expires_ms > now_ms(), User.disabled_ms.is_(None))


def extend_session(session: Session, session_id: int, lifetime_s: int) -> None:
    """Extends a browser session to ``lifetime_s`` seconds from now."""
    expires = now_ms() + lifetime_s * 1000
    session.execute(update(LoginSession).where(LoginSession.id == session_id).values(expires_ms=expires))


def touch_session(session: Session, session_id: int, address: str) -> None:
    """Notes that the browser session was used just now, from ``address``."""
    used = {"last_used_ms": now_ms(), "address": address}
    session.execute(update(LoginSession).where(LoginSession.id == session_id).values(used))


def sessions_of(session: Session, user_id: int) -> Sequence[LoginSession]:
    """The user's browser sessions that have not expired, the last used first."""
    query = select(LoginSession).where(LoginSession.user_id == user_id, LoginSession.expires_ms > now_ms())
    last_used = func.coalesce(LoginSession.last_used_ms, LoginSession.created_ms)
    return session.scalars(query.order_by(last_used.desc(), LoginSession.id.desc())).all()


def drop_session(session: Session, token_hash: str) -> None:
    """Logs a browser out."""
    session.execute(delete(LoginSession).where(LoginSession.token_hash == token_hash))


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


def add_login_link(session: Session, user_id: int, token_hash: str, lifetime_s: int) -> None:
    """Adds a link that logs the user in once, within ``lifetime_s`` seconds."""
    session.add(LoginLink(user_id=user_id, token_hash=token_hash, expires_ms=db_now_ms(session) + lifetime_s * 1000))


def use_login_link(session: Session, token_hash: str) -> User | None:
    """The user of this link, which works once: if two requests use it at the same time, one gets None.

    The link of a disabled user is used up too, and gives None.
    """
    use = (
        update(LoginLink)
        .where(LoginLink.token_hash == token_hash, LoginLink.used_ms.is_(None), LoginLink.expires_ms > now_ms())
        .values(used_ms=now_ms())
        .returning(LoginLink.user_id)
    )
    user_id = session.execute(use).scalar()
    user = None if user_id is None else session.get_one(User, user_id)
    return None if user is None or user.disabled_ms is not None else user


def drop_login_links(session: Session, user_id: int) -> None:
    """Deletes the user's login links, used or not."""
    session.execute(delete(LoginLink).where(LoginLink.user_id == user_id))


def drop_expired(session: Session) -> int:
    """Deletes expired sessions, tokens and links. Returns how many."""
    dropped = 0
    for entity in (LoginSession, ApiToken, LoginLink):
        gone = delete(entity).where(entity.expires_ms < now_ms())
        dropped += len(session.execute(gone.returning(entity.user_id)).all())
    return dropped
