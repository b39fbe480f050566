"""Runs, as JSON: listed, shown, started, canceled and re-run."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query, Response

from pipelines.state import State
from pipelines.trigger import Event, Trigger
from web.api.schemas import (
    CanceledRun,
    ProblemsSchema,
    RecentRun,
    RerunRequest,
    RunDetail,
    RunRequest,
    RunSchema,
    StartedRun,
    recent_run,
    run_detail,
)
from web.json_api import RunNumber, make_router
from web.operations.lookup import jobs_with_steps, repo_named, run_numbered
from web.operations.reports.run_reports import reports_of
from web.operations.reruns.request import asked_for
from web.operations.runs import runs
from web.operations.runs.run_verdict import run_verdict
from web.security.auth import CurrentUser
from web.services import ServicesDep
from web.urls import repo_path
from workers import store
from workers.db.roles import Role
from workers.db.session import reading
from workers.store.runs.run_search import search_runs
from workers.triggers.manual import ManualRun

router = make_router()
Limit = Annotated[int, Query(ge=1, le=200)]
Word = Annotated[str, Query(max_length=1000)]


@router.get("/runs")
def list_recent_runs(services: ServicesDep, user: CurrentUser, limit: Limit = 30) -> list[RecentRun]:
    """The newest runs of all repositories that you see."""
    with reading(services.engine) as session:
        return [recent_run(run, repo) for run, repo in store.recent_runs(session, limit, user.viewer)]


def run_filter(
    branch: Word = "",
    state: State | None = None,
    event: Event | None = None,
    ref: Word = "",
    author: Word = "",
    text: Annotated[str, Query(max_length=200)] = "",
) -> store.RunFilter:
    """Which runs are asked for."""
    return store.RunFilter(branch, state, event, ref, author, text)


@router.get("/repos/{name:path}/runs")
def list_runs(
    response: Response,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    only: Annotated[store.RunFilter, Depends(run_filter)],
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Limit = 30,
) -> list[RunSchema]:
    """A repository's runs, the newest first. ``before``: only runs with a smaller number, for the next page.

    ``branch``, ``state``, ``event``, ``ref`` (such as refs/pull/7/head) and ``author``: only runs with these. ``text``
    is a part of the title, or the beginning of the commit's id. The header ``Link`` leads to the next page. Of a long
    history a part is searched at a time, so that a page may have fewer runs, or none, and still have a next one.
    """
    with reading(services.engine) as session:
        repo = repo_named(session, user, name, Role.READ)
        found = search_runs(session, repo.id, only, before, limit)
    if found.older is not None:
        asked = {key: value for key, value in vars(only).items() if value}
        query = urlencode({**asked, "limit": limit, "before": found.older})
        response.headers["link"] = f'</api{repo_path(repo.name)}/runs?{query}>; rel="next"'
    return [RunSchema.model_validate(run) for run in found.runs]


@router.post("/repos/{name:path}/runs", status_code=202)
def start_run(services: ServicesDep, user: CurrentUser, name: str, request: RunRequest) -> StartedRun:
    """Starts a run by hand, as a manual one or as a deployment."""
    queued = runs.start(services, user, name, ManualRun(**dict(request), by_admin=user.administers))
    return StartedRun(run=queued.number, url=services.settings.run_url(name, queued.number))


@router.get("/repos/{name:path}/runs/{number}")
def get_run(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> RunDetail:
    """A run with its verdict, jobs, steps and problems."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, user, name, number, Role.READ, services.settings.retention)
        jobs = jobs_with_steps(session, run.id)
        waits = store.why_waiting(session, repo.name, [job for job, _ in jobs])
        trouble = store.status_problem(session, run.id)
        reports = reports_of(session, repo, run)
    verdict = run_verdict(services, run, jobs, reports)
    return run_detail(repo, run, services.settings.run_url(name, number), jobs, waits, trouble, verdict)


@router.get("/repos/{name:path}/runs/{number}/trigger")
def get_trigger(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> Trigger:
    """What started the run: event, refs, pull request, inputs, changed files; for `headway run --like`."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, user, name, number, Role.READ, services.settings.retention)
        return store.trigger_of(run)


@router.get("/repos/{name:path}/runs/{number}/problems")
def get_problems(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> ProblemsSchema:
    """Errors and warnings in the run's pipeline files."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, user, name, number, Role.READ, services.settings.retention)
    return ProblemsSchema.model_validate(run)


@router.post("/repos/{name:path}/runs/{number}/cancel", status_code=202)
def cancel_run(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> CanceledRun:
    """Asks a run to stop. A run that has ended stays as it is."""
    return CanceledRun(state=runs.cancel(services, user, name, number))


@router.post("/repos/{name:path}/runs/{number}/approve", status_code=202)
def approve_run(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> StartedRun:
    """Approves an untrusted run that waits for it. It stays untrusted: no secrets, no logins, no pushes."""
    runs.approve(services, user, name, number)
    return StartedRun(run=number, url=services.settings.run_url(name, number))


@router.post("/repos/{name:path}/runs/{number}/rerun", status_code=202)
def rerun(
    services: ServicesDep, user: CurrentUser, name: str, number: RunNumber, request: RerunRequest | None = None
) -> StartedRun:  # fmt: skip
    """Queues the same trigger once more, under a new number. Jobs that are not asked for are carried over."""
    request = request or RerunRequest()
    asked = asked_for(failed=request.failed, jobs=request.jobs, from_step=request.from_failed_step)
    queued = runs.rerun(services, user, name, number, asked, request.reason, no_reuse=request.no_reuse)
    return StartedRun(run=queued.number, url=services.settings.run_url(name, queued.number))
