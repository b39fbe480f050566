"""Who is asking: browsers by a session cookie, programs by a token. Only hashes of either are stored."""

import hashlib
import secrets
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from pwdlib import PasswordHash
from sqlalchemy import Engine
from starlette.responses import Response

from web.services import Services, Wired
from workers import store
from workers.db.session import db_now_ms, reading, transaction

TOKEN_PREFIX = "hw_"  # noqa: S105 - lets scanners find tokens that were published by mistake
LOGIN_LINK_S = 24 * 3600
PASSWORD_CHARS_MIN = 10
PASSWORD_CHARS_MAX = 1_000
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DAY_S = 24 * 3600
_MINUTE_MS = 60_000
# Browsers keep a cookie for 400 days at most; the row in the database says when a session is over.
_COOKIE_S = 400 * _DAY_S
# One Argon2 hash takes 64 MiB: without this, as many as there are threads would run at once.
_HASHING = BoundedSemaphore(4)


class LoginNeededError(Exception):
    """Nobody is logged in. Pages lead to the login, the API answers 401."""


@dataclass(frozen=True)
class Visitor:
    """Whoever is asking. ``by_token`` is a program."""

    user_id: int
    name: str
    is_admin: bool
    by_token: bool = False


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
    """Argon2; takes a tenth of a second and 64 MiB."""
    with _HASHING:
        return PasswordHash.recommended().hash(password)


def password_fits(password: str, password_hash: str | None) -> bool:
    """Whether the password is right. Without a hash it takes as long and is wrong."""
    with _HASHING:
        hasher = PasswordHash.recommended()
        if password_hash is None:
            hasher.hash(password)
            return False
        return hasher.verify(password, password_hash)


def cookie_name(services: Services) -> str:
    """``__Host-`` binds the cookie to this host and to https; without https browsers would refuse it."""
    return "__Host-headway" if services.secure else "headway"


def log_in(services: Services, response: Response, user_id: int) -> None:
    """Starts a session for the browser that gets ``response``."""
    secret = new_secret()
    with transaction(services.engine) as session:
        store.add_session(session, user_id, hashed(secret), services.settings.session_days * _DAY_S)
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
    """Ends the session of the browser that asks."""
    if secret := request.cookies.get(cookie_name(services)):
        with transaction(services.engine) as session:
            store.drop_session(session, hashed(secret))
    response.delete_cookie(cookie_name(services), path="/", secure=services.secure, httponly=True, samesite="lax")


def check_same_origin(request: Request) -> None:
    """Refuses what another site made a browser send. Raises HTTPException 403.

    Browsers say themselves where a request comes from; over plain http they say only the origin.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        allowed = site in {"same-origin", "none"}
    else:
        origin = urlsplit(request.headers.get("origin", ""))
        allowed = bool(origin.netloc) and origin.netloc == request.headers.get("host")
    if not allowed:
        raise HTTPException(403, "This request came from another site. Open Headway's own page and try again there.")


def visitor(request: Request, services: Wired) -> Visitor:
    """Whoever is logged in. Raises LoginNeededError, and HTTPException 403 for what another site sent."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _by_token(services, token.strip())
    if secret := request.cookies.get(cookie_name(services)):
        found = _by_session(services, secret)
        if request.method not in _SAFE_METHODS:
            check_same_origin(request)
        return found
    raise LoginNeededError


def _by_token(services: Services, token: str) -> Visitor:
    with reading(services.engine) as session:
        found = store.token_user(session, hashed(token))
        now = db_now_ms(session)
    if found is None:
        raise LoginNeededError
    user, row = found
    if now - (row.last_used_ms or 0) > _MINUTE_MS:
        with transaction(services.engine) as session:
            store.touch_token(session, row.id)
    return Visitor(user.id, user.name, user.is_admin, by_token=True)


def _by_session(services: Services, secret: str) -> Visitor:
    lifetime_s = services.settings.session_days * _DAY_S
    with reading(services.engine) as session:
        found = store.session_user(session, hashed(secret))
        now = db_now_ms(session)
    if found is None:
        raise LoginNeededError
    user, row = found
    # Each visit prolongs the session; writing that down once in an hour is enough.
    if row.expires_ms - now < (lifetime_s - 3600) * 1000:
        with transaction(services.engine) as session:
            store.extend_session(session, row.id, lifetime_s)
    return Visitor(user.id, user.name, user.is_admin)


Me = Annotated[Visitor, Depends(visitor)]
"""Whoever is logged in; LoginNeededError where nobody is."""


def admin(me: Me) -> Visitor:
    """Whoever is logged in, if they are an administrator. Raises HTTPException 403."""
    if not me.is_admin:
        raise HTTPException(403, "Only an administrator may do this.")
    return me


def make_login_link(engine: Engine, user_id: int) -> str:
    """The secret of a link that logs the user in once within a day."""
    link = new_secret()
    with transaction(engine) as session:
        store.add_login_link(session, user_id, hashed(link), LOGIN_LINK_S)
    return link
