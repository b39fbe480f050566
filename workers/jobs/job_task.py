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

from pipelines.plan import BuildStep, JobPlan
from pipelines.state import Outcome, Reason, State
from runner.cancellation import Cancel
from runner.docker.job_network import JobNetwork
from runner.errors import DiskNearlyFullError, StepError, as_step_error
from runner.execution.job.job import Assignment
from runner.execution.job.resumption import NOTHING_LEFT, Resumption, needs_network
from runner.execution.job_lifecycle import open_job, run_job
from runner.network.host_rules import BRIDGE_PREFIX
from runner.source.git.server import TransientGitError
from runner.source.mirrors.mirror import Mirror
from workers import store
from workers.access.credentials import registry_logins_for
from workers.access.isolation import isolation_for
from workers.db.session import reading, transaction
from workers.jobs.cancel_on_failure import CancelOnFailure
from workers.jobs.conclusion import conclude, finish
from workers.jobs.context import ClaimedJob, WorkerContext, load_job
from workers.jobs.disk_guard import DiskGuard, guard_of
from workers.jobs.kept_files.kept_files import KeptFiles
from workers.jobs.lease_renewal import LeaseRenewer
from workers.jobs.leftovers import job_key, remove_dead_attempts
from workers.jobs.planning.admission import admit
from workers.jobs.planning.forge_wait import wait_for_forge
from workers.jobs.planning.job_inputs import egress_of, fingerprint, folder_of, secrets_of
from workers.jobs.planning.job_options import carried_steps, options
from workers.jobs.planning.job_storage import artifacts_of, caches_of
from workers.jobs.planning.planning import plan_claimed_run
from workers.jobs.planning.reuse import reuse_for
from workers.jobs.planning.source import opened_source
from workers.jobs.recorder import Recorder
from workers.jobs.running_jobs import HeldJob
from workers.jobs.shells.host import shells_of
from workers.reports.storage import StoredReports
from workers.secrets.vault import VaultError
from workers.store.jobs import leases, machine_faults

_log = structlog.get_logger()


DISK_PATIENCE_S = 15.0
_DISK_POLL_S = 0.5


def work(context: WorkerContext, job_id: int, disk_patience_s: float = DISK_PATIENCE_S) -> None:
    """Handles one wake-up: runs at most one job. Where another worker has this one, it may be another that waits."""
    if not _machine_is_well(context, job_id, disk_patience_s):
        return
    claim = context.claimer.claim(job_id)
    if claim is None:
        return
    held = HeldJob(claim.job_id, claim.attempt, context.claimer.owner)
    with context.running.hold(folder_of(context, claim).name, held):
        run_claimed(context, claim)


def run_claimed(context: WorkerContext, claim: leases.Claim, left: Resumption = NOTHING_LEFT) -> None:
    """Runs a claimed job to its end; goes on with what is ``left`` of it if another process has begun it."""
    context.live.changed(claim.run_id)
    cancel, lease_s = Cancel(), context.settings.lease_s
    try:
        with (
            bound_contextvars(run=claim.run_id, job=claim.job_id, attempt=claim.attempt),
            LeaseRenewer(context.database, context.live, claim, context.claimer.owner, lease_s, cancel),
            context.tracing.job(claim) as timing,
        ):
            _carry_out(replace(context, timing=timing), claim, cancel, left)
    except store.StaleAttemptError:
        _log.warning("the job went to another worker", job=claim.job_id, attempt=claim.attempt)
    except (SystemExit, KeyboardInterrupt):
        _release(context, claim)
        raise
    finally:
        cancel.close()
        context.live.changed(claim.run_id)
    _notify_next(context)


def _machine_is_well(context: WorkerContext, job_id: int, patience_s: float) -> bool:
    """False where the disk stays nearly full, or the engine away.

    It waits for a while: meanwhile wake-ups go to other workers, this one first.
    """
    deadline_s = time.monotonic() + patience_s
    handed_on = False
    while problem := context.settings.disk_reserve.problem() or context.engine_watch.look():
        if not handed_on:
            _log.warning("this worker takes no job", problem=problem)
            handed_on = True
            if context.claimer.is_waiting(job_id):
                context.notify(job_id)
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(_DISK_POLL_S)
    return True


def _carry_out(context: WorkerContext, claim: leases.Claim, cancel: Cancel, left: Resumption) -> None:
    """Plans the run if need be, and runs the job. An error of ours ends the job as broken, with the reason."""
    with ExitStack() as after_the_verdict:
        try:
            network = after_the_verdict.enter_context(_job_network(context, claim, left))
            job = load_job(context, claim)
            mirror = after_the_verdict.enter_context(opened_source(context, job))
            with context.timing.timed("fetch", ""):
                admitted = admit(context, job, mirror)
            plan = claim.plan or (_planned(context, admitted, mirror) if admitted else None)
            if plan is not None and admitted is not None:
                _run(context, replace(admitted, left=left), plan, mirror, network, cancel)
        except store.StaleAttemptError:
            raise
        except (StepError, OSError, VaultError) as error:
            _end_early(context, claim, error)
        except OperationalError as error:
            # This is no verdict on the job: its lease expires, and it starts over.
            _log.warning("the database does not answer", job=claim.job_id, error=str(error))
        except Exception as error:  # noqa: BLE001 - a job must end whatever happens; the log and the page have it
            _log.exception("a job broke", job=claim.job_id)
            hint = "this is a fault of Headway's; its log has the details"
            outcome = Outcome(State.BROKEN, Reason.INTERNAL, f"{type(error).__name__}: {error}; {hint}")
            finish(context, claim, outcome)


def _planned(context: WorkerContext, job: ClaimedJob, mirror: Mirror) -> JobPlan | None:
    with context.timing.timed("plan", ""):
        return plan_claimed_run(context, job, mirror)


def _end_early(context: WorkerContext, claim: leases.Claim, error: StepError | OSError | VaultError) -> None:
    """Ends a job that could not be run, or gives it back: to wait for its forge, or for another machine."""
    match error:
        case TransientGitError():
            if outcome := wait_for_forge(context, claim, error):
                finish(context, claim, outcome)
        case VaultError():
            finish(context, claim, Outcome(State.BROKEN, Reason.INTERNAL, str(error)))
        case _:
            conclude(context, claim, as_step_error(error).outcome)


@contextmanager
def _job_network(context: WorkerContext, claim: leases.Claim, left: Resumption) -> Iterator[JobNetwork]:
    """The job's network, removed at the end.

    Creating it starts here, while the run is planned: of all that precedes the first step it takes the longest.
    """
    prefix = "" if context.settings.steps_reach_host else BRIDGE_PREFIX
    network = JobNetwork(context.engine(), job_key(context.installation, claim.key), claim.origin, prefix)
    plan = claim.plan
    if not left and (plan is None or needs_network(plan)):
        network.prestart()
    try:
        yield network
    finally:
        try:
            network.close()
        except (StepError, OSError) as error:
            _warn(f"the network of job {claim.job_id} could not be removed: {error}")


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
    if not job.left:
        with context.timing.timed("fetch", ""):
            mirror.fetch(job.trigger.sha, job.trigger.ref)
    with reading(context.database) as session:
        rows = store.steps_by_number(session, claim.job_id)
        steps = {number: step.id for number, step in rows.items()}
        failed = store.failed_needs_of(session, claim.run_id, plan.needs)
    kept_files = KeptFiles(context.settings, context.database, context.engine, context.installation)
    guard = guard_of(context, claim, folder_of(context, claim))
    settings, engine = context.settings, context.engine()
    run_url = settings.run_url(job.repo.name, job.run.number)
    assignment = replace(
        _assignment(context, job, plan, mirror, network, guard),
        failed_needs=failed,
        carried=carried_steps(rows),
        take_files=kept_files.taker_for(claim),
        step_url=lambda number: f"{run_url}?step={steps[number]}" if number in steps else "",
    )
    sweep = partial(remove_dead_attempts, context.database, engine, context.installation, settings.workspaces_dir)
    reports = StoredReports(context.database, context.blobs, claim, job.repo_id)
    with (
        Recorder(context.database, context.logs, context.live, claim, steps, _now_ms, reports) as recorder,
        open_job(
            assignment,
            engine,
            context.builder,
            watched := CancelOnFailure(
                context.timing.following(recorder, rows), plan, partial(_cancel_run, context, claim)
            ),
            cancel,
            _warn,
            sweep,
        ) as opened,
        guard,
        shells_of(context, claim, plan),
    ):
        outcome = run_job(opened)
        # A job that fills the disk would fill that of the next machine, too.
        own = guard.problem() if outcome.reason is not Reason.CANCELED else ""
        if own and outcome.reason is not Reason.DISK_FULL:
            outcome = DiskNearlyFullError(own).outcome
        if cancel.lost:
            raise store.StaleAttemptError
        if keep := kept_files.keeper_for(claim, outcome, untrusted=bool(job.allowed.access.untrusted)):
            opened.without_containers.append(partial(keep, opened.workspace_base))
        if own or not machine_faults.is_fault(outcome):
            finish(context, claim, outcome)
        elif conclude(context, claim, outcome):
            watched.cancel_after_fault()


def _assignment(
    context: WorkerContext, job: ClaimedJob, plan: JobPlan, mirror: Mirror, network: JobNetwork, guard: DiskGuard
) -> Assignment:  # fmt: skip
    """What the runner needs for the job: its plan, its place on this machine, and what it may use."""
    settings = context.settings
    checkout, builds = plan.checkout, any(isinstance(step, BuildStep) for step in plan.steps)

    def check_out(target: Path) -> None:
        if checkout is not None:
            trusted, reaches_host = job.allowed.clone_login, job.allowed.access.host.network
            with context.timing.timed("checkout", ""):
                mirror.checkout(
                    job.trigger.sha, target, checkout, for_builds=builds, trusted=trusted, reaches_host=reaches_host
                )

    key, secrets = job_key(context.installation, job.claim.key), secrets_of(context, job)
    return Assignment(
        plan=plan,
        key=key,
        attempt=job.claim.origin,
        folder=folder_of(context, job.claim),
        check_out=check_out,
        secrets=secrets.values,
        unreadable=secrets.unreadable,
        logins=registry_logins_for(context.database, context.vault, job.repo_id, job.allowed),
        options=replace(options(settings), disk_problem=guard.problem),
        network=network,
        access=job.allowed.access,
        egress=egress_of(context, job),
        isolation=isolation_for(context.database, context.vault, (job.repo_id, job.run.repo_key), job.allowed),
        journaled=True,
        fingerprint=fingerprint(context, job, secrets.values),
        resumption=job.left,
        timed=context.timing.timed,
        reuse=reuse_for(context, job, plan, mirror),
        artifacts=artifacts_of(context, job),
        caches=caches_of(context, job),
    )


def _warn(sentence: str) -> None:
    _log.warning("cleaning up", problem=sentence)


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
