"""The schemas of users, roles, tokens, sessions and the audit log. None contains the value of a token."""

from pydantic import BaseModel, ConfigDict, Field

from web.api.schemas import Schema
from web.operations.accounts.users import KnownUser
from workers.db.roles import Role, Scope


class AccountSchema(Schema):
    """Who sends the request. A token of the scope ``admin`` may do all that its user may."""

    name: str
    is_admin: bool
    scope: Scope


class UserRoleSchema(Schema):
    """A role on a repository."""

    repo: str
    role: Role


class UserSchema(Schema):
    """A user. ``disabled_ms`` is null while the user may log in."""

    name: str
    is_admin: bool
    created_ms: int
    disabled_ms: int | None
    roles: list[UserRoleSchema]


class RoleSchema(Schema):
    """A user's role on the repository."""

    user: str
    role: Role


class RoleValue(BaseModel):
    """The role to give: ``read`` sees runs and logs, ``write`` also starts and cancels, ``admin`` changes settings."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class VisibilityValue(BaseModel):
    """Whether every user who can log in sees the repository."""

    model_config = ConfigDict(extra="forbid")

    visible_to_all: bool


class TokenSchema(Schema):
    """An API token without its value. ``expires_ms`` null: never; ``last_used_ms`` null: not yet used."""

    id: int
    name: str
    scope: Scope
    created_ms: int
    last_used_ms: int | None
    expires_ms: int | None


class SessionSchema(Schema):
    """A browser session. ``address`` is where it was used last; ``browser`` is what the browser says it is."""

    id: int
    address: str
    browser: str
    created_ms: int
    last_used_ms: int | None
    expires_ms: int


class AuditSchema(Schema):
    """An entry of the audit log: who did what, from which address, to what, with old and new values in words."""

    id: int
    at_ms: int
    actor: str
    source: str = Field(description="The address of the request, or `command line`.")
    action: str
    target: str
    detail: str


def user_schema(known: KnownUser) -> UserSchema:
    """A user and the user's roles."""
    row = known.row
    return UserSchema(
        name=row.name,
        is_admin=row.is_admin,
        created_ms=row.created_ms,
        disabled_ms=row.disabled_ms,
        roles=[UserRoleSchema(repo=repo, role=role) for repo, role in known.roles],
    )
