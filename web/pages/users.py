"""The pages of the server's administrators: users, and the audit log."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from web.operations import audit
from web.operations.accounts import users
from web.operations.errors import ConflictError
from web.pages.templates import page
from web.security.auth import CurrentUser
from web.services import Services, ServicesDep
from workers.db.session import db_now_ms, reading

ENTRIES_ON_A_PAGE = 100

router = APIRouter(include_in_schema=False)
UserName = Annotated[str, Form(max_length=1_000)]


@router.get("/users")
def users_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """All users with their roles."""
    return _users_page(request, services, user)


@router.post("/users/disable")
def disable_user(request: Request, services: ServicesDep, user: CurrentUser, name: UserName) -> Response:
    """Keeps a user out. Why the last administrator cannot be disabled is explained on the page."""
    try:
        users.disable(services, user, name)
    except ConflictError as error:
        return _users_page(request, services, user, error=str(error))
    return RedirectResponse("/users", 303)


@router.post("/users/enable")
def enable_user(services: ServicesDep, user: CurrentUser, name: UserName) -> Response:
    """Lets a disabled user in again."""
    users.enable(services, user, name)
    return RedirectResponse("/users", 303)


@router.post("/users/remove")
def remove_user(request: Request, services: ServicesDep, user: CurrentUser, name: UserName) -> Response:
    """Removes a user. Why the last administrator cannot be removed is explained on the page."""
    try:
        users.remove(services, user, name)
    except ConflictError as error:
        return _users_page(request, services, user, error=str(error))
    return RedirectResponse("/users", 303)


def _users_page(request: Request, services: Services, user: CurrentUser, *, error: str = "") -> Response:
    found = users.list_users(services, user)
    with reading(services.engine) as session:
        now = db_now_ms(session)
    return page(request, "users.html", status=409 if error else 200, user=user, users=found, error=error, now=now)


@router.get("/audit")
def audit_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """Who changed what, the newest first."""
    found = audit.entries(services, user, before, ENTRIES_ON_A_PAGE + 1)
    shown = found[:ENTRIES_ON_A_PAGE]
    with reading(services.engine) as session:
        now = db_now_ms(session)
    older = shown[-1].id if len(found) > ENTRIES_ON_A_PAGE else None
    return page(request, "audit.html", user=user, entries=shown, before=before, older=older, now=now)
