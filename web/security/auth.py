"""Authentication: browsers by a session cookie, programs by an API token. Only hashes of either are stored."""

import hashlib
import secrets
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request, WebSocket
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection
from starlette.responses import Response

from web.security.access import Actor
from web.security.password_hashing import PasswordHashing
from web.security.same_origin import check_same_origin, check_socket_origin
from web.services import Services, ServicesDep
from workers import store
from workers.db.models import User
from workers.db.session import db_now_ms, reading, transaction

TOKEN_PREFIX = "hw_"  # noqa: S105 - lets scanners find tokens that were published by mistake
LOGIN_LINK_S = 24 * 3600
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DAY_S = 24 * 3600
_MINUTE_MS = 60_000
_BROWSER_CHARS_MAX = 300
# Browsers keep a cookie for 400 days at most; the row in the database says when a session is over.
_COOKIE_S = 400 * _DAY_S
# One for the process: its processors and its memory are what it guards.
_HASHING = PasswordHashing()


class LoginNeededError(Exception):
    """The request has no valid session and no valid token. Pages redirect to the login, the API answers 401."""


def new_secret() -> str:
    """256 random bits as text, for cookies, links and webhooks."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """A new API token."""
    return TOKEN_PREFIX + new_secret()


def hashed(secret: str) -> str:
    """What is stored of a cookie, link or token. They are random, so a fast hash is enough."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def hash_password(password: str) -> str:
    """Argon2; takes a tenth of a second and 64 MiB. Raises HashingBusyError."""
    return _HASHING.hash(password)


def password_fits(password: str, password_hash: str | None) -> bool:
    """Whether the password is right. Without a hash it takes as long and is wrong. Raises HashingBusyError."""
    return _HASHING.fits(password, password_hash)


def user_by_password(services: Services, name: str, password: str) -> User | None:
    """The user with this name and password, if not disabled. An unknown name takes as long as a wrong password."""
    with reading(services.engine) as session:
        user = store.user_by_name(session, name)
    fits = password_fits(password, user.password_hash if user else None)
    return user if fits and user and user.disabled_ms is None else None


def user_by_login_link(services: Services, link: str) -> User | None:
    """The user whose login link has this secret; uses the link up."""
    with transaction(services.engine) as session:
        return store.use_login_link(session, hashed(link))


def make_login_link(engine: Engine, user_id: int) -> str:
    """The secret of a link that logs the user in once within a day."""
    link = new_secret()
    with transaction(engine) as session:
        store.add_login_link(session, user_id, hashed(link), LOGIN_LINK_S)
    return link


def cookie_name(services: Services) -> str:
    """``__Host-`` binds the cookie to this host and to https; without https browsers would refuse it."""
    return "__Host-headway" if services.secure else "headway"


def source_of(request: HTTPConnection) -> str:
    """The address that a request comes from."""
    return request.client.host if request.client else "?"


def log_in(services: Services, request: Request, response: Response, user_id: int) -> None:
    """Starts a session: stores the hash of a secret, and sends the secret as a cookie with ``response``."""
    secret, lifetime_s = new_secret(), services.settings.session_days * _DAY_S
    browser = request.headers.get("user-agent", "")[:_BROWSER_CHARS_MAX]
    with transaction(services.engine) as session:
        store.add_session(session, user_id, hashed(secret), lifetime_s, address=source_of(request), browser=browser)
    response.set_cookie(
        cookie_name(services),
        secret,
        max_age=_COOKIE_S,
        path="/",
        secure=services.secure,
        httponly=True,
        samesite="lax",
    )


def log_out(services: Services, request: Request, response: Response) -> None:
    """Ends the session of the browser that sends ``request``."""
    if secret := request.cookies.get(cookie_name(services)):
        with transaction(services.engine) as session:
            store.drop_session(session, hashed(secret))
    response.delete_cookie(cookie_name(services), path="/", secure=services.secure, httponly=True, samesite="lax")


def current_user(request: Request, services: ServicesDep) -> Actor:
    """The user who sends the request. Raises LoginNeededError, and HTTPException 403 for a cross-site request."""
    actor = _actor(request, services)
    if actor.session_id is not None and request.method not in _SAFE_METHODS:
        check_same_origin(request)
    return actor


def socket_user(websocket: WebSocket, services: Services) -> Actor:
    """The user who opens the WebSocket. Raises LoginNeededError, and HTTPException 403 where another site opens it."""
    actor = _actor(websocket, services)
    if actor.session_id is not None:
        check_socket_origin(websocket)
    return actor


def _actor(request: HTTPConnection, services: Services) -> Actor:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _user_by_token(services, token.strip(), source_of(request))
    if secret := request.cookies.get(cookie_name(services)):
        return _user_by_session(services, secret, source_of(request))
    raise LoginNeededError


def _user_by_token(services: Services, token: str, source: str) -> Actor:
    with reading(services.engine) as session:
        found = store.token_user(session, hashed(token))
        now = db_now_ms(session)
    if found is None:
        raise LoginNeededError
    user, row = found
    if now - (row.last_used_ms or 0) > _MINUTE_MS:
        with transaction(services.engine) as session:
            store.touch_token(session, row.id)
    return Actor(user.id, user.name, user.is_admin, source, row.scope, token_id=row.id)


def _user_by_session(services: Services, secret: str, source: str) -> Actor:
    lifetime_s = services.settings.session_days * _DAY_S
    with reading(services.engine) as session:
        found = store.session_user(session, hashed(secret))
        now = db_now_ms(session)
    if found is None:
        raise LoginNeededError
    user, row = found
    # Each visit prolongs the session; one write an hour is enough for that, and one a minute for its last use.
    prolong = row.expires_ms - now < (lifetime_s - 3600) * 1000
    if prolong or row.address != source or now - (row.last_used_ms or 0) > _MINUTE_MS:
        with transaction(services.engine) as session:
            store.touch_session(session, row.id, source)
            if prolong:
                store.extend_session(session, row.id, lifetime_s)
    return Actor(user.id, user.name, user.is_admin, source, session_id=row.id)


def still_valid(session: Session, actor: Actor) -> Actor | None:
    """The actor as it would be authenticated now; None if it would not be. For requests that stay open for long."""
    if actor.token_id is not None:
        user = store.user_of_token(session, actor.token_id)
    elif actor.session_id is not None:
        user = store.user_of_session(session, actor.session_id)
    else:
        return None
    return None if user is None else replace(actor, is_admin=user.is_admin)


CurrentUser = Annotated[Actor, Depends(current_user)]
"""The user who sends the request; LoginNeededError without a login."""
