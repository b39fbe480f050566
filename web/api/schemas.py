"""The schemas of the API's requests and responses. No response contains the value of a secret."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.state import Reason, State
from pipelines.trigger import Event
from web.api.verdict_schema import VerdictSchema
from web.operations.runs.runs import untrusted_because
from web.operations.verdicts.planned import PlannedStep, planned_steps
from web.operations.verdicts.verdict import Verdict
from workers.db.models import Job, Repo, Run, Step
from workers.triggers.manual import StartedByHand


class Schema(BaseModel):
    """A response that is made from a row or another object."""

    model_config = ConfigDict(from_attributes=True)


class RerunSchema(Schema):
    """The request that made a run repeat an earlier one, or a part of it."""

    by: str
    reason: str
    what: str = Field(description="For which jobs; empty for all.")
    note: str = Field(description="Why all jobs run, although a part was asked for. Empty where that is not so.")


class RunSchema(Schema):
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
    rerun: RerunSchema | None = Field(description="Who asked for it to repeat an earlier run, and for which jobs.")
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    logs_deleted_ms: int | None = Field(description="When its logs were deleted, because the server keeps none so old.")


class RepoSchema(Schema):
    """A repository."""

    id: int
    name: str
    forge: str
    clone_url: str
    moved_to: str = Field(description="Where the forge redirects git: its new address. Empty where it has not moved.")
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


class StepSchema(Schema):
    """A step. ``facts`` may have ``image_id``, ``size_bytes``, ``pushed``, ``instructions``, and what follows.

    ``usage`` is what the container of its last attempt used, 0 where that is not known, and its limit of memory, 0 for
    none: ``memory_peak_bytes``, ``cpu_seconds``, ``memory_limit_bytes``. ``attempts`` are those before the last one,
    each with its verdict, its times and where its part of the log ends. ``caches`` are those that it used, with key,
    size and whether there was one. ``annotations`` are problem lines of its output: severity, file, line, column,
    message and line of the log. ``reused`` is there if the step did not run: the number of the ``run`` whose result it
    has, and the ``duration_ms`` that it would have taken.
    """

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
    carried_from: int | None = Field(description="The number of the run in which it ran, where that is another one.")
    needs: list[int] = Field([], description="The numbers of the steps of its job that it waits for.")
    detached: bool = Field(default=False, description="It runs beside the steps after it.")
    started_ms: int | None
    finished_ms: int | None


class ServiceSchema(Schema):
    """A service of a job: a container beside its steps. ``message`` says how it ended, if not as the file says.

    ``begun_ms`` is when it began to start, which includes the pull of its image, ``started_ms`` when its container
    started, ``ready_ms`` until when the steps waited for it, ``finished_ms`` when it ended before the job did.
    """

    name: str
    image: str
    after: str = Field("", description="The build step whose image it has, and after which it starts.")
    state: str = Field(description="waiting, starting, ready, ended or failed.")
    message: str
    begun_ms: int | None = None
    started_ms: int | None = None
    ready_ms: int | None = None
    finished_ms: int | None = None


class PullSchema(Schema):
    """The pull of an image that the worker's engine did not have, or had to look for a newer one of."""

    image: str
    started_ms: int
    finished_ms: int | None
    downloaded_bytes: int = Field(description="0 where nothing was missing, or the engine does not say it.")
    failed: bool


class JobSchema(Schema):
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
    detail: str = Field(description="What another program, such as git, said of the end, in its own words.")
    waits_for: str = Field("", description="Why the job waits, and what would let it start.")
    not_before_ms: int | None = Field(description="When a job is tried again that waits for the forge.")
    attempt: int = Field(validation_alias="origin", description="How often the job was started.")
    host: str
    kept_until_ms: int | None = Field(description="Until then a re-run can go on from the step that failed.")
    carried_from: int | None = Field(description="The number of the run in which it ran, where that is another one.")
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    services: list[ServiceSchema] = []
    pulls: list[PullSchema] = []
    steps: list[StepSchema] = []


class ProblemSchema(Schema):
    """An error or a warning in a pipeline file. ``line`` and ``column`` count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str
    hint: str
    level: str
    text: str = Field("", description="The problem in one line, as headway lint prints it.")
    excerpt: list[str] = Field([], description="The line of the file, and a line with carets under the place.")


class ProblemsSchema(Schema):
    """Errors and warnings in the run's pipeline files, and what the conditions left out of the run, and why."""

    problems: list[ProblemSchema]
    warnings: list[ProblemSchema]
    left_out: list[dict[str, str]]


class RunDetail(RunSchema, ProblemsSchema):
    """A run with its jobs, steps and problems."""

    repo: str
    url: str
    untrusted: str = Field(description="Why the run is untrusted; empty for a trusted one.")
    verdict: VerdictSchema
    jobs: list[JobSchema]
    forge_trouble: str = Field(description="Why the forge could not be told the run's state; empty where it could.")


class StartedRun(Schema):
    """A run that was just queued."""

    run: int
    url: str


class CanceledRun(Schema):
    """The run's state right after the cancellation; a running run ends a moment later."""

    state: State


_NO_REUSE = "Every step runs, also one with `sources` whose result an earlier run has."


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
    no_reuse: bool = Field(default=False, description=_NO_REUSE)


class RerunRequest(BaseModel):
    """What to run again: everything, what did not pass, or jobs by their titles; with what depends on them."""

    model_config = ConfigDict(extra="forbid")

    failed: bool = Field(default=False, description="Only the jobs that did not pass.")
    jobs: list[str] = Field(
        [], description="Only these: a workflow's name, or with the values of a cell, such as `test 3.12, alpine`."
    )
    from_failed_step: bool = Field(
        default=False, description="Failed jobs go on from the step that failed, with the files as they were."
    )
    reason: str = ""
    no_reuse: bool = Field(default=False, description=_NO_REUSE)


def repo_with_run(repo: Repo, run: Run | None) -> RepoWithRun:
    """A repository's row in the list."""
    own = RepoSchema.model_validate(repo).model_dump()
    return RepoWithRun(**own, last_run=RunSchema.model_validate(run) if run else None)


def recent_run(run: Run, repo: Repo) -> RecentRun:
    """A run's row in the list of all runs."""
    return RecentRun(**RunSchema.model_validate(run).model_dump(), repo=repo.name)


def run_detail(
    repo: Repo,
    run: Run,
    url: str,
    jobs: list[tuple[Job, list[Step]]],
    waits: Mapping[int, str],
    forge_trouble: str,
    verdict: Verdict,
) -> RunDetail:
    """A run as one document. ``waits`` says why jobs wait, by their ids."""
    return RunDetail(
        **RunSchema.model_validate(run).model_dump(),
        **ProblemsSchema.model_validate(run).model_dump(),
        repo=repo.name,
        url=url,
        untrusted=untrusted_because(run),
        verdict=VerdictSchema.model_validate(verdict),
        jobs=[_job(job, steps, waits.get(job.id, "")) for job, steps in jobs],
        forge_trouble=forge_trouble,
    )


def _job(job: Job, steps: list[Step], waits_for: str) -> JobSchema:
    # The row has no ``steps``: they have the default until model_copy fills them in.
    schema = JobSchema.model_validate(job)
    planned = planned_steps(job)
    shown = [_step(step, planned.get(step.number)) for step in steps]
    return schema.model_copy(update={"steps": shown, "waits_for": waits_for})


def _step(step: Step, planned: PlannedStep | None) -> StepSchema:
    schema = StepSchema.model_validate(step)
    if planned is None:
        return schema
    return schema.model_copy(update={"needs": list(planned.needs), "detached": planned.detached})
