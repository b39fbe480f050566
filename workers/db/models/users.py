"""The tables of users: accounts, and how they log in."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base


class User(Base):
    """A user. Without a password the user logs in with a login link."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_ms: Mapped[int]


class LoginSession(Base):
    """A logged-in browser. Only the hash of its cookie is stored."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_ms: Mapped[int]
    expires_ms: Mapped[int]


class ApiToken(Base):
    """An API token. Only its hash is stored. ``expires_ms`` None means never."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_ms: Mapped[int]
    last_used_ms: Mapped[int | None]
    expires_ms: Mapped[int | None]


class LoginLink(Base):
    """A link that logs its user in once."""

    __tablename__ = "login_links"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_ms: Mapped[int]
    used_ms: Mapped[int | None]
