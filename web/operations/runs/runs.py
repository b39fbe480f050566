"""Starts, cancels and re-runs runs."""

from collections.abc import Iterable

from pipelines.state import State
from web.operations import audit
from web.operations.errors import ConflictError, InvalidInputError
from web.operations.lookup import repo_named, run_numbered
from web.operations.repos.inputs import check_at_commit
from web.operations.reruns.request import ALL, checked_reason, in_words, request_for
from web.security.access import Actor
from web.services import OperationServices, Services
from workers import store
from workers.access.trust import Admission, UntrustedRuns, admission_when_queued, why_untrusted
from workers.db.models import Run
from workers.db.roles import Role
from workers.db.session import transaction
from workers.store import Queued
from workers.store.reruns.choice import Asked
from workers.triggers.manual import InvalidRequestError, ManualRun, event_for, inputs_from, trigger_for


def run_request(
    *,
    branch: str,
    tag: str,
    commit: str,
    input_lines: Iterable[str],
    target: str,
    task: str = "",
    by_admin: bool = False,
    no_reuse: bool = False,
) -> ManualRun:
    """A run as a form or a command asks for it: inputs are lines NAME=VALUE, and a target makes it a deployment."""
    try:
        inputs = inputs_from(input_lines)
    except InvalidRequestError as error:
        raise InvalidInputError(str(error)) from None
    return ManualRun(branch, tag, commit, inputs, event_for(target), target, task, by_admin, no_reuse)


def start(services: OperationServices, actor: Actor, repo_name: str, request: ManualRun) -> Queued:
    """Queues a run that the actor asks for. Raises NotFoundError, ForbiddenError and InvalidInputError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.WRITE)
        try:
            trigger = trigger_for(request, repo.default_branch, actor.name)
        except InvalidRequestError as error:
            raise InvalidInputError(str(error)) from None
        check_at_commit(session, repo.id, trigger)
        queued = store.queue_run(session, repo.id, trigger)
        audit.record(
            session, actor, "run.start", _run(repo_name, queued.number), f"{trigger.event.value} {trigger.ref}"
        )
    services.wake_workers(queued.job_id)
    return queued


def _run(repo_name: str, number: int) -> str:
    return f"{repo_name} #{number}"


def cancel(services: Services, actor: Actor, repo_name: str, number: int) -> State:
    """Asks a run to stop; its state right after. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, actor, repo_name, number, Role.WRITE)
        result = store.request_cancel(session, run.id, actor.name)
        audit.record(session, actor, "run.cancel", _run(repo_name, number))
    # If Redis does not answer, the worker finds the request when it renews its lease.
    services.live.publish_cancel(run.id)
    services.live.changed(run.id)
    services.wake_workers(*result.ready_job_ids)
    return result.state


def rerun(
    services: OperationServices,
    actor: Actor,
    repo_name: str,
    number: int,
    asked: Asked = ALL,
    reason: str = "",
    *,
    no_reuse: bool = False,
) -> Queued:
    """Queues the run's trigger once more: all of its jobs, or those that are ``asked`` for and what depends on them.

    With ``no_reuse`` each of their steps runs, also where it could take an earlier result.

    Raises NotFoundError, ForbiddenError, InvalidInputError, and ConflictError while the run still goes on, or where
    nothing of it would run again.
    """
    reason = checked_reason(reason)
    with transaction(services.engine) as session:
        repo, run = run_numbered(session, actor, repo_name, number, Role.WRITE)
        if not run.state.final:
            raise ConflictError(f"Run {number} has not ended yet. Cancel it first, or wait.")
        admitted = admission_when_queued(store.trigger_of(run), UntrustedRuns(repo.untrusted_runs))
        request = request_for(session, run, asked, actor.name, reason)
        queued = store.rerun(session, run.id, held=admitted is Admission.HOLD, asked=request, no_reuse=no_reuse)
        audit.record(session, actor, "run.rerun", _run(repo_name, number), in_words(request, queued.number))
    services.wake_workers(queued.job_id)
    return queued


def approve(services: OperationServices, actor: Actor, repo_name: str, number: int) -> None:
    """Lets an untrusted run go on, and the others of the same commit and author.

    Raises NotFoundError, ForbiddenError, and ConflictError if the run does not wait for approval.
    """
    with transaction(services.engine) as session:
        _, run = run_numbered(session, actor, repo_name, number, Role.WRITE)
        try:
            job_ids = store.approve(session, run.id, actor.name)
        except store.NotHeldError:
            raise ConflictError(f"Run {number} does not wait for approval.") from None
        audit.record(session, actor, "run.approve", _run(repo_name, number), f"commit {store.trigger_of(run).sha}")
    services.wake_workers(*job_ids)


def reject(services: OperationServices, actor: Actor, repo_name: str, number: int) -> None:
    """Cancels a run that waits for approval. Raises as ``approve``."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, actor, repo_name, number, Role.WRITE)
        if not run.held or run.state.final:
            raise ConflictError(f"Run {number} does not wait for approval.")
        store.request_cancel(session, run.id, actor.name)
        audit.record(session, actor, "run.reject", _run(repo_name, number), f"commit {store.trigger_of(run).sha}")


def untrusted_because(run: Run) -> str:
    """Why the run is untrusted, as far as it is known. Before a worker has asked git, that is only about forks."""
    return why_untrusted(store.trigger_of(run), on_branch=run.on_branch is not False)
