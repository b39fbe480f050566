"""A user's own account: password and API tokens."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from web.operations import users
from web.operations.errors import InvalidInputError
from web.pages.templates import page
from web.security.auth import CurrentUser
from web.services import Services, ServicesDep
from workers import store
from workers.db.session import db_now_ms, reading

router = APIRouter(include_in_schema=False)


@router.get("/account")
def account_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """The user's own password and tokens."""
    return _account_page(request, services, user)


@router.post("/account/password")
def change_password(
    request: Request, services: ServicesDep, user: CurrentUser, password: Annotated[str, Form()]
) -> Response:
    """Sets the user's own password."""
    try:
        users.set_password(services, user.user_id, password)
    except InvalidInputError as error:
        return _account_page(request, services, user, error=str(error))
    return _account_page(request, services, user, note="Your password is set. Log in with it next time.")


@router.post("/account/tokens")
def create_token(
    request: Request, services: ServicesDep, user: CurrentUser, name: Annotated[str, Form()] = ""
) -> Response:
    """Makes a token, which the page shows this one time."""
    try:
        token = users.add_token(services, user.user_id, name)
    except InvalidInputError as error:
        return _account_page(request, services, user, error=str(error))
    return _account_page(request, services, user, token=token)


@router.post("/account/tokens/{token_id}/delete")
def delete_token(services: ServicesDep, user: CurrentUser, token_id: int) -> Response:
    """Removes a token."""
    users.remove_token(services, user.user_id, token_id)
    return RedirectResponse("/account", 303)


def _account_page(
    request: Request, services: Services, user: CurrentUser, *, error: str = "", note: str = "", token: str = ""
) -> Response:
    with reading(services.engine) as session:
        tokens = store.tokens_of(session, user.user_id)
        now = db_now_ms(session)
    return page(
        request,
        "account.html",
        status=422 if error else 200,
        user=user,
        tokens=tokens,
        now=now,
        error=error,
        note=note,
        token=token,
    )
