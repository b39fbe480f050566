"""A cookie by which a browser in which a user logged in before is known again.

Its failed logins are counted apart from those of its address: others behind the same address, who guess the user's
password, do not lock the user out of it.
"""

import base64
import secrets

from fastapi import Request
from starlette.responses import Response

from web.services import Services
from workers.secrets.vault import VaultError, browser_place

_COOKIE_S = 400 * 24 * 3600
_ID_BYTES = 16


def _cookie_name(services: Services) -> str:
    return "__Host-headway-browser" if services.secure else "headway-browser"


def known_browser(services: Services, request: Request, user_name: str) -> str | None:
    """The id of the browser, if this user logged in with it before."""
    try:
        sealed = base64.urlsafe_b64decode(request.cookies.get(_cookie_name(services), "")).decode()
        return services.vault.unseal(browser_place(user_name), sealed)
    except (ValueError, VaultError):
        return None


def remember_browser(services: Services, request: Request, response: Response, user_name: str) -> None:
    """Sends the cookie after a login. The browser keeps its id."""
    browser = known_browser(services, request, user_name) or secrets.token_hex(_ID_BYTES)
    sealed = services.vault.seal(browser_place(user_name), browser)
    response.set_cookie(
        _cookie_name(services),
        base64.urlsafe_b64encode(sealed.encode()).decode(),
        max_age=_COOKIE_S,
        path="/",
        secure=services.secure,
        httponly=True,
        samesite="lax",
    )
