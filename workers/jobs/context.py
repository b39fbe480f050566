"""What a worker process works with, and what it knows of the job that it has claimed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine as Database

from pipelines.context import Context, RepoInfo
from pipelines.environment.variables import PreviousRun, previous_variables
from pipelines.trigger import Trigger
from runner.builds.buildkit import Builder
from runner.docker.client import Engine
from runner.execution.job.resumption import NOTHING_LEFT, Resumption
from runner.network.egress import EgressSettings
from runner.source.git.git import GitLogin
from workers import store
from workers.access.credentials import clone_login
from workers.access.trust import Permissions, PipelineFrom, UntrustedRuns, permissions
from workers.blobs import BlobStore
from workers.db.models import Repo, Run
from workers.db.session import reading
from workers.jobs.claiming import JobClaimer
from workers.jobs.machine.engine_watch import EngineWatch
from workers.jobs.machine.idle_connections import IdleConnections
from workers.jobs.running_jobs import RunningJobs
from workers.logs import LogStore
from workers.secrets.vault import Vault
from workers.settings import Settings
from workers.store.jobs import leases
from workers.streaming.redis_stream import LiveTail
from workers.tracing.tracing import UNTRACED, JobTiming, Tracing


@dataclass(frozen=True)
class WorkerContext:
    """The settings and connections of one worker process. Made once in each process, after the fork."""

    settings: Settings
    database: Database
    logs: LogStore
    blobs: BlobStore
    live: LiveTail
    vault: Vault
    notify: Callable[[int], object]
    engine: Callable[[], Engine]
    builder: Callable[[], Builder]
    claimer: JobClaimer
    installation: str
    egress: EgressSettings
    engine_watch: EngineWatch
    running: RunningJobs
    connections: IdleConnections
    tracing: Tracing
    timing: JobTiming = UNTRACED

    def notify_all(self, job_ids: Iterable[int]) -> None:
        """Wakes a worker for each of these jobs."""
        for job_id in job_ids:
            self.notify(job_id)


@dataclass(frozen=True)
class QueuedRun:
    """A run as its row describes it. ``push_repo`` is where a run without a pipeline file pushes its image, or empty.

    ``moved_to`` is the address to which the forge redirects git, as far as it is known, or empty. ``previous`` are the
    variables of the run before it on its branch, known while it is planned. ``policy`` says what happens if the run is
    untrusted, and ``pipeline_from`` where its pipeline file comes from then. ``repo_key`` is the repository's random
    one, for what a machine keeps of it: no other, also of another database, has it.
    """

    repo: RepoInfo
    number: int
    created_s: int
    parent_number: int
    push_repo: str
    moved_to: str = ""
    previous: Mapping[str, str] = field(default_factory=dict)
    policy: UntrustedRuns = UntrustedRuns.APPROVE
    pipeline_from: PipelineFrom = PipelineFrom.COMMIT
    repo_key: str = ""


@dataclass(frozen=True)
class ClaimedJob:
    """One claimed job with what its rows say. ``login`` is for cloning the repository. ``left`` is what another process
    has done of it.

    ``on_branch`` is None until a worker has asked git where the commit is; until then the job counts as untrusted.
    """

    claim: leases.Claim
    trigger: Trigger
    repo_id: int
    run: QueuedRun
    login: GitLogin | None
    on_branch: bool | None
    left: Resumption = NOTHING_LEFT

    @property
    def allowed(self) -> Permissions:
        """What the job may use."""
        return permissions(self.trigger, self.repo.trust, on_branch=self.on_branch is True)

    @property
    def repo(self) -> RepoInfo:
        """The run's repository."""
        return self.run.repo


def load_job(context: WorkerContext, claim: leases.Claim) -> ClaimedJob:
    """Reads the rows of a claimed job. Raises StaleAttemptError where the repository was removed."""
    with reading(context.database) as session:
        run = store.run_by_id(session, claim.run_id)
        repo = store.repo_by_id(session, run.repo_id) if run else None
        if run is None or repo is None:
            raise store.StaleAttemptError
        parent = store.run_by_id(session, run.parent_run_id) if run.parent_run_id else None
        before = store.previous_run(session, run) if claim.plan is None and run.branch else None
        queued = QueuedRun(
            repo=store.repo_info(repo),
            number=run.number,
            created_s=run.created_ms // 1000,
            parent_number=parent.number if parent else 0,
            push_repo=repo.push_repo,
            moved_to=repo.moved_to,
            previous=_variables_of(before, repo, context.settings) if before else {},
            policy=UntrustedRuns(repo.untrusted_runs),
            pipeline_from=PipelineFrom(repo.pipeline_from),
            repo_key=repo.key,
        )
        login = clone_login(session, context.vault, repo)
        return ClaimedJob(claim, store.trigger_of(run), repo.id, queued, login, run.on_branch)


def _variables_of(run: Run, repo: Repo, settings: Settings) -> dict[str, str]:
    """The CI_PREV_* variables for the run that follows ``run``."""
    context = Context(
        store.repo_info(repo),
        run_number=run.number,
        run_url=settings.run_url(repo.name, run.number),
        created_s=run.created_ms // 1000,
    )
    started_ms, finished_ms = run.started_ms or 0, run.finished_ms or 0
    previous = PreviousRun(store.trigger_of(run), context, run.state, started_ms // 1000, finished_ms // 1000)
    return previous_variables(previous)
