"""The schemas of the API's requests and responses. No response contains the value of a secret."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.state import Reason, State
from pipelines.trigger import Event
from runner.events import Stream
from web.operations.runs import untrusted_because
from workers.access.secret_limits import SECRET_BYTES_MAX
from workers.db.models import Cron, Job, Repo, Run, Step
from workers.triggers.manual import StartedByHand


class _Schema(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ErrorSchema(_Schema):
    """The body of every response with status 400 or more."""

    error: str = Field(description="A sentence: what is wrong, and what to do.")


class RunSchema(_Schema):
    """A run. Fields named ..._ms are milliseconds since 1970 in UTC."""

    id: int
    number: int
    event: Event
    ref: str
    branch: str
    sha: str
    title: str
    message: str
    author: str
    state: State
    reason: Reason | None
    sentence: str = Field(description="Why it ended so, and what to do.")
    cancel_requested_ms: int | None
    cancel_by: str
    held: bool = Field(description="It waits for approval by a maintainer.")
    approved_by: str
    created_ms: int
    started_ms: int | None
    finished_ms: int | None


class RepoSchema(_Schema):
    """A repository."""

    id: int
    name: str
    forge: str
    clone_url: str
    web_url: str
    default_branch: str
    private: bool
    push_repo: str
    untrusted_runs: str = Field(description="What happens to untrusted runs: approve, run or never.")
    pipeline_from: str = Field(description="Whose pipeline file untrusted runs have: commit or base.")
    active: bool
    visible_to_all: bool = Field(description="Whether every user who can log in sees its runs and logs.")
    created_ms: int


class RepoWithRun(RepoSchema):
    """A repository and its newest run."""

    last_run: RunSchema | None


class RecentRun(RunSchema):
    """A run and the repository that it belongs to."""

    repo: str


class StepSchema(_Schema):
    """A step. ``facts`` may have ``image_id``, ``size_bytes``, ``pushed`` and ``instructions``."""

    id: int
    number: int
    name: str
    kind: str
    image: str
    state: State
    reason: Reason | None
    message: str
    exit_code: int | None
    log_bytes: int
    log_lines: int
    attempt: int
    facts: dict[str, Any]
    started_ms: int | None
    finished_ms: int | None


class LogSource(_Schema):
    """From byte ``offset`` on, up to the next source, output came from ``stream`` at ``at_ms``."""

    offset: int
    at_ms: int
    stream: Stream


class LogSources(_Schema):
    """Where a part of a log came from, and when, up to byte ``end``."""

    end: int
    sources: list[LogSource]


class SearchResult(_Schema):
    """The numbers of the lines that contain the text; ``more`` is true where there may be others."""

    lines: list[int]
    more: bool


class JobSchema(_Schema):
    """A job and its steps. A job has no steps until a worker has planned the run."""

    id: int
    number: int
    name: str
    file: str
    cell: dict[str, str]
    needs: list[str]
    state: State
    reason: Reason | None
    message: str
    waits_for: str = Field("", description="Why the job waits, and what would let it start.")
    attempt: int
    host: str
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    steps: list[StepSchema] = []


class ProblemSchema(_Schema):
    """An error or a warning in a pipeline file. ``line`` and ``column`` count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str
    hint: str
    level: str
    text: str = Field("", description="The problem in one line, as headway lint prints it.")
    excerpt: list[str] = Field([], description="The line of the file, and a line with carets under the place.")


class ProblemsSchema(_Schema):
    """Errors and warnings in the run's pipeline files, and what the conditions left out of the run, and why."""

    problems: list[ProblemSchema]
    warnings: list[ProblemSchema]
    left_out: list[dict[str, str]]


class RunDetail(RunSchema, ProblemsSchema):
    """A run with its jobs, steps and problems."""

    repo: str
    url: str
    untrusted: str = Field(description="Why the run is untrusted; empty for a trusted one.")
    jobs: list[JobSchema]
    forge_trouble: str = Field(description="Why the forge could not be told the run's state; empty where it could.")


class StartedRun(_Schema):
    """A run that was just queued."""

    run: int
    url: str


class CanceledRun(_Schema):
    """The run's state right after the cancellation; a running run ends a moment later."""

    state: State


class RunRequest(BaseModel):
    """The run to start: of a branch (the default branch if empty), a tag, or a commit on either."""

    model_config = ConfigDict(extra="forbid")

    branch: str = ""
    tag: str = ""
    commit: str = Field("", description="A commit's id, or its first 7 digits or more.")
    event: StartedByHand = Event.MANUAL
    target: str = Field("", description="Where a deployment goes: CI_PIPELINE_DEPLOY_TARGET.")
    task: str = Field("", description="What a deployment does: CI_PIPELINE_DEPLOY_TASK.")
    inputs: dict[str, str] = Field({}, description="Inputs that the pipeline declares, by name.")


class CronSchema(_Schema):
    """A cron. If ``branch`` is empty it runs the default branch; ``next_ms`` is null while it is switched off."""

    name: str
    expression: str
    zone: str
    branch: str
    inputs: dict[str, str]
    enabled: bool
    next_ms: int | None
    last_run: int | None = Field(description="The number of the last run that it started.")


class CronValue(BaseModel):
    """The cron to add, or to replace the one of that name with."""

    model_config = ConfigDict(extra="forbid")

    expression: str = Field(description='Five fields such as "30 2 * * 1-5", or a short form such as @daily.')
    zone: str = Field("UTC", description="A name of the time zone database.")
    branch: str = ""
    inputs: dict[str, str] = {}
    enabled: bool = True


class WorkerSchema(_Schema):
    """A worker. ``busy`` of its ``slots`` run jobs now. It runs only jobs whose labels it has."""

    name: str
    labels: dict[str, str]
    slots: int
    busy: int
    started_ms: int
    seen_ms: int
    problem: str = Field(description="Why it takes no job now; empty where it does.")


class SecretSchema(_Schema):
    """A secret without its value."""

    name: str
    events: list[Event]
    created_ms: int
    updated_ms: int


class SecretValue(BaseModel):
    """A new value. Without ``events``, runs of all events but pull requests get a new secret."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: str = Field(description=f"1 to {SECRET_BYTES_MAX:,} bytes in UTF-8.")
    events: list[Event] | None = None


def repo_with_run(repo: Repo, run: Run | None) -> RepoWithRun:
    """A repository's row in the list."""
    own = RepoSchema.model_validate(repo).model_dump()
    return RepoWithRun(**own, last_run=RunSchema.model_validate(run) if run else None)


def recent_run(run: Run, repo: Repo) -> RecentRun:
    """A run's row in the list of all runs."""
    return RecentRun(**RunSchema.model_validate(run).model_dump(), repo=repo.name)


def run_detail(
    repo: Repo, run: Run, url: str, jobs: list[tuple[Job, list[Step]]], waits: Mapping[int, str], forge_trouble: str
) -> RunDetail:
    """A run as one document. ``waits`` says why jobs wait, by their ids."""
    return RunDetail(
        **RunSchema.model_validate(run).model_dump(),
        **ProblemsSchema.model_validate(run).model_dump(),
        repo=repo.name,
        url=url,
        untrusted=untrusted_because(run),
        jobs=[_job(job, steps, waits.get(job.id, "")) for job, steps in jobs],
        forge_trouble=forge_trouble,
    )


def _job(job: Job, steps: list[Step], waits_for: str) -> JobSchema:
    # The row has no ``steps``: they have the default until model_copy fills them in.
    schema = JobSchema.model_validate(job)
    known = {"steps": [StepSchema.model_validate(step) for step in steps], "waits_for": waits_for}
    return schema.model_copy(update=known)


def cron_schema(cron: Cron, last: Run | None) -> CronSchema:
    """A cron and the number of its last run."""
    return CronSchema(
        name=cron.name,
        expression=cron.expression,
        zone=cron.zone,
        branch=cron.branch,
        inputs=cron.inputs,
        enabled=cron.next_ms is not None,
        next_ms=cron.next_ms,
        last_run=last.number if last else None,
    )
