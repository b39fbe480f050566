"""API tokens of users. Only their hashes are stored."""

from collections.abc import Sequence

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.orm import Session

from workers.db.models import ApiToken, User
from workers.db.roles import Scope
from workers.db.session import db_now_ms, now_ms


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


def count_tokens(session: Session, user_id: int) -> int:
    """How many API tokens the user has."""
    return session.scalars(select(func.count()).where(ApiToken.user_id == user_id)).one()


def drop_token(session: Session, user_id: int, token_id: int) -> str | None:
    """Deletes a token of this user; returns its name, or None if the user has none with this id."""
    gone = delete(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id).returning(ApiToken.name)
    return session.scalars(gone).one_or_none()
