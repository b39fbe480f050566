"""The web application, from its parts."""

from collections.abc import Callable
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from redis import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from web.api import pipeline_schema, runs, triggers, workers
from web.hooks import endpoint
from web.pages import login, repo
from web.pages import runs as run_pages
from web.pages import workers as workers_page
from web.pages.filters import size
from web.pages.templates import HERE, make_templates, page
from web.security.auth import LoginNeededError, new_secret
from web.security.middleware import BodyLimit, SecurityHeaders
from web.services import Services, Wired, services_of
from web.streaming import endpoints
from workers.db.session import reading
from workers.logs import LogDamagedError
from workers.secrets.vault import hook_place
from workers.triggers.manual import InvalidRequestError

_FOR_PROGRAMS = ("/api/", "/hooks/", "/healthz", "/readyz", "/schema.json")
LOGIN_NEEDED = "Log in, or send a token: Authorization: Bearer hw_... (headway token create makes one)."
NOT_FOUND = "There is nothing at this address."
BROKEN = "Headway made a mistake here. Its log says more; if it happens again, please report it."


def create_app(services: Services) -> FastAPI:
    """The application. What ``services`` holds is closed by whoever made it."""
    app = FastAPI(
        title="Headway",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=endpoints.lifespan,
        # To ask at each request whether somebody listens takes a tenth of what taking a delivery does.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.state.templates = make_templates()
    app.state.nobodys_hook_secret = services.vault.seal(hook_place(0), new_secret())
    app.state.hooks = endpoint.hooks_of(services, app.state.nobodys_hook_secret)
    app.add_middleware(BodyLimit, bytes_max=services.settings.webhook_body_bytes_max)
    app.add_middleware(SecurityHeaders, https=services.secure)
    app.exception_handler(HTTPException)(_refuse)
    app.exception_handler(RequestValidationError)(_refuse_input)
    app.exception_handler(InvalidRequestError)(_refuse_asked)
    app.exception_handler(LoginNeededError)(_ask_for_login)
    app.exception_handler(LogDamagedError)(_tell_of_damage)
    app.exception_handler(Exception)(_broken)
    app.router.routes.append(endpoint.route)
    # Those with a repository's name alone at the end come last: such a name may hold slashes.
    for part in (login, pipeline_schema, workers, workers_page, triggers, runs, endpoints, run_pages, repo):
        app.include_router(part.router)
    app.include_router(health)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    return app


health = APIRouter(include_in_schema=False)


@health.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers; nothing else is asked."""
    return {"status": "ok"}


@health.get("/readyz")
def readyz(services: Wired) -> JSONResponse:
    """200 when runs can be taken and shown; else 503 and what is missing."""
    parts = {
        "database": _state_of(lambda: _ask_database(services), SQLAlchemyError),
        "redis": _state_of(services.redis.ping, RedisError),
    }
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"ready": ready, **parts}, 200 if ready else 503)


def _ask_database(services: Services) -> None:
    with reading(services.engine) as session:
        session.execute(text("SELECT count(*) FROM repos WHERE id = 0"))


def _state_of(ask: Callable[[], object], error: type[Exception]) -> str:
    try:
        ask()
    except error as failure:
        # The first line alone: the rest may hold a statement.
        return f"does not answer: {str(failure).partition(chr(10))[0]}"
    return "ok"


def _refusal(request: Request, status: int, sentence: str) -> Response:
    if request.url.path.startswith(_FOR_PROGRAMS):
        return JSONResponse({"error": sentence}, status)
    return page(request, "error.html", status=status, sentence=sentence, code=status)


def _refuse(request: Request, error: HTTPException) -> Response:
    match error.status_code:
        case 413:
            limit = size(services_of(request).settings.webhook_body_bytes_max)
            sentence = f"The body is larger than {limit}, which is the most that is taken (webhook_body_bytes_max)."
        case 404 if error.detail == "Not Found":
            sentence = NOT_FOUND
        case 405:
            sentence = f"{request.method} is not possible here."
        case _:
            sentence = error.detail
    response = _refusal(request, error.status_code, sentence)
    response.headers.update(error.headers or {})
    return response


def _refuse_input(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return _refusal(request, 422, f"{where}: {first['msg']}.")


def _refuse_asked(request: Request, error: Exception) -> Response:
    return _refusal(request, 422, str(error))


def _ask_for_login(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith(_FOR_PROGRAMS):
        return JSONResponse({"error": LOGIN_NEEDED}, 401, {"www-authenticate": "Bearer"})
    # Where somebody wanted to go; what they wanted to send is gone.
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"?next={quote(wanted, safe='')}" if request.method == "GET" and wanted != "/" else ""
    return RedirectResponse(f"/login{target}", 303)


def _tell_of_damage(request: Request, error: Exception) -> Response:
    return _refusal(request, 500, str(error))


def _broken(request: Request, _error: Exception) -> Response:
    return _refusal(request, 500, BROKEN)
