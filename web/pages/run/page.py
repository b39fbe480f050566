"""A run's page: its jobs and steps, and the log of one step. Works without JavaScript; scripts keep it up to date."""

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Form, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from pipelines.state import State
from pipelines.trigger import Event
from web.operations.lookup import jobs_with_steps, run_numbered
from web.operations.reports.covered_files import files_of
from web.operations.reports.run_reports import reports_of
from web.operations.repos.retention import logs_kept
from web.operations.reruns.request import asked_for
from web.operations.runs import runs
from web.operations.runs.ignored_steps import ignored_steps
from web.operations.runs.job_order import in_dependency_order, step_slugs
from web.operations.runs.log_parts import BLOBS_AWAY, EarlierLog, LogPart, earlier_logs, last_lines, why_deleted
from web.operations.runs.run_verdict import plain_lines, run_verdict
from web.operations.runs.shells import can_have_shell, needed_role
from web.pages.permitted import permitted
from web.pages.refresh import run_page_version
from web.pages.run.graph import graphs_of
from web.pages.run.job_list import job_list
from web.pages.run.timeline import timeline_of
from web.pages.templates import page
from web.security.access import role_on
from web.security.auth import CurrentUser, current_user
from web.services import Services, ServicesDep
from web.urls import run_path, shell_path
from workers import store
from workers.blobs import BlobError
from workers.db.models import Job, Run, Step
from workers.db.roles import Role
from workers.db.session import db_now_ms, reading
from workers.logs import LogDamagedError
from workers.store import artifacts as artifact_rows
from workers.store.reruns.choice import has_kept_files

LINES_WITHOUT_SCRIPT = 500
ARTIFACTS_SHOWN_MAX = 20
FAILURES_SHOWN_MAX = 50
FILES_SHOWN_MAX = 20
_TITLE_CHARS_MAX, _REASON_FIELD_CHARS_MAX = 10_000, 2_000
_SHOWN_FIRST = (State.FAILED, State.BROKEN, State.RUNNING)

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])
_log_of_server = structlog.get_logger()
RunNumber = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/repos/{name:path}/runs/{number}")
def run_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    number: RunNumber,
    step: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """A run: its steps, and the log of one of them."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, user, name, number, Role.READ, services.settings.retention)
        role = role_on(session, user, repo)
        jobs = in_dependency_order(jobs_with_steps(session, run.id))
        waits = store.why_waiting(session, repo.name, [job for job, _ in jobs])
        parent = store.run_by_id(session, run.parent_run_id) if run.parent_run_id else None
        forge_trouble = store.status_problem(session, run.id)
        kept = artifact_rows.count_artifacts(session, run.id)
        artifacts = artifact_rows.artifacts_of_run(session, run.id, ARTIFACTS_SHOWN_MAX) if kept[0] else []
        reports = reports_of(session, repo, run)
        covered = files_of(session, run, reports)
        now = db_now_ms(session)
    ignored = ignored_steps(jobs)
    verdict = run_verdict(services, run, jobs, reports, ignored)
    chosen = _chosen(jobs, step or verdict.step_id, ignored)
    slugs = step_slugs(jobs)
    groups = job_list(jobs, ignored, chosen)
    # A script that asks only for the states has the log already.
    log = _log(services, run, chosen) if chosen and "hx-request" not in request.headers else None
    return page(
        request,
        "run.html",
        user=user,
        repo=repo,
        may=permitted(role),
        run=run,
        parent=parent,
        started_by=_started_by(run),
        untrusted=runs.untrusted_because(run),
        jobs=jobs,
        some_reused=any("reused" in step.facts for _, steps in jobs for step in steps),
        some_kept=any(has_kept_files(job, now) for job, _ in jobs),
        some_failed=len(jobs) > 1 and any(job.state not in {State.PASSED, State.SKIPPED} for job, _ in jobs),
        waits=waits,
        forge_trouble=forge_trouble,
        chosen=chosen,
        ignored=ignored,
        slugs=slugs,
        verdict=verdict,
        groups=groups,
        graphs=graphs_of(groups, ignored, run_path(repo.name, run.number), now),
        timeline=timeline_of(run, groups, now),
        chosen_job=next((job for job, _ in jobs if chosen and job.id == chosen.job_id), None),
        log=log,
        log_deleted=why_deleted(run, chosen, partial(logs_kept, services, repo.id)) if chosen else "",
        earlier=_earlier(services, run, chosen) if log and chosen else [],
        lines=plain_lines(log.data) if log else [],
        pushed=_pushed(jobs),
        local_command=_local_command(services.settings.run_url(repo.name, run.number), chosen),
        shell_path=_shell_path(services, repo.name, run, chosen, role),
        reports=reports,
        covered=covered,
        failures_max=FAILURES_SHOWN_MAX,
        files_max=FILES_SHOWN_MAX,
        artifacts=artifacts,
        artifacts_count=kept[0],
        artifacts_bytes=kept[1],
        version=run_page_version(run, jobs),
        now=now,
    )


def _started_by(run: Run) -> str:
    """Who started a manual run, a deployment or a cron run; empty for other runs, and for the commit's author."""
    trigger = store.trigger_of(run)
    asked = trigger.event in {Event.MANUAL, Event.CRON, Event.DEPLOYMENT}
    return trigger.sender if asked and trigger.sender != run.author else ""


@router.post("/repos/{name:path}/runs/{number}/cancel")
def cancel(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> Response:
    """Asks the run to stop."""
    runs.cancel(services, user, name, number)
    return RedirectResponse(run_path(name, number), 303)


@router.post("/repos/{name:path}/runs/{number}/approve")
def approve(services: ServicesDep, user: CurrentUser, name: str, number: RunNumber) -> Response:
    """Lets an untrusted run go on that waits for approval."""
    runs.approve(services, user, name, number)
    return RedirectResponse(run_path(name, number), 303)


class RerunForm(BaseModel):
    """The buttons and fields of a re-run: of all, of what failed, or of one job."""

    failed: bool = False
    from_step: bool = False
    no_reuse: bool = False
    job: str = Field("", max_length=_TITLE_CHARS_MAX)
    reason: str = Field("", max_length=_REASON_FIELD_CHARS_MAX)


@router.post("/repos/{name:path}/runs/{number}/rerun")
def rerun(
    services: ServicesDep, user: CurrentUser, name: str, number: RunNumber, form: Annotated[RerunForm, Form()]
) -> Response:  # fmt: skip
    """Queues the run's trigger once more, or one job of it, and redirects to the new run."""
    asked = asked_for(failed=form.failed, jobs=[form.job] if form.job else [], from_step=form.from_step)
    queued = runs.rerun(services, user, name, number, asked, form.reason, no_reuse=form.no_reuse)
    return RedirectResponse(run_path(name, queued.number), 303)


def _chosen(jobs: list[tuple[Job, list[Step]]], asked: int | None, ignored: Collection[int]) -> Step | None:
    """The step whose log the page shows: the one asked for, or the first that failed, or that runs, or began last.

    A failure that does not count shows nothing of why the run ended as it did.
    """
    steps = [step for _, of_job in jobs for step in of_job]
    by_id = {step.id: step for step in steps}
    if asked in by_id:
        return by_id[asked]
    counted = [step for step in steps if step.id not in ignored]
    for state in _SHOWN_FIRST:
        if found := next((step for step in counted if step.state is state), None):
            return found
    done = [step for step in counted if step.started_ms is not None] or [s for s in steps if s.started_ms is not None]
    return done[-1] if done else next(iter(steps), None)


def _local_command(run_url: str, chosen: Step | None) -> str:
    """What to type in a clone, to see again what failed; empty where nothing did."""
    if chosen is None or chosen.state is not State.FAILED:
        return ""
    # A name is as an outsider wrote it: with `=` it is no option, and a shell gets nothing that does not print.
    step = [f"--step={chosen.name}"] if chosen.name.isprintable() else []
    return shlex.join(["headway", "run", "--like", run_url, *step])


def _shell_path(services: Services, name: str, run: Run, chosen: Step | None, role: Role | None) -> str:
    """Where a shell can be opened in the step; empty where none can, or not by this user."""
    if chosen is None or role is None or not services.settings.step_shells or not can_have_shell(chosen):
        return ""
    return shell_path(name, run.number, chosen.id) if role.includes(needed_role(run)) else ""


def _log(services: Services, run: Run, step: Step) -> LogPart:
    try:
        return last_lines(services.logs, (run.id, step.job_id, step.number, step.attempt), LINES_WITHOUT_SCRIPT)
    except LogDamagedError as error:
        return _instead(str(error))
    except BlobError as error:
        _log_of_server.error("a stored log cannot be read", error=str(error))
        return _instead(BLOBS_AWAY)


def _earlier(services: Services, run: Run, step: Step) -> list[EarlierLog]:
    try:
        return earlier_logs(services.logs, run.id, step)
    except (LogDamagedError, BlobError):
        return []  # the log of the last attempt, which is shown, says so


def _instead(sentence: str) -> LogPart:
    return LogPart(sentence.encode(), offset=0, line=1, size_bytes=0, lines=0, complete=True)


@dataclass(frozen=True)
class _Pushed:
    """An image that a step pushed, and the command that pulls exactly this image."""

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
