"""A repository's settings page: its webhook, commit statuses, newest wins, and its secrets."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from pipelines.trigger import Event
from web.operations import repos, secrets
from web.operations.errors import InvalidInputError
from web.operations.lookup import repo_named
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user, require_admin
from web.services import Services, ServicesDep
from web.urls import hook_url, repo_path
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.session import db_now_ms, reading

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/repos/{name:path}/settings")
def settings_page(request: Request, services: ServicesDep, user: CurrentUser, name: str) -> Response:
    """A repository's settings."""
    return _settings_page(request, services, user, name)


@router.post("/repos/{name:path}/settings/secrets", dependencies=[Depends(require_admin)])
def put_secret(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    secret: Annotated[str, Form()] = "",
    value: Annotated[str, Form()] = "",
) -> Response:
    """Adds or replaces a secret. A secret that cannot be used is explained on the page."""
    try:
        secrets.put(services, name, secret, value)
    except InvalidInputError as error:
        return _settings_page(request, services, user, name, error=str(error))
    return _redirect(name)


@router.post("/repos/{name:path}/settings/secrets/delete", dependencies=[Depends(require_admin)])
def delete_secret(services: ServicesDep, name: str, secret: Annotated[str, Form()]) -> Response:
    """Removes a secret."""
    secrets.remove(services, name, secret)
    return _redirect(name)


@router.post("/repos/{name:path}/settings/newest-wins", dependencies=[Depends(require_admin)])
def set_newest_wins(services: ServicesDep, name: str, event: Annotated[tuple[Event, ...], Form()] = ()) -> Response:
    """Sets for which events newer runs end older ones."""
    repos.set_newest_wins(services, name, event)
    return _redirect(name)


@router.post("/repos/{name:path}/settings/untrusted", dependencies=[Depends(require_admin)])
def set_untrusted_runs(
    services: ServicesDep,
    name: str,
    runs: Annotated[UntrustedRuns, Form()],
    pipeline_from: Annotated[PipelineFrom, Form()],
) -> Response:
    """Sets what happens to untrusted runs."""
    repos.set_untrusted_runs(services, name, runs, pipeline_from)
    return _redirect(name)


def _redirect(name: str) -> Response:
    return RedirectResponse(f"{repo_path(name)}/settings", 303)


def _settings_page(request: Request, services: Services, user: CurrentUser, name: str, *, error: str = "") -> Response:
    with reading(services.engine) as session:
        repo = repo_named(session, name)
        found = store.secrets_of(session, repo.id)
        now = db_now_ms(session)
    return page(
        request,
        "settings.html",
        status=422 if error else 200,
        user=user,
        repo=repo,
        secrets=found,
        hook_url=hook_url(services.settings, name),
        error=error,
        now=now,
    )
