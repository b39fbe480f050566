"""What a message starts: claim one job, plan its run if nobody has, carry it out, record how it ended."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy.exc import OperationalError

from pipelines.context import RepoInfo
from pipelines.plan import BuildStep, JobPlan, PushStep
from pipelines.problem import InvalidPipelineError, Level, Problem
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Trigger
from runner.builds.buildkit import Builder
from runner.cancellation import Cancel
from runner.docker.client import Engine
from runner.docker.job_network import JobNetwork
from runner.docker.specs import Limits
from runner.errors import StepError, as_step_error
from runner.execution.job import Assignment, Options
from runner.execution.job_lifecycle import open_job, run_job
from runner.network.egress import EgressSettings
from runner.source.git import GitLogin
from runner.source.mirror import Mirror
from workers import store
from workers.access.credentials import clone_login, logins_for, secrets_for
from workers.db.session import persist, reading, transaction
from workers.jobs.cancel_on_failure import CancelOnFailure
from workers.jobs.claiming import Ear
from workers.jobs.lease_renewal import Keeper
from workers.jobs.leftovers import job_key, remove_dead_attempts
from workers.jobs.mirror_maintenance import open_mirror
from workers.jobs.planning import RunToPlan, fetch, make_plan
from workers.jobs.recorder import Recorder
from workers.labels import fits, wanted
from workers.logs import LogStore
from workers.secrets.vault import Vault
from workers.settings import Settings
from workers.store import leases
from workers.streaming.redis_stream import LiveTail

_log = structlog.get_logger()


@dataclass(frozen=True)
class Tools:
    """All that a worker process works with. Made once in each process, after the fork."""

    settings: Settings
    database: Database
    logs: LogStore
    live: LiveTail
    vault: Vault
    ring: Callable[[int], object]
    engine: Callable[[], Engine]
    builder: Callable[[], Builder]
    ear: Ear
    installation: str
    company: EgressSettings


@dataclass(frozen=True)
class Case:
    """One claimed job with what its rows say."""

    claim: leases.Claim
    trigger: Trigger
    repo: RepoInfo
    repo_id: int
    run: RunToPlan
    login: GitLogin | None


def work(tools: Tools, job_id: int) -> None:
    """One message: one job at the most. When somebody else has it, another that waits is as good."""
    settings = tools.settings
    claim = tools.ear.take(job_id)
    if claim is None:
        return
    tools.live.changed(claim.run_id)
    cancel = Cancel()
    try:
        with Keeper(tools.database, tools.live, claim, tools.ear.owner, settings.lease_s, cancel):
            _carry_out(tools, claim, cancel)
    except store.StaleAttemptError:
        _log.warning("the job went to another worker", job=claim.job_id, attempt=claim.attempt)
    except (SystemExit, KeyboardInterrupt):
        _give_back(tools, claim)
        raise
    finally:
        cancel.close()
        tools.live.changed(claim.run_id)
    _ring_next(tools)


def _carry_out(tools: Tools, claim: leases.Claim, cancel: Cancel) -> None:
    """Plans if need be and runs the job; whatever goes wrong on our side ends it as broken, with the reason."""
    with ExitStack() as after_the_verdict:
        try:
            sandboxes = after_the_verdict.enter_context(_sandboxes(tools, claim))
            case = _case(tools, claim)
            mirror = open_mirror(tools.settings, tools.company, case.repo.clone_url, case.login)
            if claim.plan is None:
                case = _fetched(tools, case, mirror)
            plan = claim.plan or _plan(tools, case, mirror)
            if plan is not None:
                _run(tools, case, plan, mirror, sandboxes, cancel)
        except store.StaleAttemptError:
            raise
        except (StepError, OSError) as error:
            _finish(tools, claim, as_step_error(error).outcome)
        except OperationalError as error:
            # No verdict on the job: its lease ends, and it starts over.
            _log.warning("the database went away", job=claim.job_id, error=str(error))
        except Exception as error:  # noqa: BLE001 - a job must end whatever happens; the log and the page have it
            _log.exception("a job broke", job=claim.job_id)
            hint = "this is a fault of Headway's; its log has the details"
            outcome = Outcome(State.BROKEN, Reason.INTERNAL, f"{type(error).__name__}: {error}; {hint}")
            _finish(tools, claim, outcome)


@contextmanager
def _sandboxes(tools: Tools, claim: leases.Claim) -> Iterator[JobNetwork]:
    """The job's place in the engine, removed at the end.

    Its network is made while the run is planned: of all that comes before a first step it takes the longest.
    """
    sandboxes = JobNetwork(tools.engine(), job_key(tools.installation, claim.job_id), claim.attempt)
    plan = claim.plan
    if plan is None or plan.services or not all(isinstance(step, BuildStep | PushStep) for step in plan.steps):
        sandboxes.prestart()
    try:
        yield sandboxes
    finally:
        try:
            sandboxes.close()
        except (StepError, OSError) as error:
            _complain(f"the network of job {claim.job_id} could not be removed: {error}")


def _finish(tools: Tools, claim: leases.Claim, outcome: Outcome) -> None:
    """The verdict, if the job is still ours; wakes workers for the jobs that waited for it."""
    finished = persist(tools.database, lambda session: store.finish_job(session, claim.job_id, claim.attempt, outcome))
    tools.live.changed(claim.run_id)
    for ready in finished.ready_job_ids:
        tools.ring(ready)


def _case(tools: Tools, claim: leases.Claim) -> Case:
    with reading(tools.database) as session:
        run = store.run_by_id(session, claim.run_id)
        repo = store.repo_by_id(session, run.repo_id) if run else None
        if run is None or repo is None:
            raise store.StaleAttemptError
        parent = store.run_by_id(session, run.parent_run_id) if run.parent_run_id else None
        to_plan = RunToPlan(
            store.repo_info(repo), run.number, run.created_ms // 1000, parent.number if parent else 0, repo.push_repo
        )
        return Case(claim, store.trigger_of(run), to_plan.repo, repo.id, to_plan, clone_login(tools.vault, repo))


def _fetched(tools: Tools, case: Case, mirror: Mirror) -> Case:
    """The case with its commit here and known by its whole id: a branch may move before all of its jobs are done."""
    trigger = fetch(mirror, case.trigger, case.repo.default_branch)
    with transaction(tools.database) as session:
        store.set_trigger(session, case.claim.job_id, case.claim.attempt, trigger)
    return replace(case, trigger=trigger)


def _plan(tools: Tools, case: Case, mirror: Mirror) -> JobPlan | None:
    """The part of the run's plan that this worker goes on with; None when there is nothing that it may begin."""
    claim, labels = case.claim, tools.ear.labels
    try:
        plan = make_plan(mirror, case.trigger, case.run, tools.settings)
    except InvalidPipelineError as error:
        errors = [problem for problem in error.problems if problem.level is Level.ERROR]
        more = f"{len(errors)} errors, the first" if len(errors) > 1 else "an error"
        sentence = f"the pipeline has {more}: {errors[0]}"
        outcome = Outcome(State.FAILED, Reason.INVALID_PIPELINE, sentence)
        _not_planned(tools, claim, outcome, error.problems)
        return None
    except StepError as error:
        _not_planned(tools, claim, error.outcome)
        return None
    with transaction(tools.database) as session:
        planned = store.plan_run(
            session, claim.job_id, claim.attempt, plan, lambda job: fits(wanted(job.labels, case.repo.name), labels)
        )
    tools.live.changed(claim.run_id)
    for run_id in planned.superseded:
        tools.live.nudge_cancel(run_id)
        tools.live.changed(run_id)
    for job_id in planned.ring:
        tools.ring(job_id)
    return planned.mine


def _not_planned(tools: Tools, claim: leases.Claim, outcome: Outcome, problems: Sequence[Problem] = ()) -> None:
    with transaction(tools.database) as session:
        finished = store.fail_planning(session, claim.job_id, claim.attempt, outcome, problems)
    for ready in finished.ready_job_ids:
        tools.ring(ready)


def _cancel_run(tools: Tools, claim: leases.Claim, by: str) -> None:
    """Ends the whole run for a step that failed."""
    with transaction(tools.database) as session:
        result = store.request_cancel(session, claim.run_id, by, Reason.DEPENDENCY_FAILED)
    tools.live.nudge_cancel(claim.run_id)
    for ready in result.ready_job_ids:
        tools.ring(ready)


def _run(
    tools: Tools, case: Case, plan: JobPlan, mirror: Mirror, sandboxes: JobNetwork, cancel: Cancel
) -> None:  # fmt: skip
    """Runs the job and records its verdict, before what it leaves is cleaned up."""
    claim, sha = case.claim, case.trigger.sha
    mirror.fetch(sha, case.trigger.ref)
    checkout, builds = plan.checkout, any(isinstance(step, BuildStep) for step in plan.steps)
    trusted = not (case.trigger.pull_request and case.trigger.pull_request.from_fork)

    def lay_out(target: Path) -> None:
        if checkout is not None:
            mirror.checkout(sha, target, checkout, for_builds=builds, trusted=trusted)

    with reading(tools.database) as session:
        steps = {number: step.id for number, step in store.steps_by_number(session, claim.job_id).items()}
    key = job_key(tools.installation, claim.job_id)
    assignment = Assignment(
        plan=plan,
        key=key,
        attempt=claim.attempt,
        folder=tools.settings.workspaces_dir / f"{key}-{claim.attempt}",
        check_out=lay_out,
        secrets=secrets_for(tools.database, tools.vault, case.repo_id, case.trigger),
        logins=logins_for(tools.database, tools.vault, case.repo_id, case.trigger),
        options=options(tools.settings),
        network=sandboxes,
        egress=tools.company if trusted else tools.company.without_logins(),
    )
    workspaces = tools.settings.workspaces_dir
    sweep = partial(remove_dead_attempts, tools.database, tools.engine(), tools.installation, workspaces)
    with (
        Recorder(tools.database, tools.logs, tools.live, claim, steps, _now_ms) as recorder,
        open_job(
            assignment,
            tools.engine(),
            tools.builder,
            CancelOnFailure(recorder, plan, partial(_cancel_run, tools, claim)),
            cancel,
            _complain,
            sweep,
        ) as job,
    ):
        outcome = run_job(job)
        if cancel.lost:
            raise store.StaleAttemptError
        _finish(tools, claim, outcome)


def _complain(sentence: str) -> None:
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
        steps_ahead_max=settings.steps_ahead_max,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _give_back(tools: Tools, claim: leases.Claim) -> None:
    """This worker is being shut down: whoever is next may have the job at once."""
    try:
        with transaction(tools.database) as session:
            leases.release(session, claim.job_id, claim.attempt)
    except store.StaleAttemptError:
        return
    tools.ring(claim.job_id)


def _ring_next(tools: Tools) -> None:
    """One more wake-up if rows remain: messages expire in a long queue, rows do not."""
    job_id = tools.ear.next()
    if job_id is not None:
        tools.ring(job_id)
