"""The JSON API. Every call needs a login or a token; errors are ``{"error": sentence}``."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from web.api.schemas import (
    CanceledShape,
    ErrorShape,
    FoundShape,
    ProblemsShape,
    RecentRun,
    RepoShape,
    RepoWithRun,
    RunDetail,
    RunShape,
    SecretShape,
    SecretValue,
    SourceShape,
    SourcesShape,
    StartedShape,
    recent_run,
    repo_with_run,
    run_detail,
    secret,
)
from web.operations import actions
from web.operations.log_parts import (
    LINES_MAX,
    PART_BYTES_MAX,
    address_of,
    part_by_bytes,
    part_by_lines,
    search,
    sources,
    tail,
    whole,
)
from web.operations.lookup import jobs_with_steps, repo_named, run_numbered, step_numbered
from web.security.auth import Me, admin, visitor
from web.services import Wired
from workers import store
from workers.db.session import reading

REFUSALS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorShape} for status in (401, 403, 404, 409, 422)}
router = APIRouter(prefix="/api", dependencies=[Depends(visitor)], responses=REFUSALS)

Number = Annotated[int, Path(ge=1, le=2**53)]
StepId = Annotated[int, Path(ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """This API's description."""
    return dict(request.app.openapi())


@router.get("/repos")
def list_repos(services: Wired) -> list[RepoWithRun]:
    """All repositories by name, each with its newest run."""
    with reading(services.engine) as session:
        last = store.last_runs(session)
        return [repo_with_run(repo, last.get(repo.id)) for repo in store.repos(session)]


@router.get("/runs")
def list_recent_runs(services: Wired, limit: Limit = 30) -> list[RecentRun]:
    """The newest runs of all repositories."""
    with reading(services.engine) as session:
        return [recent_run(run, repo) for run, repo in store.recent_runs(session, limit)]


@router.get("/repos/{name:path}/runs")
def list_runs(
    services: Wired,
    name: str,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Limit = 30,
) -> list[RunShape]:
    """A repository's runs, the newest first; ``before`` is the number to go on from."""
    with reading(services.engine) as session:
        repo = repo_named(session, name)
        return [RunShape.model_validate(run) for run in store.runs_of(session, repo.id, before, limit)]


@router.get("/repos/{name:path}/runs/{number}")
def get_run(services: Wired, name: str, number: Number) -> RunDetail:
    """A run with its jobs, steps and problems."""
    with reading(services.engine) as session:
        repo, run = run_numbered(session, name, number)
        jobs = jobs_with_steps(session, run.id)
        waits = store.why_waiting(session, repo.name, [job for job, _ in jobs])
        trouble = store.status_problem(session, run.id)
    return run_detail(repo, run, services.settings.run_url(name, number), jobs, waits, trouble)


@router.get("/repos/{name:path}/runs/{number}/problems")
def get_problems(services: Wired, name: str, number: Number) -> ProblemsShape:
    """What was found in the run's pipeline files."""
    with reading(services.engine) as session:
        _, run = run_numbered(session, name, number)
    return ProblemsShape.model_validate(run)


@router.post("/repos/{name:path}/runs/{number}/cancel", status_code=202)
def cancel_run(services: Wired, me: Me, name: str, number: Number) -> CanceledShape:
    """Asks a run to stop. One that has ended stays as it is."""
    return CanceledShape(state=actions.cancel(services, name, number, me.name))


@router.post("/repos/{name:path}/runs/{number}/rerun", status_code=202)
def rerun_run(services: Wired, name: str, number: Number) -> StartedShape:
    """Queues the same trigger once more, under a new number."""
    queued = actions.rerun(services, name, number)
    return StartedShape(run=queued.number, url=services.settings.run_url(name, queued.number))


@router.get("/repos/{name:path}/secrets")
def list_secrets(services: Wired, name: str) -> list[SecretShape]:
    """The names of a repository's secrets. Values are never given out."""
    with reading(services.engine) as session:
        return [secret(info) for info in store.secrets_of(session, repo_named(session, name).id)]


@router.put("/repos/{name:path}/secrets/{secret_name}", status_code=204, dependencies=[Depends(admin)])
def put_secret(services: Wired, name: str, secret_name: str, new: SecretValue) -> None:
    """Adds or replaces a secret."""
    actions.put_secret(services, name, secret_name, new.value, new.events)


@router.delete("/repos/{name:path}/secrets/{secret_name}", status_code=204, dependencies=[Depends(admin)])
def delete_secret(services: Wired, name: str, secret_name: str) -> None:
    """Removes a secret."""
    actions.drop_secret(services, name, secret_name)


@router.get("/repos/{name:path}")
def get_repo(services: Wired, name: str) -> RepoShape:
    """A repository."""
    with reading(services.engine) as session:
        return RepoShape.model_validate(repo_named(session, name))


@router.get("/steps/{step_id}/log", response_class=Response)
def get_log(
    services: Wired,
    step_id: StepId,
    offset: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    max_bytes: Annotated[int, Query(ge=1, le=PART_BYTES_MAX)] = PART_BYTES_MAX,
    line: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    lines: Annotated[int, Query(ge=1, le=LINES_MAX)] = LINES_MAX,
    last: Annotated[int | None, Query(ge=1, le=LINES_MAX)] = None,
) -> Response:
    """A step's output, byte for byte as it is stored.

    By bytes (``offset``, ``max_bytes``), by lines (``line`` from 1, ``lines``), the ``last`` lines, or all of it.
    Headers say where the part begins (``X-Log-Offset``, ``X-Log-Line``), how much there is (``X-Log-Size``,
    ``X-Log-Lines``), and whether more may come (``X-Log-Complete``).
    """
    with reading(services.engine) as session:
        place = step_numbered(session, step_id)
    address = address_of(place)
    if offset is not None:
        return part_by_bytes(services.logs, address, offset, max_bytes).response()
    if line is not None:
        return part_by_lines(services.logs, address, line, lines).response()
    if last is not None:
        return tail(services.logs, address, last).response()
    name = f"{place.run.number}-{place.step.number}.log"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(whole(services.logs, address), headers=headers, media_type="text/plain; charset=utf-8")


@router.get("/steps/{step_id}/log/sources")
def get_log_sources(
    services: Wired,
    step_id: StepId,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    max_bytes: Annotated[int, Query(ge=1, le=2**53)] = PART_BYTES_MAX,
) -> SourcesShape:
    """When the bytes of a step's output came, and from where: ``stdout``, ``stderr`` or ``note`` (Headway's own words).

    The first source may begin before ``offset``. For what comes after ``end``, ask again from there on.
    """
    with reading(services.engine) as session:
        place = step_numbered(session, step_id)
    end, found = sources(services.logs, address_of(place), offset, max_bytes)
    return SourcesShape(end=end, sources=[SourceShape.model_validate(chunk) for chunk in found])


@router.get("/steps/{step_id}/log/search")
def search_log(
    services: Wired, step_id: StepId, text: Annotated[str, Query(min_length=1, max_length=1_000)]
) -> FoundShape:
    """Which lines of a step's output hold ``text``; letters a to z match either case."""
    with reading(services.engine) as session:
        place = step_numbered(session, step_id)
    lines, more = search(services.logs, address_of(place), text)
    return FoundShape(lines=lines, more=more)
