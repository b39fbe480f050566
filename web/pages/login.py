"""Logging in, by password or by a one-time link, and logging out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from web.operations import audit
from web.operations.users import PASSWORD_CHARS_MAX
from web.pages.templates import page
from web.security import auth
from web.security.access import Actor
from web.services import ServicesDep

router = APIRouter(include_in_schema=False)

WRONG_PASSWORD = "The name or the password is wrong."  # noqa: S105 - a sentence
TOO_MANY_FAILURES = "Too many logins failed from this address. Wait five minutes and try again."
LINK_USED = "This link was used already or is too old. An administrator makes another one with: headway user link NAME"


@router.get("/login")
def login_page(request: Request, link: str = "", next: str = "/") -> Response:  # noqa: A002 - a parameter of the URL
    """The login form. A one-time link gets a button instead, so that only a click uses the link up, not a preview."""
    return page(request, "login.html", link=link, next=_local_path(next), error="")


@router.post("/login")
def log_in(
    request: Request,
    services: ServicesDep,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form(max_length=PASSWORD_CHARS_MAX)] = "",
    link: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - a parameter of the URL
) -> Response:
    """Starts a session by password or by link."""
    auth.check_same_origin(request)
    source = auth.source_of(request)
    path = _local_path(next)
    if services.limiter.blocked(source):
        return page(request, "login.html", status=429, link=link, next=path, error=TOO_MANY_FAILURES)
    user = auth.user_by_login_link(services, link) if link else auth.user_by_password(services, name, password)
    if user is None:
        services.limiter.failed(source)
        error = LINK_USED if link else WRONG_PASSWORD
        return page(request, "login.html", status=403, link="", next=path, error=error)
    services.limiter.succeeded(source)
    response = RedirectResponse(path, 303)
    auth.log_in(services, request, response, user.id)
    audit.note_login(services, Actor(user.id, user.name, user.is_admin, source), "by a link" if link else "")
    return response


@router.post("/logout", dependencies=[Depends(auth.current_user)])
def log_out(request: Request, services: ServicesDep) -> Response:
    """Ends this browser's session."""
    response = RedirectResponse("/login", 303)
    auth.log_out(services, request, response)
    return response


def _local_path(path: str) -> str:
    """A path on this server, or the front page: a login never redirects to another site."""
    return path if path.startswith("/") and not path.startswith("//") and "\\" not in path else "/"
