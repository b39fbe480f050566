"""Logging in and out, and a person's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from web.pages.templates import page
from web.security import auth
from web.security.auth import Me
from web.services import Services, Wired
from workers import store
from workers.db.models import User
from workers.db.session import db_now_ms, reading, transaction

router = APIRouter(include_in_schema=False)

WRONG = "That name and password do not belong together."
TOO_OFTEN = "Too many logins failed from this address. Wait five minutes and try again."
LINK_USED = "This link was used before or is too old. An administrator makes another with: headway user link NAME"


@router.get("/login")
def login_page(request: Request, link: str = "", next: str = "/") -> Response:  # noqa: A002 - as it stands in the address
    """The form, or for a one-time link one button: a link that is merely looked at must not be used up."""
    return page(request, "login.html", link=link, next=_local(next), error="")


@router.post("/login")
def login(
    request: Request,
    services: Wired,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form(max_length=auth.PASSWORD_CHARS_MAX)] = "",
    link: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - as it stands in the address
) -> Response:
    """Starts a session by password or by link."""
    auth.check_same_origin(request)
    source = request.client.host if request.client else "?"
    if services.limiter.blocked(source):
        return page(request, "login.html", status=429, link=link, next=_local(next), error=TOO_OFTEN)
    user = _by_link(services, link) if link else _by_password(services, name, password)
    if user is None:
        services.limiter.failed(source)
        error = LINK_USED if link else WRONG
        return page(request, "login.html", status=403, link="", next=_local(next), error=error)
    services.limiter.succeeded(source)
    response = RedirectResponse(_local(next), 303)
    auth.log_in(services, response, user.id)
    return response


@router.post("/logout", dependencies=[Depends(auth.visitor)])
def logout(request: Request, services: Wired) -> Response:
    """Ends this browser's session."""
    response = RedirectResponse("/login", 303)
    auth.log_out(services, request, response)
    return response


@router.get("/account")
def account(request: Request, services: Wired, me: Me) -> Response:
    """One's own password and tokens."""
    return _account(request, services, me)


@router.post("/account/password")
def change_password(
    request: Request, services: Wired, me: Me, password: Annotated[str, Form(max_length=auth.PASSWORD_CHARS_MAX)]
) -> Response:
    """Sets one's own password."""
    if len(password) < auth.PASSWORD_CHARS_MIN:
        error = f"A password needs at least {auth.PASSWORD_CHARS_MIN} characters."
        return _account(request, services, me, status=422, error=error)
    password_hash = auth.hash_password(password)
    with transaction(services.engine) as session:
        store.set_password(session, me.user_id, password_hash)
    return _account(request, services, me, note="Your password is set. Log in with it next time.")


@router.post("/account/tokens")
def create_token(
    request: Request, services: Wired, me: Me, name: Annotated[str, Form(min_length=1, max_length=100)]
) -> Response:
    """Makes a token, which is shown this one time."""
    token = auth.new_token()
    with transaction(services.engine) as session:
        store.add_token(session, me.user_id, name, auth.hashed(token))
    return _account(request, services, me, token=token)


@router.post("/account/tokens/{token_id}/delete")
def delete_token(services: Wired, me: Me, token_id: int) -> Response:
    """Ends a token."""
    with transaction(services.engine) as session:
        if not store.drop_token(session, me.user_id, token_id):
            raise HTTPException(404, "You have no such token.")
    return RedirectResponse("/account", 303)


def _account(
    request: Request,
    services: Services,
    me: Me,
    *,
    status: int = 200,
    error: str = "",
    note: str = "",
    token: str = "",
) -> Response:
    with reading(services.engine) as session:
        tokens = store.tokens_of(session, me.user_id)
        now = db_now_ms(session)
    return page(
        request, "account.html", status=status, me=me, tokens=tokens, now=now, error=error, note=note, token=token
    )


def _by_link(services: Services, link: str) -> User | None:
    with transaction(services.engine) as session:
        return store.use_login_link(session, auth.hashed(link))


def _by_password(services: Services, name: str, password: str) -> User | None:
    with reading(services.engine) as session:
        user = store.user_by_name(session, name)
    fits = auth.password_fits(password, user.password_hash if user else None)
    return user if fits else None


def _local(path: str) -> str:
    """A path on this server, or the front page: nobody is led elsewhere after logging in."""
    return path if path.startswith("/") and not path.startswith("//") and "\\" not in path else "/"
