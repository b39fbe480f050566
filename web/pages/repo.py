"""A repository's page: its runs, a form that starts one, and its crons."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import RedirectResponse, Response

from web.operations import actions
from web.operations.lookup import repo_named
from web.pages.templates import page
from web.security.auth import Me, admin, visitor
from web.services import Services, Wired
from web.urls import hook_url, repo_path, run_path
from workers import store
from workers.db.session import db_now_ms, reading
from workers.triggers.crons import NewCron
from workers.triggers.manual import InvalidRequestError, ManualRun, event_for, inputs_from

RUNS_ON_A_PAGE = 30
_TEXT_CHARS_MAX = 100_000

router = APIRouter(include_in_schema=False, dependencies=[Depends(visitor)])
Text = Annotated[str, Form(max_length=_TEXT_CHARS_MAX)]


class RunForm(BaseModel):
    """A run by hand. ``inputs`` are lines; a ``target`` makes it a deployment."""

    model_config = ConfigDict(str_strip_whitespace=True, str_max_length=_TEXT_CHARS_MAX)

    branch: str = ""
    tag: str = ""
    commit: str = ""
    inputs: str = ""
    target: str = ""

    def asked(self) -> ManualRun:
        """The same, as what starts runs takes it. Raises InvalidRequestError."""
        inputs = inputs_from(self.inputs.splitlines())
        return ManualRun(self.branch, self.tag, self.commit, inputs, event_for(self.target), self.target)


class CronForm(BaseModel):
    """A cron to be added or changed."""

    model_config = ConfigDict(str_strip_whitespace=True, str_max_length=_TEXT_CHARS_MAX)

    cron: str = ""
    expression: str = ""
    zone: str = "UTC"
    branch: str = ""
    inputs: str = ""

    def new(self) -> NewCron:
        """The same, as what keeps crons takes it. Raises InvalidRequestError."""
        return NewCron(self.cron, self.expression, self.zone, self.branch, inputs_from(self.inputs.splitlines()))


@router.post("/repos/{name:path}/runs")
def start_run(request: Request, services: Wired, me: Me, name: str, form: Annotated[RunForm, Form()]) -> Response:
    """Starts a run by hand and leads there."""
    try:
        queued = actions.start(services, name, form.asked(), me.name)
    except InvalidRequestError as error:
        return _repo_page(request, services, me, name, form=form, error=str(error))
    return RedirectResponse(run_path(name, queued.number), 303)


@router.post("/repos/{name:path}/crons", dependencies=[Depends(admin)])
def put_cron(request: Request, services: Wired, me: Me, name: str, form: Annotated[CronForm, Form()]) -> Response:
    """Adds or changes a cron."""
    try:
        actions.put_cron(services, name, form.new())
    except InvalidRequestError as error:
        return _repo_page(request, services, me, name, form=form, error=str(error))
    return _back(name)


@router.post("/repos/{name:path}/crons/switch", dependencies=[Depends(admin)])
def switch_cron(services: Wired, name: str, cron: Text, on: Annotated[bool, Form()] = False) -> Response:  # noqa: FBT002 - a form's field
    """Switches a cron on or off."""
    actions.switch_cron(services, name, cron, on=on)
    return _back(name)


@router.post("/repos/{name:path}/crons/delete", dependencies=[Depends(admin)])
def delete_cron(services: Wired, name: str, cron: Text) -> Response:
    """Removes a cron."""
    actions.drop_cron(services, name, cron)
    return _back(name)


@router.post("/repos/{name:path}/crons/run")
def run_cron(services: Wired, me: Me, name: str, cron: Text) -> Response:
    """Starts a cron's run now and leads there."""
    return RedirectResponse(run_path(name, actions.run_cron(services, name, cron, me.name).number), 303)


@router.get("/repos/{name:path}")
def repo_page(
    request: Request,
    services: Wired,
    me: Me,
    name: str,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """A repository's runs."""
    return _repo_page(request, services, me, name, before=before)


def _back(name: str) -> Response:
    return RedirectResponse(f"{repo_path(name)}#crons", 303)


def _repo_page(
    request: Request,
    services: Services,
    me: Me,
    name: str,
    *,
    before: int | None = None,
    form: RunForm | CronForm | None = None,
    error: str = "",
) -> Response:
    with reading(services.engine) as session:
        repo = repo_named(session, name)
        runs = store.runs_of(session, repo.id, before, RUNS_ON_A_PAGE)
        idle = store.idle_runs(session)
        crons = store.crons_of(session, repo.id)
        now = db_now_ms(session)
    # Numbers have no gaps, so the oldest shown tells whether there are more.
    older = runs[-1].number if runs and runs[-1].number > 1 else None
    return page(
        request,
        "repo.html",
        status=422 if error else 200,
        me=me,
        repo=repo,
        runs=runs,
        idle=idle,
        crons=crons,
        before=before,
        older=older,
        hook_url=hook_url(services.settings, name),
        asked=form if isinstance(form, RunForm) else RunForm(),
        run_error=error if isinstance(form, RunForm) else "",
        new_cron=form if isinstance(form, CronForm) else CronForm(),
        cron_error=error if isinstance(form, CronForm) else "",
        now=now,
    )
