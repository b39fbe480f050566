"""Logging in, by password or by a one-time link, and logging out."""

from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from web.operations import audit
from web.operations.accounts.users import PASSWORD_CHARS_MAX
from web.pages.templates import page
from web.security import auth
from web.security.access import Actor
from web.security.failed_logins import FailedLogins
from web.security.known_browsers import known_browser, remember_browser
from web.security.password_hashing import AT_ONCE_MAX, WAITING_MAX, HashingBusyError
from web.security.same_origin import check_same_origin
from web.services import Services, ServicesDep

router = APIRouter(include_in_schema=False)

WRONG_PASSWORD = "The name or the password is wrong."  # noqa: S105 - a sentence
NAME_CHARS_MAX = 1_000
TOO_MANY_FAILURES = (
    "Too many logins failed from this address. Wait five minutes and try again, or ask an administrator for a link: "
    "headway user link NAME"
)
LINK_USED = "This link was used already or is too old. An administrator makes another one with: headway user link NAME"


@router.get("/login")
def login_page(request: Request, link: str = "", next: str = "/") -> Response:  # noqa: A002 - a parameter of the URL
    """The login form. A one-time link gets a button instead, so that only a click uses the link up, not a preview."""
    return page(request, "login.html", link=link, next=_local_path(next), error="")


@dataclass(frozen=True)
class LoginForm:
    """What the login form sends: a name and a password, or a one-time link."""

    name: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = ""
    password: Annotated[str, Form(max_length=PASSWORD_CHARS_MAX)] = ""
    link: Annotated[str, Form()] = ""
    next: Annotated[str, Form()] = "/"


def make_threads() -> CapacityLimiter:
    """Threads for logins alone: those that wait for a password's hash take none from the pages."""
    return CapacityLimiter(AT_ONCE_MAX + WAITING_MAX)


@router.post("/login")
async def log_in(request: Request, services: ServicesDep, form: Annotated[LoginForm, Depends()]) -> Response:
    """Starts a session by password or by link."""
    check_same_origin(request)
    threads: CapacityLimiter = request.app.state.login_threads
    if not threads.available_tokens:
        # They were taken since ``LoginGate`` looked.
        raise HashingBusyError
    return await to_thread.run_sync(_log_in, request, services, form, limiter=threads)


def _log_in(request: Request, services: Services, form: LoginForm) -> Response:
    path = _local_path(form.next)
    failures: FailedLogins = request.app.state.failed_logins
    address = auth.source_of(request)
    if form.link:
        # Not counted: a link cannot be guessed, and it lets those in who wait because of others behind their address.
        user = auth.user_by_login_link(services, form.link)
        if user is None:
            return page(request, "login.html", status=403, link="", next=path, error=LINK_USED)
    else:
        source = known_browser(services, request, form.name) or address
        if services.limiter.blocked(source, form.name):
            return page(request, "login.html", status=429, link="", next=path, error=TOO_MANY_FAILURES)
        user = auth.user_by_password(services, form.name, form.password)
        if user is None:
            services.limiter.failed(source, form.name)
            audit.note_failed_logins(services, failures.failed(form.name, address))
            return page(request, "login.html", status=403, link="", next=path, error=WRONG_PASSWORD)
        services.limiter.succeeded(source, form.name)
    response = RedirectResponse(path, 303)
    auth.log_in(services, request, response, user.id)
    actor, how = Actor(user.id, user.name, user.is_admin, address), "by a link" if form.link else ""
    audit.note_login(services, actor, how, failures.due())
    remember_browser(services, request, response, user.name)
    return response


@router.post("/logout", dependencies=[Depends(auth.current_user)])
def log_out(request: Request, services: ServicesDep) -> Response:
    """Ends this browser's session."""
    response = RedirectResponse("/login", 303)
    auth.log_out(services, request, response)
    return response


def _local_path(path: str) -> str:
    """A path on this server, or the front page: a login never redirects to another site.

    Browsers leave out tabs and line breaks, and read a backslash as a slash.
    """
    local = path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path
    return path if local else "/"
