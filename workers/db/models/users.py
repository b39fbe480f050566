"""The tables of users: accounts, how they log in, their roles on repositories, and the audit log."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from workers.db.models.base import ID, Base
from workers.db.roles import Role, Scope


class User(Base):
    """A user. Without a password the user logs in with a login link. ``disabled_ms`` None: may log in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_ms: Mapped[int]
    disabled_ms: Mapped[int | None]


class LoginSession(Base):
    """A logged-in browser. Only the hash of its cookie is stored. ``address`` is where it was used last."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    address: Mapped[str] = mapped_column(default="")
    browser: Mapped[str] = mapped_column(default="")
    created_ms: Mapped[int]
    last_used_ms: Mapped[int | None]
    expires_ms: Mapped[int]


class ApiToken(Base):
    """An API token. Only its hash is stored. ``expires_ms`` None means never."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    scope: Mapped[Scope] = mapped_column(default=Scope.ADMIN)
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


class RepoRole(Base):
    """The role of a user on a repository."""

    __tablename__ = "roles"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    repo_id: Mapped[int] = mapped_column(ForeignKey("repos.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[Role]
    created_ms: Mapped[int]


class AuditEntry(Base):
    """Who did what. Names are text, not references: an entry outlives the user and the repository.

    A trigger in the database refuses updates. Only retention deletes entries.
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(ID, primary_key=True)
    at_ms: Mapped[int] = mapped_column(index=True)
    actor: Mapped[str]
    source: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    detail: Mapped[str]
