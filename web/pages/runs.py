"""The pages. Each reads without JavaScript; scripts make them move."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from pipelines.state import State
from pipelines.trigger import Event
from web.operations import actions
from web.operations.log_parts import Part, tail
from web.operations.lookup import in_order, jobs_with_steps, repo_named, run_numbered, version_of, version_of_recent
from web.pages.repo import RUNS_ON_A_PAGE
from web.pages.templates import page, plain_lines
from web.security.auth import Me, admin, visitor
from web.services import Services, Wired
from web.urls import hook_url, repo_path, run_path
from workers import store
from workers.db.models import Job, Run, Step
from workers.db.session import db_now_ms, reading
from workers.logs import LogDamagedError

LINES_WITHOUT_SCRIPT = 500
_FIRST_LOOK = (State.FAILED, State.BROKEN, State.RUNNING)

router = APIRouter(include_in_schema=False, dependencies=[Depends(visitor)])
Number = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/")
def front(request: Request, services: Wired, me: Me) -> Response:
    """All repositories, and the newest runs."""
    with reading(services.engine) as session:
        repos = store.repos(session)
        last = store.last_runs(session)
        recent = store.recent_runs(session, RUNS_ON_A_PAGE)
        idle = store.idle_runs(session)
        now = db_now_ms(session)
    version = version_of_recent(recent, len(repos), idle)
    return page(
        request, "front.html", me=me, repos=repos, last=last, recent=recent, idle=idle, now=now, version=version
    )


@router.get("/repos/{name:path}/runs/{number}")
def run_page(
    request: Request,
    services: Wired,
    me: Me,
    name: str,
    number: Number,
    step: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """A run: its steps, and the log of one of them."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, name, number)
        jobs = in_order(jobs_with_steps(session, run.id))
        waits = store.why_waiting(session, repo.name, [job for job, _ in jobs])
        parent = store.run_by_id(session, run.parent_run_id) if run.parent_run_id else None
        forge_trouble = store.status_problem(session, run.id)
        now = db_now_ms(session)
    chosen = _chosen(jobs, step)
    # A script that only asks for the states has the log already.
    log = _log(services, run, chosen) if chosen and "hx-request" not in request.headers else None
    return page(
        request,
        "run.html",
        me=me,
        repo=repo,
        run=run,
        parent=parent,
        started_by=_started_by(run),
        jobs=jobs,
        waits=waits,
        forge_trouble=forge_trouble,
        chosen=chosen,
        chosen_job=next((job for job, _ in jobs if chosen and job.id == chosen.job_id), None),
        log=log,
        lines=plain_lines(log.data) if log else [],
        pushed=_pushed(jobs),
        version=version_of(run, jobs),
        now=now,
    )


def _started_by(run: Run) -> str:
    """Who or what asked for a run that no push explains; empty where the commit's author says it."""
    trigger = store.trigger_of(run)
    asked = trigger.event in {Event.MANUAL, Event.CRON, Event.DEPLOYMENT}
    return trigger.sender if asked and trigger.sender != run.author else ""


@router.post("/repos/{name:path}/runs/{number}/cancel")
def cancel(services: Wired, me: Me, name: str, number: Number) -> Response:
    """Asks the run to stop."""
    actions.cancel(services, name, number, me.name)
    return RedirectResponse(run_path(name, number), 303)


@router.post("/repos/{name:path}/runs/{number}/rerun")
def rerun(services: Wired, name: str, number: Number) -> Response:
    """Queues the run's trigger once more and leads there."""
    return RedirectResponse(run_path(name, actions.rerun(services, name, number).number), 303)


@router.get("/repos/{name:path}/settings")
def settings_page(request: Request, services: Wired, me: Me, name: str) -> Response:
    """A repository's webhook and secrets."""
    return _settings(request, services, me, name)


@router.post("/repos/{name:path}/settings/secrets", dependencies=[Depends(admin)])
def add_secret(
    request: Request,
    services: Wired,
    me: Me,
    name: str,
    secret: Annotated[str, Form()] = "",
    value: Annotated[str, Form(max_length=65_536)] = "",
) -> Response:
    """Adds or replaces a secret."""
    if not value:
        return _settings(request, services, me, name, status=422, error="The secret has no value.")
    try:
        actions.put_secret(services, name, secret, value, None)
    except HTTPException as error:
        return _settings(request, services, me, name, status=error.status_code, error=error.detail)
    return RedirectResponse(f"{repo_path(name)}/settings", 303)


@router.post("/repos/{name:path}/settings/newest-wins", dependencies=[Depends(admin)])
def set_newest_wins(services: Wired, name: str, event: Annotated[tuple[Event, ...], Form()] = ()) -> Response:
    """Says for which events newer runs end older ones."""
    actions.set_newest_wins(services, name, event)
    return RedirectResponse(f"{repo_path(name)}/settings", 303)


@router.post("/repos/{name:path}/settings/secrets/delete", dependencies=[Depends(admin)])
def delete_secret(services: Wired, name: str, secret: Annotated[str, Form()]) -> Response:
    """Removes a secret."""
    actions.drop_secret(services, name, secret)
    return RedirectResponse(f"{repo_path(name)}/settings", 303)


def _settings(
    request: Request, services: Services, me: Me, name: str, *, status: int = 200, error: str = ""
) -> Response:
    with reading(services.engine) as session:
        repo = repo_named(session, name)
        secrets = store.secrets_of(session, repo.id)
        now = db_now_ms(session)
    return page(
        request,
        "settings.html",
        status=status,
        me=me,
        repo=repo,
        secrets=secrets,
        hook_url=hook_url(services.settings, name),
        error=error,
        now=now,
    )


def _chosen(jobs: list[tuple[Job, list[Step]]], asked: int | None) -> Step | None:
    """The step whose log is shown: the one asked for, else the first that needs a look, else the last that began."""
    steps = [step for _, of_job in jobs for step in of_job]
    by_id = {step.id: step for step in steps}
    if asked in by_id:
        return by_id[asked]
    for state in _FIRST_LOOK:
        if found := next((step for step in steps if step.state is state), None):
            return found
    done = [step for step in steps if step.started_ms is not None]
    return done[-1] if done else next(iter(steps), None)


def _log(services: Services, run: Run, step: Step) -> Part:
    try:
        return tail(services.logs, (run.id, step.job_id, step.number, step.attempt), LINES_WITHOUT_SCRIPT)
    except LogDamagedError as error:
        return Part(str(error).encode(), offset=0, line=1, size_bytes=0, lines=0, complete=True)


@dataclass(frozen=True)
class _Pushed:
    """An image in a registry, and the command that fetches exactly it."""

    name: str
    tag: str
    digest: str

    @property
    def pull(self) -> str:
        return f"docker pull {self.name}:{self.tag}@{self.digest}"


def _pushed(jobs: list[tuple[Job, list[Step]]]) -> list[_Pushed]:
    return [
        _Pushed(image["repo"], image["tag"], image["digest"])
        for _, steps in jobs
        for step in steps
        for image in step.facts.get("pushed", [])
    ]
