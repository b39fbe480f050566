"""What the API answers, as its documentation shows it. Nothing here holds a secret's value."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.state import Reason, State
from pipelines.trigger import Event
from workers.store import SecretInfo
from workers.tables import Job, Repo, Run, Step


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


class StartedShape(_Shape):
    """A run that was just queued."""

    run: int
    url: str


class CanceledShape(_Shape):
    """The run's state after it was asked to stop; a running one ends a moment later."""

    state: State


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


def run_detail(repo: Repo, run: Run, url: str, jobs: list[tuple[Job, list[Step]]]) -> RunDetail:
    """A run as one document."""
    return RunDetail(
        **RunShape.model_validate(run).model_dump(),
        **ProblemsShape.model_validate(run).model_dump(),
        repo=repo.name,
        url=url,
        jobs=[_job(job, steps) for job, steps in jobs],
    )


def _job(job: Job, steps: list[Step]) -> JobShape:
    # The row has no ``steps``: the shape's default stands until they are filled in.
    shape = JobShape.model_validate(job)
    return shape.model_copy(update={"steps": [StepShape.model_validate(step) for step in steps]})


def secret(info: SecretInfo) -> SecretShape:
    """A secret without its value."""
    return SecretShape.model_validate(info)
