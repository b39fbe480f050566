"""Users with their tokens and sessions, and the audit log, as JSON: for administrators."""

from typing import Annotated

from fastapi import Query

from web.api.accounts.account_schemas import AuditSchema, SessionSchema, TokenSchema, UserSchema, user_schema
from web.json_api import RowId, make_router
from web.operations import audit
from web.operations.accounts import tokens_and_sessions, users
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


@router.get("/users")
def list_users(services: ServicesDep, user: CurrentUser) -> list[UserSchema]:
    """All users by name, with their roles on repositories."""
    return [user_schema(known) for known in users.list_users(services, user)]


@router.post("/users/{user_name}/disable", status_code=204)
def disable_user(services: ServicesDep, user: CurrentUser, user_name: str) -> None:
    """Keeps a user out: the user's sessions end, and tokens stop working at once."""
    users.disable(services, user, user_name)


@router.post("/users/{user_name}/enable", status_code=204)
def enable_user(services: ServicesDep, user: CurrentUser, user_name: str) -> None:
    """Lets a disabled user in again. Tokens that have not expired work again."""
    users.enable(services, user, user_name)


@router.delete("/users/{user_name}", status_code=204)
def remove_user(services: ServicesDep, user: CurrentUser, user_name: str) -> None:
    """Removes a user with sessions, tokens and roles. Runs and the audit log keep the name."""
    users.remove(services, user, user_name)


@router.get("/users/{user_name}/tokens")
def list_tokens(services: ServicesDep, user: CurrentUser, user_name: str) -> list[TokenSchema]:
    """A user's API tokens, without their values."""
    return [TokenSchema.model_validate(row) for row in tokens_and_sessions.list_tokens(services, user, user_name)]


@router.delete("/users/{user_name}/tokens/{token_id}", status_code=204)
def revoke_token(services: ServicesDep, user: CurrentUser, user_name: str, token_id: RowId) -> None:
    """Revokes a user's token: it stops working at once."""
    tokens_and_sessions.remove_token(services, user, user_name, token_id)


@router.get("/users/{user_name}/sessions")
def list_sessions(services: ServicesDep, user: CurrentUser, user_name: str) -> list[SessionSchema]:
    """The browsers in which a user is logged in."""
    return [SessionSchema.model_validate(row) for row in tokens_and_sessions.list_sessions(services, user, user_name)]


@router.delete("/users/{user_name}/sessions/{session_id}", status_code=204)
def end_session(services: ServicesDep, user: CurrentUser, user_name: str, session_id: RowId) -> None:
    """Logs one of a user's browsers out."""
    tokens_and_sessions.end_session(services, user, user_name, session_id)


@router.get("/audit")
def list_audit(
    services: ServicesDep,
    user: CurrentUser,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> list[AuditSchema]:
    """Who changed what, the newest first. ``before``: only entries with a smaller id, for the next page."""
    return [AuditSchema.model_validate(entry) for entry in audit.entries(services, user, before, limit)]
