"""Turns errors into HTTP responses: ``{"error": sentence}`` for programs, a page for browsers."""

import errno
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as DatabaseTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response

from web.operations.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidInputError,
    NotFoundError,
    OperationError,
)
from web.operations.runs.log_parts import BLOBS_AWAY
from web.pages.templates import page
from web.security.access import Actor
from web.security.auth import LoginNeededError, current_user
from web.security.long_requests import RETRY_AFTER_S as LONG_REQUESTS_RETRY_AFTER_S
from web.security.long_requests import TooManyAtOnceError
from web.security.password_hashing import RETRY_AFTER_S as LOGIN_RETRY_AFTER_S
from web.security.password_hashing import HashingBusyError
from web.services import services_of
from workers.blobs import BlobError
from workers.db.full_disk import means_full_disk
from workers.logs import LogDamagedError
from workers.secrets.vault import VaultError

_FOR_PROGRAMS = ("/api/", "/hooks/", "/healthz", "/readyz", "/metrics", "/schema.json")
_STATUSES: dict[type[OperationError], int] = {
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    GoneError: 410,
    InvalidInputError: 422,
}
_OUR_ERRORS = 500

_log = structlog.get_logger()

LOGIN_NEEDED = "Log in, or send a token: Authorization: Bearer hw_... (headway token create makes one)."
NOT_FOUND = "There is nothing at this address."
DATABASE_AWAY = "The database cannot be used now. Try again in a moment; Headway's log says more."
CANNOT_UNSEAL = "A secret that this needs cannot be read. Headway's log says which one, and what to do."
DISK_FULL = "The server's disk is full, so nothing can be stored. Make room on it, then try again."
RETRY_AFTER_S = 30
INTERNAL_ERROR = "Headway made a mistake here. Its log says more; if it happens again, please report it."


def add_error_handlers(app: FastAPI) -> None:
    """Adds the handlers to the application. Without them FastAPI would answer every error with JSON of its own."""
    app.exception_handler(OperationError)(_operation_refused)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(RequestValidationError)(_invalid_request)
    app.exception_handler(LoginNeededError)(_login_needed)
    app.exception_handler(HashingBusyError)(_hashing_busy)
    app.exception_handler(TooManyAtOnceError)(_too_many_at_once)
    app.exception_handler(ClientDisconnect)(_client_gone)
    app.exception_handler(LogDamagedError)(_log_damaged)
    app.exception_handler(VaultError)(_cannot_unseal)
    for away in (OperationalError, InterfaceError, InternalError, DatabaseTimeoutError):
        app.exception_handler(away)(_database_away)
    app.exception_handler(DBAPIError)(_database_refused)
    app.exception_handler(OSError)(_operating_system_refused)
    app.exception_handler(Exception)(_internal_error)


def _response(request: Request, status: int, sentence: str) -> Response:
    if request.url.path.startswith(_FOR_PROGRAMS):
        return JSONResponse({"error": sentence}, status)
    return page(request, "error.html", status=status, sentence=sentence, code=status, user=_reader(request, status))


def _reader(request: Request, status: int) -> Actor | None:
    """Who is logged in, for the menu of the page. After an error of ours the database is not asked once more."""
    if status >= _OUR_ERRORS:
        return None
    try:
        return current_user(request, services_of(request))
    except (LoginNeededError, HTTPException, SQLAlchemyError):
        return None


def _operation_refused(request: Request, error: OperationError) -> Response:
    return _response(request, _STATUSES[type(error)], str(error))


def _http_error(request: Request, error: HTTPException) -> Response:
    match error.status_code:
        case 404 if error.detail == "Not Found":
            sentence = NOT_FOUND
        case 405:
            sentence = f"{request.method} is not possible here."
        case _:
            sentence = error.detail
    response = _response(request, error.status_code, sentence)
    response.headers.update(error.headers or {})
    return response


def _invalid_request(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return _response(request, 422, f"{where}: {first['msg']}.")


def _login_needed(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith(_FOR_PROGRAMS):
        return JSONResponse({"error": LOGIN_NEEDED}, 401, {"www-authenticate": "Bearer"})
    # After the login the browser goes on to the page that it asked for. A form that it wanted to send is lost.
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"?next={quote(wanted, safe='')}" if request.method == "GET" and wanted != "/" else ""
    return RedirectResponse(f"/login{target}", 303)


def _hashing_busy(request: Request, error: Exception) -> Response:
    response = _response(request, 429, str(error))
    response.headers["retry-after"] = str(LOGIN_RETRY_AFTER_S)
    return response


def _too_many_at_once(request: Request, error: Exception) -> Response:
    response = _response(request, 429, str(error))
    response.headers["retry-after"] = str(LONG_REQUESTS_RETRY_AFTER_S)
    return response


def _client_gone(_request: Request, _error: Exception) -> Response:
    """The client left before its body was complete: it does not get this, and no error is logged."""
    return Response(status_code=400)


def _log_damaged(request: Request, error: Exception) -> Response:
    return _response(request, 500, str(error))


def _cannot_unseal(request: Request, error: Exception) -> Response:
    """Of what this request needs, a login or a secret cannot be read. Which one is for the log alone."""
    _log.error("a secret cannot be read", path=request.url.path, problem=str(error))
    return _response(request, 500, CANNOT_UNSEAL)


def _database_refused(request: Request, error: DBAPIError) -> Response:
    """A connection that broke in the middle is no mistake of ours, whatever the driver calls it."""
    if error.connection_invalidated:
        return _database_away(request, error)
    raise error


def _database_away(request: Request, error: Exception) -> Response:
    """The database does not answer, or its disk is full: forges and programs send again later."""
    _log.error("the database cannot be used", path=request.url.path, error=str(error).partition("\n")[0])
    return _unavailable(request, DISK_FULL if means_full_disk(error) else DATABASE_AWAY)


def _operating_system_refused(request: Request, error: Exception) -> Response:
    if isinstance(error, BlobError):
        _log.error("a stored log cannot be read", path=request.url.path, error=str(error))
        return _unavailable(request, BLOBS_AWAY)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        _log.error("the disk is full", path=request.url.path, error=str(error))
        return _unavailable(request, DISK_FULL)
    raise error


def _unavailable(request: Request, sentence: str) -> Response:
    response = _response(request, 503, sentence)
    response.headers["retry-after"] = str(RETRY_AFTER_S)
    return response


def _internal_error(request: Request, _error: Exception) -> Response:
    return _response(request, 500, INTERNAL_ERROR)
