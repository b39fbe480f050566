"""Users, and how they log in: browser sessions, API tokens, one-time links. Only hashes of the tokens are stored."""

from collections.abc import Sequence

from sqlalchemy import Select, delete, or_, select, update
from sqlalchemy.orm import Session

from workers.db.models import ApiToken, LoginLink, LoginSession, User
from workers.db.roles import Scope
from workers.db.session import db_now_ms, now_ms
from workers.store.common import AlreadyThereError, insert_or

SESSIONS_MAX = 50


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


def drop_session(session: Session, token_hash: str) -> None:
    """Logs a browser out."""
    session.execute(delete(LoginSession).where(LoginSession.token_hash == token_hash))


def add_token(
    session: Session,
    user_id: int,
    name: str,
    token_hash: str,
    lifetime_s: int | None = None,
    scope: Scope = Scope.ADMIN,
) -> ApiToken:
    """Adds an API token. It never expires with ``lifetime_s`` None."""
    now = db_now_ms(session)
    expires = None if lifetime_s is None else now + lifetime_s * 1000
    token = ApiToken(user_id=user_id, name=name, token_hash=token_hash, created_ms=now, expires_ms=expires)
    token.scope = scope
    session.add(token)
    session.flush()
    return token


def token_user(session: Session, token_hash: str) -> tuple[User, ApiToken] | None:
    """The user of this API token, unless it has expired or the user is disabled."""
    row = session.execute(_with_token().where(ApiToken.token_hash == token_hash)).one_or_none()
    return None if row is None else (row[0], row[1])


def user_of_token(session: Session, token_id: int) -> User | None:
    """The user of the API token with this id, under the same conditions."""
    row = session.execute(_with_token().where(ApiToken.id == token_id)).one_or_none()
    return None if row is None else row[0]


def _with_token() -> Select[User, ApiToken]:
    query = select(User, ApiToken).join(ApiToken, ApiToken.user_id == User.id)
    valid = or_(ApiToken.expires_ms.is_(None), ApiToken.expires_ms > now_ms())
    return query.where(valid, User.disabled_ms.is_(None))


def touch_token(session: Session, token_id: int) -> None:
    """Notes that the token was used just now."""
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_ms=now_ms()))


def tokens_of(session: Session, user_id: int) -> Sequence[ApiToken]:
    """The user's tokens, oldest first."""
    return session.scalars(select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.id)).all()


def drop_token(session: Session, user_id: int, token_id: int) -> str | None:
    """Deletes a token of this user; returns its name, or None if the user has none with this id."""
    gone = delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id).returning(ApiToken.name)
    return session.scalars(gone).one_or_none()


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


def drop_expired(session: Session) -> int:
    """Deletes expired sessions, tokens and links. Returns how many."""
    dropped = 0
    for entity in (LoginSession, ApiToken, LoginLink):
        gone = delete(entity).where(entity.expires_ms < now_ms())
        dropped += len(session.execute(gone.returning(entity.user_id)).all())
    return dropped
