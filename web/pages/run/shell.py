"""The page with a shell in a running step."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from web.operations.errors import NotFoundError
from web.operations.lookup import run_numbered, step_with_id
from web.operations.runs.shells import check_may_open
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers.db.roles import Role
from workers.db.session import reading

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/repos/{name:path}/runs/{number}/shell/{step_id}")
def shell_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: Annotated[int, Path(ge=1, le=2**53)],
    step_id: Annotated[int, Path(ge=1, le=2**53)],
) -> Response:
    """A terminal. Its script opens the WebSocket, whose answer says whether the step still runs."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, user, name, number, Role.READ)
        place = step_with_id(session, user, step_id)
    if place.run.id != run.id:
        raise NotFoundError(f"Run {number} of {name} has no such step.")
    check_may_open(services, user, step_id)
    return page(request, "shell.html", user=user, repo=repo, run=run, step=place.step)
