"""What a message starts: claim one job, plan its run if nobody has, carry it out, record how it ended."""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Engine as Database

from pipelines.context import RepoInfo
from pipelines.plan import JobPlan
from pipelines.problem import InvalidPipelineError, Level
from pipelines.state import Outcome, Reason, State
from pipelines.trigger import Trigger
from runner.build import Builder
from runner.cancel import Cancel
from runner.engine import Engine, Limits, Login
from runner.errors import StepError
from runner.execute import open_job, run_job
from runner.gitrun import GitLogin
from runner.job import Assignment, Options
from runner.source import Mirror
from workers import leases, store
from workers.db import reading, transaction
from workers.keeper import Keeper
from workers.live import LiveTail
from workers.logs import LogStore
from workers.planning import RunToPlan, fetch, make_plan
from workers.recorder import Recorder
from workers.settings import Settings
from workers.sweeper import job_key
from workers.tables import Repo
from workers.vault import Vault, clone_place, registry_place, secret_place

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
    owner: str
    installation: str


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
    """One message: one attempt to claim this job. When somebody else has it, or it has ended, nothing happens."""
    settings = tools.settings
    with transaction(tools.database) as session:
        claim = leases.claim(session, job_id, tools.owner, settings.lease_s, socket.gethostname())
    if claim is None:
        return
    tools.live.changed(claim.run_id)
    cancel = Cancel()
    try:
        with Keeper(tools.database, tools.live, claim, tools.owner, settings.lease_s, cancel):
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
    try:
        case = _case(tools, claim)
        mirror = Mirror(tools.settings.mirrors_dir, case.repo.clone_url, case.login)
        plan = claim.plan or _plan(tools, case, mirror)
        if plan is not None:
            _run(tools, case, plan, mirror, cancel)
    except store.StaleAttemptError:
        raise
    except StepError as error:
        _finish(tools, claim, error.outcome, cancel)
    except Exception as error:  # noqa: BLE001 - a job must end whatever happens; the log and the page have it
        _log.exception("a job broke", job=claim.job_id)
        hint = "this is a fault of Headway's; its log has the details"
        outcome = Outcome(State.BROKEN, Reason.INTERNAL, f"{type(error).__name__}: {error}; {hint}")
        _finish(tools, claim, outcome, cancel)


def _finish(tools: Tools, claim: leases.Claim, outcome: Outcome, cancel: Cancel) -> None:
    """The verdict, if the job is still ours; wakes workers for the jobs that waited for it."""
    if cancel.lost:
        raise store.StaleAttemptError
    with transaction(tools.database) as session:
        finished = store.finish_job(session, claim.job_id, claim.attempt, outcome)
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
        return Case(claim, store.trigger_of(run), to_plan.repo, repo.id, to_plan, _clone_login(tools, repo))


def _clone_login(tools: Tools, repo: Repo) -> GitLogin | None:
    if not repo.clone_password_sealed:
        return None
    return GitLogin(repo.clone_username, tools.vault.unseal(clone_place(repo.id), repo.clone_password_sealed))


def _plan(tools: Tools, case: Case, mirror: Mirror) -> JobPlan | None:
    """The part of the run's plan that this worker goes on with; None when there is nothing to run."""
    claim = case.claim
    try:
        trigger = fetch(mirror, case.trigger)
        with transaction(tools.database) as session:
            store.set_trigger(session, claim.job_id, claim.attempt, trigger)
        plan = make_plan(mirror, trigger, case.run, tools.settings)
    except InvalidPipelineError as error:
        errors = [problem for problem in error.problems if problem.level is Level.ERROR]
        more = f"{len(errors)} errors, the first" if len(errors) > 1 else "an error"
        sentence = f"the pipeline has {more}: {errors[0]}"
        outcome = Outcome(State.FAILED, Reason.INVALID_PIPELINE, sentence)
        with transaction(tools.database) as session:
            store.fail_planning(session, claim.job_id, claim.attempt, outcome, problems=error.problems)
        return None
    except StepError as error:
        with transaction(tools.database) as session:
            store.fail_planning(session, claim.job_id, claim.attempt, error.outcome)
        return None
    with transaction(tools.database) as session:
        planned = store.plan_run(session, claim.job_id, claim.attempt, plan)
    tools.live.changed(claim.run_id)
    for job_id in planned.ring:
        tools.ring(job_id)
    return planned.mine


def _run(tools: Tools, case: Case, plan: JobPlan, mirror: Mirror, cancel: Cancel) -> None:
    """Runs the job and records its verdict, before what it leaves is cleaned up."""
    claim = case.claim
    sha = mirror.resolve(case.trigger.sha, case.trigger.ref)
    mirror.fetch(sha, case.trigger.ref)
    checkout = plan.checkout

    def lay_out(target: Path) -> None:
        if checkout is not None:
            mirror.checkout(sha, target, checkout)

    with reading(tools.database) as session:
        steps = {number: step.id for number, step in store.steps_by_number(session, claim.job_id).items()}
    key = job_key(tools.installation, claim.job_id)
    assignment = Assignment(
        plan=plan,
        key=key,
        attempt=claim.attempt,
        folder=tools.settings.workspaces_dir / f"{key}-{claim.attempt}",
        lay_out=lay_out,
        secrets=_secrets(tools, case),
        logins=_logins(tools, case),
        options=options(tools.settings),
    )
    with (
        Recorder(tools.database, tools.logs, tools.live, claim, steps, _now_ms) as recorder,
        open_job(assignment, tools.engine(), tools.builder, recorder, cancel, _complain) as job,
    ):
        _finish(tools, claim, run_job(job), cancel)


def _complain(sentence: str) -> None:
    _log.warning("cleaning up", problem=sentence)


def _secrets(tools: Tools, case: Case) -> Mapping[str, str]:
    with reading(tools.database) as session:
        sealed = store.sealed_secrets_for(session, case.repo_id, case.trigger)
    return {name: tools.vault.unseal(secret_place(case.repo_id, name), value) for name, value in sealed.items()}


def _logins(tools: Tools, case: Case) -> Mapping[str, Login]:
    """Logins to registries; none for a pull request from a fork, whose author could push with them."""
    if case.trigger.pull_request and case.trigger.pull_request.from_fork:
        return {}
    with reading(tools.database) as session:
        found = store.registries_for(session, case.repo_id)
    places = {host: registry_place(row.repo_id, host) for host, row in found.items()}
    return {h: Login(row.username, tools.vault.unseal(places[h], row.sealed_password)) for h, row in found.items()}


def options(settings: Settings) -> Options:
    """The server's limits for one job."""
    limits = Limits(settings.step_memory_bytes_max, settings.step_cpus_max, settings.step_pids_max)
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
    with reading(tools.database) as session:
        job_id = leases.next_ready(session)
    if job_id is not None:
        tools.ring(job_id)
