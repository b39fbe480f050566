"""What a wake-up starts: claim one job, plan its run if no worker has, run the job, record how it ended."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.exc import OperationalError
from structlog.contextvars import bound_contextvars

from pipelines.plan import BuildStep, JobPlan, PushStep
from pipelines.state import Outcome, Reason, State
from runner.cancellation import Cancel
from runner.docker.job_network import JobNetwork
from runner.docker.specs import Limits
from runner.errors import DiskNearlyFullError, StepError, as_step_error
from runner.execution.job import Assignment
from runner.execution.job_lifecycle import open_job, run_job
from runner.execution.options import Options
from runner.network.host_rules import BRIDGE_PREFIX
from runner.source.mirror import Mirror
from runner.source.server import TransientGitError
from workers import store
from workers.access.credentials import registry_logins_for, secrets_for
from workers.access.isolation import isolation_for
from workers.db.session import persist, reading, transaction
from workers.jobs.admission import admit
from workers.jobs.cancel_on_failure import CancelOnFailure
from workers.jobs.context import ClaimedJob, WorkerContext, load_job
from workers.jobs.disk_guard import DiskGuard, guard_of
from workers.jobs.forge_wait import wait_for_forge
from workers.jobs.lease_renewal import LeaseRenewer
from workers.jobs.leftovers import job_key, remove_dead_attempts
from workers.jobs.mirror_maintenance import open_mirror
from workers.jobs.planning import plan_claimed_run
from workers.jobs.recorder import Recorder
from workers.settings import Settings
from workers.store.jobs import leases

_log = structlog.get_logger()


DISK_PATIENCE_S = 15.0
_DISK_POLL_S = 0.5


def work(context: WorkerContext, job_id: int, disk_patience_s: float = DISK_PATIENCE_S) -> None:
    """Handles one wake-up: runs at most one job. Where another worker has this one, it may be another that waits."""
    settings = context.settings
    if not _has_room(settings, disk_patience_s):
        return
    claim = context.claimer.claim(job_id)
    if claim is None:
        return
    context.live.changed(claim.run_id)
    cancel = Cancel()
    try:
        with (
            bound_contextvars(run=claim.run_id, job=claim.job_id, attempt=claim.attempt),
            LeaseRenewer(context.database, context.live, claim, context.claimer.owner, settings.lease_s, cancel),
        ):
            _carry_out(context, claim, cancel)
    except store.StaleAttemptError:
        _log.warning("the job went to another worker", job=claim.job_id, attempt=claim.attempt)
    except (SystemExit, KeyboardInterrupt):
        _release(context, claim)
        raise
    finally:
        cancel.close()
        context.live.changed(claim.run_id)
    _notify_next(context)


def _has_room(settings: Settings, patience_s: float) -> bool:
    """False where the disk stays nearly full. It waits for a while: meanwhile wake-ups go to other workers."""
    deadline_s = time.monotonic() + patience_s
    while problem := settings.disk_reserve.problem():
        if time.monotonic() >= deadline_s:
            _log.warning("this worker takes no job", problem=problem)
            return False
        time.sleep(_DISK_POLL_S)
    return True


def _carry_out(context: WorkerContext, claim: leases.Claim, cancel: Cancel) -> None:
    """Plans the run if need be, and runs the job. An error of ours ends the job as broken, with the reason."""
    with ExitStack() as after_the_verdict:
        try:
            network = after_the_verdict.enter_context(_job_network(context, claim))
            job = load_job(context, claim)
            mirror = open_mirror(context.settings, context.egress, job.repo, job.login)
            admitted = admit(context, job, mirror)
            plan = claim.plan or (plan_claimed_run(context, admitted, mirror) if admitted else None)
            if plan is not None and admitted is not None:
                _run(context, admitted, plan, mirror, network, cancel)
        except store.StaleAttemptError:
            raise
        except TransientGitError as error:
            if outcome := wait_for_forge(context, claim, error):
                _finish(context, claim, outcome)
        except (StepError, OSError) as error:
            _finish(context, claim, as_step_error(error).outcome)
        except OperationalError as error:
            # This is no verdict on the job: its lease expires, and it starts over.
            _log.warning("the database does not answer", job=claim.job_id, error=str(error))
        except Exception as error:  # noqa: BLE001 - a job must end whatever happens; the log and the page have it
            _log.exception("a job broke", job=claim.job_id)
            hint = "this is a fault of Headway's; its log has the details"
            outcome = Outcome(State.BROKEN, Reason.INTERNAL, f"{type(error).__name__}: {error}; {hint}")
            _finish(context, claim, outcome)


@contextmanager
def _job_network(context: WorkerContext, claim: leases.Claim) -> Iterator[JobNetwork]:
    """The job's network, removed at the end.

    Creating it starts here, while the run is planned: of all that precedes the first step it takes the longest.
    """
    prefix = "" if context.settings.steps_reach_host else BRIDGE_PREFIX
    network = JobNetwork(context.engine(), job_key(context.installation, claim.job_id), claim.attempt, prefix)
    plan = claim.plan
    if plan is None or plan.services or not all(isinstance(step, BuildStep | PushStep) for step in plan.steps):
        network.prestart()
    try:
        yield network
    finally:
        try:
            network.close()
        except (StepError, OSError) as error:
            _warn(f"the network of job {claim.job_id} could not be removed: {error}")


def _finish(context: WorkerContext, claim: leases.Claim, outcome: Outcome) -> None:
    """Records the verdict if the job is still this attempt's, and wakes workers for the jobs that waited for it."""
    finished = persist(
        context.database, lambda session: store.finish_job(session, claim.job_id, claim.attempt, outcome)
    )
    context.live.changed(claim.run_id)
    context.notify_all(finished.ready_job_ids)


def _cancel_run(context: WorkerContext, claim: leases.Claim, by: str) -> None:
    """Cancels the whole run because a step failed."""
    with transaction(context.database) as session:
        result = store.request_cancel(session, claim.run_id, by, Reason.DEPENDENCY_FAILED)
    context.live.publish_cancel(claim.run_id)
    context.notify_all(result.ready_job_ids)


def _run(
    context: WorkerContext, job: ClaimedJob, plan: JobPlan, mirror: Mirror, network: JobNetwork, cancel: Cancel
) -> None:  # fmt: skip
    """Runs the job, and records its verdict before its containers and files are cleaned up.

    Only of a job that has filled the disk they go first: the database may have no room for the verdict before that.
    """
    claim = job.claim
    mirror.fetch(job.trigger.sha, job.trigger.ref)
    with reading(context.database) as session:
        steps = {number: step.id for number, step in store.steps_by_number(session, claim.job_id).items()}
        failed = store.failed_needs_of(session, claim.run_id, plan.needs)
    guard = guard_of(context, claim.job_id, _folder(context, claim))
    settings, engine = context.settings, context.engine()
    run_url = settings.run_url(job.repo.name, job.run.number)
    assignment = replace(
        _assignment(context, job, plan, mirror, network, guard),
        failed_needs=failed,
        step_url=lambda number: f"{run_url}?step={steps[number]}" if number in steps else "",
    )
    sweep = partial(remove_dead_attempts, context.database, engine, context.installation, settings.workspaces_dir)
    with (
        Recorder(context.database, context.logs, context.live, claim, steps, _now_ms) as recorder,
        open_job(
            assignment,
            engine,
            context.builder,
            CancelOnFailure(recorder, plan, partial(_cancel_run, context, claim)),
            cancel,
            _warn,
            sweep,
        ) as opened,
        guard,
    ):
        outcome = run_job(opened)
        if outcome.reason not in {Reason.CANCELED, Reason.DISK_FULL} and (problem := guard.problem()):
            outcome = DiskNearlyFullError(problem).outcome
        if cancel.lost:
            raise store.StaleAttemptError
        _finish(context, claim, outcome)


def _assignment(
    context: WorkerContext, job: ClaimedJob, plan: JobPlan, mirror: Mirror, network: JobNetwork, guard: DiskGuard
) -> Assignment:  # fmt: skip
    """What the runner needs for the job: its plan, its place on this machine, and what it may use."""
    checkout, builds = plan.checkout, any(isinstance(step, BuildStep) for step in plan.steps)

    def check_out(target: Path) -> None:
        if checkout is not None:
            trusted = job.allowed.clone_login
            mirror.checkout(job.trigger.sha, target, checkout, for_builds=builds, trusted=trusted)

    key = job_key(context.installation, job.claim.job_id)
    return Assignment(
        plan=plan,
        key=key,
        attempt=job.claim.attempt,
        folder=_folder(context, job.claim),
        check_out=check_out,
        secrets=secrets_for(context.database, context.vault, job.repo_id, job.trigger.event, job.allowed),
        logins=registry_logins_for(context.database, context.vault, job.repo_id, job.allowed),
        options=replace(options(context.settings), disk_problem=guard.problem),
        network=network,
        access=job.allowed.access,
        egress=context.egress if job.allowed.proxy_logins else context.egress.without_logins(),
        isolation=isolation_for(context.database, context.vault, job.repo_id, job.allowed),
    )


def _folder(context: WorkerContext, claim: leases.Claim) -> Path:
    """The folder of this attempt at the job."""
    return context.settings.workspaces_dir / f"{job_key(context.installation, claim.job_id)}-{claim.attempt}"


def _warn(sentence: str) -> None:
    _log.warning("cleaning up", problem=sentence)


def options(settings: Settings) -> Options:
    """The server's limits for one job."""
    limits = Limits(
        settings.step_memory_bytes_max,
        settings.step_cpus_max,
        settings.step_pids_max,
        settings.step_files_max,
    )
    return Options(
        limits=limits,
        log_bytes_max=settings.log_bytes_max,
        step_timeout_s=settings.step_timeout_s,
        job_timeout_s=settings.job_timeout_s,
        grace_s=settings.grace_s,
        registry_retry_s=settings.registry_retry_s,
        steps_ahead_max=settings.steps_ahead_max,
        disk_low=settings.disk_reserve.is_low,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _release(context: WorkerContext, claim: leases.Claim) -> None:
    """Gives the job back, because this worker is being shut down: another worker may claim it at once."""
    try:
        with transaction(context.database) as session:
            leases.release(session, claim.job_id, claim.attempt)
    except store.StaleAttemptError:
        return
    context.notify(claim.job_id)


def _notify_next(context: WorkerContext) -> None:
    """Sends one more wake-up if jobs wait: messages in a long queue expire, rows do not."""
    job_id = context.claimer.next_ready()
    if job_id is not None:
        context.notify(job_id)
