"""What the API answers, as its documentation shows it. Nothing here holds a secret's value."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.state import Reason, State
from pipelines.trigger import Event
from runner.events import Stream
from workers.db.models import Cron, Job, Repo, Run, Step
from workers.store import SecretInfo
from workers.triggers.manual import StartedByHand


class _Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ErrorShape(_Shape):
    """Every refusal."""

    error: str = Field(description="A sentence: what is wrong, and what to do.")


class RunShape(_Shape):
    """A run. Moments are milliseconds since 1970 in UTC."""

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
    created_ms: int
    started_ms: int | None
    finished_ms: int | None


class RepoShape(_Shape):
    """A repository."""

    id: int
    name: str
    forge: str
    clone_url: str
    web_url: str
    default_branch: str
    private: bool
    push_repo: str
    active: bool
    created_ms: int


class RepoWithRun(RepoShape):
    """A repository and its newest run."""

    last_run: RunShape | None


class RecentRun(RunShape):
    """A run and the repository that it belongs to."""

    repo: str


class StepShape(_Shape):
    """A step. ``facts``: ``image_id``, ``size_bytes``, ``pushed``, ``instructions``, as far as they are known."""

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


class SourceShape(_Shape):
    """From byte ``offset`` on, up to the next source, output came from ``stream`` at ``at_ms``."""

    offset: int
    at_ms: int
    stream: Stream


class SourcesShape(_Shape):
    """Where a part of a log came from, and when. The answer goes up to byte ``end``."""

    end: int
    sources: list[SourceShape]


class FoundShape(_Shape):
    """The numbers of lines that hold what was looked for; ``more`` where there may be further ones."""

    lines: list[int]
    more: bool


class JobShape(_Shape):
    """A job and its steps. It has none until a worker has planned the run."""

    id: int
    number: int
    name: str
    file: str
    cell: dict[str, str]
    needs: list[str]
    state: State
    reason: Reason | None
    message: str
    waits_for: str = Field("", description="While it waits: why, and what would end that.")
    attempt: int
    host: str
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    steps: list[StepShape] = []


class ProblemShape(_Shape):
    """A finding in a pipeline file; ``line`` and ``column`` count from 1, 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str
    hint: str
    level: str
    text: str = Field("", description="All of that in one line, as lint says it.")
    excerpt: list[str] = Field([], description="The line of the file, and carets under what is meant.")


class ProblemsShape(_Shape):
    """What was found in the run's pipeline files, and what was left out and why."""

    problems: list[ProblemShape]
    warnings: list[ProblemShape]
    left_out: list[dict[str, str]]


class RunDetail(RunShape, ProblemsShape):
    """A run with all that belongs to it."""

    repo: str
    url: str
    jobs: list[JobShape]
    forge_trouble: str = Field(description="Why the forge does not know how the run is; empty where it does.")


class StartedShape(_Shape):
    """A run that was just queued."""

    run: int
    url: str


class CanceledShape(_Shape):
    """The run's state after it was asked to stop; a running one ends a moment later."""

    state: State


class RunAsked(BaseModel):
    """A run to be started: of a branch (without one the default branch), a tag, or a commit on either."""

    model_config = ConfigDict(extra="forbid")

    branch: str = ""
    tag: str = ""
    commit: str = Field("", description="A commit's id, or its first 7 digits or more.")
    event: StartedByHand = Event.MANUAL
    target: str = Field("", description="Where a deployment goes: CI_PIPELINE_DEPLOY_TARGET.")
    task: str = Field("", description="What a deployment does: CI_PIPELINE_DEPLOY_TASK.")
    inputs: dict[str, str] = Field({}, description="Environment variables of the steps with commands.")


class CronShape(_Shape):
    """A cron. Without ``branch`` it is for the default branch; ``next_ms`` is null while it is switched off."""

    name: str
    expression: str
    zone: str
    branch: str
    inputs: dict[str, str]
    enabled: bool
    next_ms: int | None
    last_run: int | None = Field(description="The number of the run that it started last.")


class CronValue(BaseModel):
    """A cron to be added or changed."""

    model_config = ConfigDict(extra="forbid")

    expression: str = Field(description='Five fields such as "30 2 * * 1-5", or @daily and its like.')
    zone: str = Field("UTC", description="A name of the time zone database.")
    branch: str = ""
    inputs: dict[str, str] = {}
    enabled: bool = True


class WorkerShape(_Shape):
    """A worker: of its ``slots`` so many are ``busy``. Jobs that ask for labels run only where these have them."""

    name: str
    labels: dict[str, str]
    slots: int
    busy: int
    started_ms: int
    seen_ms: int


class SecretShape(_Shape):
    """All that is ever shown of a secret."""

    name: str
    events: list[Event]
    created_ms: int
    updated_ms: int


class SecretValue(BaseModel):
    """A new value. Without ``events`` a new secret is for all events but pull requests."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: str = Field(min_length=1, max_length=65_536)
    events: list[Event] | None = None


def repo_with_run(repo: Repo, run: Run | None) -> RepoWithRun:
    """A repository's row for the list."""
    own = RepoShape.model_validate(repo).model_dump()
    return RepoWithRun(**own, last_run=RunShape.model_validate(run) if run else None)


def recent_run(run: Run, repo: Repo) -> RecentRun:
    """A run's row for the list of all."""
    return RecentRun(**RunShape.model_validate(run).model_dump(), repo=repo.name)


def run_detail(
    repo: Repo, run: Run, url: str, jobs: list[tuple[Job, list[Step]]], waits: Mapping[int, str], forge_trouble: str
) -> RunDetail:
    """A run as one document. ``waits`` says why jobs wait, by their ids."""
    return RunDetail(
        **RunShape.model_validate(run).model_dump(),
        **ProblemsShape.model_validate(run).model_dump(),
        repo=repo.name,
        url=url,
        jobs=[_job(job, steps, waits.get(job.id, "")) for job, steps in jobs],
        forge_trouble=forge_trouble,
    )


def _job(job: Job, steps: list[Step], waits_for: str) -> JobShape:
    # The row has no ``steps``: the shape's default stands until they are filled in.
    shape = JobShape.model_validate(job)
    known = {"steps": [StepShape.model_validate(step) for step in steps], "waits_for": waits_for}
    return shape.model_copy(update=known)


def cron_shape(cron: Cron, last: Run | None) -> CronShape:
    """A cron and the number of its last run."""
    return CronShape(
        name=cron.name,
        expression=cron.expression,
        zone=cron.zone,
        branch=cron.branch,
        inputs=cron.inputs,
        enabled=cron.next_ms is not None,
        next_ms=cron.next_ms,
        last_run=last.number if last else None,
    )


def secret(info: SecretInfo) -> SecretShape:
    """A secret without its value."""
    return SecretShape.model_validate(info)
