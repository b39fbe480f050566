"""A repository's settings page: its webhook, commit statuses, newest wins, who sees it, its roles and secrets."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from pipelines.trigger import Event
from web.operations.accounts import roles
from web.operations.errors import InvalidInputError, NotFoundError
from web.operations.lookup import repo_named
from web.operations.repos import forge_tokens, repos, secrets
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import Services, ServicesDep
from web.urls import hook_url, repo_path
from workers import store
from workers.access.trust import PipelineFrom, UntrustedRuns
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading
from workers.store.accounts.roles import roles_on_repo
from workers.store.repos.retention import own_values
from workers.store.repos.shared_secrets import shared_secrets_for
from workers.store.runs import heads
from workers.store.runs.delivery_lists import deliveries_of

_DELIVERIES_SHOWN = 10
_MISSED_SHOWN = 10

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/repos/{name:path}/settings")
def settings_page(request: Request, services: ServicesDep, user: CurrentUser, name: str) -> Response:
    """A repository's settings."""
    return _settings_page(request, services, user, name)


@router.post("/repos/{name:path}/settings/secrets")
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
        secrets.put(services, user, name, secret, value)
    except InvalidInputError as error:
        return _settings_page(request, services, user, name, error=str(error))
    return _redirect(name)


@router.post("/repos/{name:path}/settings/secrets/delete")
def delete_secret(services: ServicesDep, user: CurrentUser, name: str, secret: Annotated[str, Form()]) -> Response:
    """Removes a secret."""
    secrets.remove(services, user, name, secret)
    return _redirect(name)


@router.post("/repos/{name:path}/settings/newest-wins")
def set_newest_wins(
    services: ServicesDep, user: CurrentUser, name: str, event: Annotated[tuple[Event, ...], Form()] = ()
) -> Response:
    """Sets for which events newer runs end older ones."""
    repos.set_newest_wins(services, user, name, event)
    return _redirect(name)


@router.post("/repos/{name:path}/settings/roles")
def put_role(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    member: Annotated[str, Form()] = "",
    role: Annotated[Role, Form()] = Role.READ,
) -> Response:
    """Gives a user a role. An unknown name is explained on the page."""
    try:
        roles.put(services, user, name, member, role)
    except NotFoundError as error:
        # If it is the repository that was not found, the page raises the same error again.
        return _settings_page(request, services, user, name, role_error=str(error))
    return _redirect(name)


@router.post("/repos/{name:path}/settings/roles/delete")
def delete_role(services: ServicesDep, user: CurrentUser, name: str, member: Annotated[str, Form()]) -> Response:
    """Takes a user's role away."""
    roles.remove(services, user, name, member)
    # Who has taken their own role away does not see the settings any more.
    return RedirectResponse("/", 303) if member == user.name and not user.is_admin else _redirect(name)


@router.post("/repos/{name:path}/settings/visibility")
def set_visibility(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    visible: Annotated[bool, Form()] = False,  # noqa: FBT002 - a form's field
) -> Response:
    """Whether all users see the repository."""
    roles.set_visible_to_all(services, user, name, visible=visible)
    return _redirect(name)


@router.post("/repos/{name:path}/settings/untrusted")
def set_untrusted_runs(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    runs: Annotated[UntrustedRuns, Form()],
    pipeline_from: Annotated[PipelineFrom, Form()],
) -> Response:
    """Sets what happens to untrusted runs."""
    repos.set_untrusted_runs(services, user, name, runs, pipeline_from)
    return _redirect(name)


def _redirect(name: str) -> Response:
    return RedirectResponse(f"{repo_path(name)}/settings", 303)


def _settings_page(
    request: Request, services: Services, user: CurrentUser, name: str, *, error: str = "", role_error: str = ""
) -> Response:
    with reading(services.engine) as session:
        repo = repo_named(session, user, name, Role.ADMIN)
        found = store.secrets_of(session, repo.id)
        given = roles_on_repo(session, repo.id)
        shared = shared_secrets_for(session, repo.name)
        token = forge_tokens.used_for(session, repo)
        deliveries = deliveries_of(session, repo.id, None, _DELIVERIES_SHOWN)
        missed, check = heads.missed_pushes(session, repo.id, _MISSED_SHOWN), heads.check_of(session, repo.id)
        own = own_values(session, repo.id)
        now = db_now_ms(session)
    return page(
        request,
        "settings.html",
        status=422 if error or role_error else 200,
        user=user,
        repo=repo,
        secrets=found,
        hook_url=hook_url(services.settings, name),
        roles=given,
        deliveries=deliveries,
        missed_pushes=missed,
        check_problem=check.problem if check else "",
        shared=shared,
        token=token,
        own=own,
        server=asdict(services.settings.retention),
        all_roles=tuple(Role),
        error=error,
        role_error=role_error,
        now=now,
    )
