"""A repository's page: its runs, the form that starts a run, and its crons."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict
from starlette.responses import RedirectResponse, Response

from pipelines.state import State
from pipelines.trigger import Event
from web.operations.errors import InvalidInputError
from web.operations.lookup import repo_named
from web.operations.repos import crons
from web.operations.repos.badges import badge_path
from web.operations.runs import runs
from web.operations.runs.asked_refs import UnknownRefError, check_ref_exists
from web.pages.bars import BARS
from web.pages.permitted import permitted
from web.pages.templates import page
from web.security.access import Actor, role_on
from web.security.auth import CurrentUser, current_user
from web.services import Services, ServicesDep
from web.urls import hook_url, repo_path, run_path
from workers import store
from workers.db.models import Repo
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading
from workers.store.runs.heads import missed_pushes
from workers.store.runs.refs import history_of_ref
from workers.store.runs.run_search import LOOKED_AT_MAX, search_runs
from workers.triggers.crons import NewCron
from workers.triggers.manual import ManualRun

RUNS_ON_A_PAGE = 30
TEXT_SEARCHED_CHARS_MAX = 200
_MISSED_SHOWN = 3
_TEXT_CHARS_MAX = 100_000
_INPUT, _HEADS = "input.", "refs/heads/"
_ALL = store.RunFilter()
_EmptyIsNone = BeforeValidator(lambda value: value or None)  # a form sends every field

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])
Word = Annotated[str, Query(max_length=1000)]
Text = Annotated[str, Form(max_length=_TEXT_CHARS_MAX)]


class RunForm(BaseModel):
    """The form that starts a run. A ``target`` makes it a deployment.

    With ``anyway``, a branch that was not there yet when Headway looked last is no error.
    It has a field ``input.NAME`` for each input that the pipeline declares; ``inputs`` are further lines NAME=VALUE.
    """

    model_config = ConfigDict(str_strip_whitespace=True, str_max_length=_TEXT_CHARS_MAX, extra="allow")

    branch: str = ""
    tag: str = ""
    commit: str = ""
    inputs: str = ""
    target: str = ""
    no_reuse: bool = False
    anyway: bool = False

    def given(self) -> dict[str, str]:
        """What the fields of declared inputs hold. An empty field leaves the input at its default."""
        fields = {
            name.removeprefix(_INPUT): text
            for name, text in (self.model_extra or {}).items()
            if name.startswith(_INPUT)
        }
        return {name: str(text) for name, text in fields.items() if text}

    def request(self, user: Actor) -> ManualRun:
        """The run that the form asks for. Raises InvalidInputError."""
        asked = runs.run_request(
            branch=self.branch,
            tag=self.tag,
            commit=self.commit,
            input_lines=self.inputs.splitlines(),
            target=self.target,
            by_admin=user.administers,
            no_reuse=self.no_reuse,
        )
        return replace(asked, inputs={**self.given(), **asked.inputs})


class CronForm(BaseModel):
    """The form that adds or changes a cron. ``inputs`` are lines NAME=VALUE."""

    model_config = ConfigDict(str_strip_whitespace=True, str_max_length=_TEXT_CHARS_MAX)

    cron: str = ""
    expression: str = ""
    zone: str = "UTC"
    branch: str = ""
    inputs: str = ""

    def request(self) -> NewCron:
        """The cron that the form asks for. Raises InvalidInputError."""
        return crons.cron_request(self.cron, self.expression, self.zone, self.branch, self.inputs.splitlines())


@router.post("/repos/{name:path}/runs")
def start_run(
    request: Request, services: ServicesDep, user: CurrentUser, name: str, form: Annotated[RunForm, Form()]
) -> Response:
    """Starts a run by hand and redirects to it. Input that cannot be used is explained on the page."""
    try:
        asked = form.request(user)
        if not form.anyway:
            check_ref_exists(services, user, name, asked)
        queued = runs.start(services, user, name, asked)
    except InvalidInputError as error:
        form.anyway = isinstance(error, UnknownRefError)
        return _repo_page(request, services, user, name, form=form, error=str(error))
    return RedirectResponse(run_path(name, queued.number), 303)


@router.post("/repos/{name:path}/crons")
def put_cron(
    request: Request, services: ServicesDep, user: CurrentUser, name: str, form: Annotated[CronForm, Form()]
) -> Response:
    """Adds or changes a cron. Input that cannot be used is explained on the page."""
    try:
        crons.put(services, user, name, form.request())
    except InvalidInputError as error:
        return _repo_page(request, services, user, name, form=form, error=str(error))
    return _redirect(name)


@router.post("/repos/{name:path}/crons/switch")
def switch_cron(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    cron: Text,
    on: Annotated[bool, Form()] = False,  # noqa: FBT002 - a form's field
) -> Response:
    """Switches a cron on or off."""
    crons.switch(services, user, name, cron, on=on)
    return _redirect(name)


@router.post("/repos/{name:path}/crons/delete")
def delete_cron(services: ServicesDep, user: CurrentUser, name: str, cron: Text) -> Response:
    """Removes a cron."""
    crons.remove(services, user, name, cron)
    return _redirect(name)


@router.post("/repos/{name:path}/crons/run")
def run_cron(services: ServicesDep, user: CurrentUser, name: str, cron: Text) -> Response:
    """Starts a cron's run now and redirects to it."""
    return RedirectResponse(run_path(name, crons.run_now(services, user, name, cron).number), 303)


def run_filter(
    branch: Word = "",
    state: Annotated[State | None, _EmptyIsNone] = None,
    event: Annotated[Event | None, _EmptyIsNone] = None,
    ref: Word = "",
    author: Word = "",
    text: Annotated[str, Query(max_length=TEXT_SEARCHED_CHARS_MAX)] = "",
) -> store.RunFilter:
    """Which runs the address asks for."""
    return store.RunFilter(branch.strip(), state, event, ref.strip(), author.strip(), text.strip())


@router.get("/repos/{name:path}")
def repo_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    only: Annotated[store.RunFilter, Depends(run_filter)],
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """A repository's runs: all, or those of a branch or a pull request, in a state, of an event, by an author."""
    return _repo_page(request, services, user, name, before=before, only=only)


def _redirect(name: str) -> Response:
    return RedirectResponse(f"{repo_path(name)}#crons", 303)


def _repo_page(
    request: Request,
    services: Services,
    user: CurrentUser,
    name: str,
    *,
    before: int | None = None,
    only: store.RunFilter = _ALL,
    form: RunForm | CronForm | None = None,
    error: str = "",
) -> Response:
    with reading(services.engine) as session:
        repo = repo_named(session, user, name, Role.READ)
        role = role_on(session, user, repo)
        runs_found = search_runs(session, repo.id, only, before, RUNS_ON_A_PAGE)
        shown = runs_found.runs
        history = history_of_ref(session, repo.id, only.ref, BARS) if only.ref else []
        found = store.crons_of(session, repo.id)
        idle = store.idle_runs(session, [*shown, *(last for _, last in found if last)])
        declared = store.branch_inputs(session, repo.id, repo.default_branch)
        missed = missed_pushes(session, repo.id, _MISSED_SHOWN)
        now = db_now_ms(session)
    return page(
        request,
        "repo.html",
        status=422 if error else 200,
        user=user,
        repo=repo,
        may=permitted(role),
        runs=shown,
        idle=idle,
        crons=found,
        declared=declared,
        missed_pushes=missed,
        before=before,
        older=runs_found.older,
        incomplete=runs_found.incomplete,
        looked_at=LOOKED_AT_MAX,
        history=history,
        badge=_badge(services, repo, only.ref),
        only=only,
        filters=urlencode({column: value for column, value in vars(only).items() if value}),
        states=list(State),
        events=list(Event),
        page_url=f"{services.settings.url}{repo_path(repo.name)}",
        hook_url=hook_url(services.settings, name),
        asked=form if isinstance(form, RunForm) else RunForm(),
        run_error=error if isinstance(form, RunForm) else "",
        new_cron=form if isinstance(form, CronForm) else CronForm(),
        cron_error=error if isinstance(form, CronForm) else "",
        now=now,
    )


def _badge(services: Services, repo: Repo, ref: str) -> str:
    """The address of the badge of the default branch, or of the branch that the page shows; empty for other refs."""
    url = f"{services.settings.url}{badge_path(services, repo)}"
    if not ref:
        return url
    return f"{url}?{urlencode({'branch': ref.removeprefix(_HEADS)})}" if ref.startswith(_HEADS) else ""
