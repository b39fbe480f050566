"""A user's own account: password, API tokens and browser sessions."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from web.operations.accounts import tokens_and_sessions, users
from web.operations.errors import ConflictError, InvalidInputError
from web.pages.templates import page
from web.security.auth import CurrentUser
from web.services import Services, ServicesDep
from workers import store
from workers.db.roles import Scope
from workers.db.session import db_now_ms, reading

TOO_MANY_FAILURES = "Too many wrong passwords. Wait five minutes and try again."
_TEXT_CHARS_MAX = 10_000

router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form(max_length=_TEXT_CHARS_MAX)]
RowId = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/account")
def account_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """The user's own password, tokens and sessions."""
    return _account_page(request, services, user)


@router.post("/account/password")
def change_password(
    request: Request, services: ServicesDep, user: CurrentUser, password: Text, old: Text = ""
) -> Response:
    """Sets the user's own password, for who knows the old one, and ends the user's other sessions."""
    # Who finds an open browser must not be able to try all passwords.
    source = f"the old password of {user.user_id}"
    if services.limiter.blocked(source):
        return _account_page(request, services, user, status=429, error=TOO_MANY_FAILURES)
    try:
        ended = users.set_password(services, user, old, password)
    except InvalidInputError as error:
        if str(error) == users.WRONG_OLD_PASSWORD:
            services.limiter.failed(source)
        return _account_page(request, services, user, status=422, error=str(error))
    services.limiter.succeeded(source)
    others = {0: "You are logged in nowhere else.", 1: "Your other session was ended."}
    note = f"Your password is set. {others.get(ended, f'Your {ended} other sessions were ended.')}"
    return _account_page(request, services, user, note=f"{note} API tokens still work.")


@router.post("/account/tokens")
def create_token(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: Text = "",
    scope: Annotated[Scope, Form()] = Scope.READ,
    days: Annotated[int | None, Form()] = None,
) -> Response:
    """Makes a token, which the page shows this one time."""
    try:
        token = tokens_and_sessions.add_token(services, user, user.name, name, scope, days)
    except (InvalidInputError, ConflictError) as error:
        return _account_page(request, services, user, status=422, error=str(error))
    return _account_page(request, services, user, token=token)


@router.post("/account/tokens/{token_id}/delete")
def delete_token(services: ServicesDep, user: CurrentUser, token_id: RowId) -> Response:
    """Revokes a token."""
    tokens_and_sessions.remove_token(services, user, user.name, token_id)
    return RedirectResponse("/account", 303)


@router.post("/account/sessions/delete")
def end_other_sessions(services: ServicesDep, user: CurrentUser) -> Response:
    """Ends all the user's sessions but this one."""
    tokens_and_sessions.end_sessions(services, user, user.name)
    return RedirectResponse("/account", 303)


@router.post("/account/sessions/{session_id}/delete")
def end_session(services: ServicesDep, user: CurrentUser, session_id: RowId) -> Response:
    """Ends a session."""
    tokens_and_sessions.end_session(services, user, user.name, session_id)
    return RedirectResponse("/account", 303)


def _account_page(
    request: Request,
    services: Services,
    user: CurrentUser,
    *,
    status: int = 200,
    error: str = "",
    note: str = "",
    token: str = "",
) -> Response:
    sessions = tokens_and_sessions.list_sessions(services, user, user.name)
    with reading(services.engine) as session:
        row = store.user_by_name(session, user.name)
        tokens = store.tokens_of(session, user.user_id or 0)
        now = db_now_ms(session)
    return page(
        request,
        "account.html",
        status=status,
        user=user,
        has_password=row is not None and row.password_hash is not None,
        tokens=tokens,
        scopes=tuple(Scope),
        sessions=sessions,
        now=now,
        error=error,
        note=note,
        token=token,
    )
