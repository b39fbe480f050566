"""One's own account, as JSON: who the token belongs to, its tokens and browser sessions."""

from web.api.accounts.account_schemas import AccountSchema, SessionSchema, TokenSchema
from web.json_api import RowId, make_router
from web.operations.accounts import tokens_and_sessions
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


@router.get("/account")
def get_account(user: CurrentUser) -> AccountSchema:
    """Who you are, and what the token is for at most."""
    return AccountSchema(name=user.name, is_admin=user.is_admin, scope=user.scope)


@router.get("/account/tokens")
def list_own_tokens(services: ServicesDep, user: CurrentUser) -> list[TokenSchema]:
    """Your API tokens, without their values."""
    return [TokenSchema.model_validate(row) for row in tokens_and_sessions.list_tokens(services, user, user.name)]


@router.delete("/account/tokens/{token_id}", status_code=204)
def revoke_own_token(services: ServicesDep, user: CurrentUser, token_id: RowId) -> None:
    """Revokes one of your tokens: it stops working at once."""
    tokens_and_sessions.remove_token(services, user, user.name, token_id)


@router.get("/account/sessions")
def list_own_sessions(services: ServicesDep, user: CurrentUser) -> list[SessionSchema]:
    """The browsers in which you are logged in."""
    return [SessionSchema.model_validate(row) for row in tokens_and_sessions.list_sessions(services, user, user.name)]


@router.delete("/account/sessions/{session_id}", status_code=204)
def end_own_session(services: ServicesDep, user: CurrentUser, session_id: RowId) -> None:
    """Logs one of your browsers out."""
    tokens_and_sessions.end_session(services, user, user.name, session_id)
