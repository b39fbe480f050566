"""Starts, cancels and re-runs runs."""

from collections.abc import Iterable

from pipelines.state import State
from web.operations import audit
from web.operations.errors import ConflictError, InvalidInputError
from web.operations.lookup import repo_named, run_numbered
from web.security.access import Actor
from web.services import OperationServices, Services
from workers import store
from workers.db.roles import Role
from workers.db.session import transaction
from workers.store import Queued
from workers.triggers.manual import InvalidRequestError, ManualRun, event_for, inputs_from, trigger_for


def run_request(
    *, branch: str, tag: str, commit: str, input_lines: Iterable[str], target: str, task: str = ""
) -> ManualRun:
    """A run as a form or a command asks for it: inputs are lines NAME=VALUE, and a target makes it a deployment."""
    try:
        inputs = inputs_from(input_lines)
    except InvalidRequestError as error:
        raise InvalidInputError(str(error)) from None
    return ManualRun(branch, tag, commit, inputs, event_for(target), target, task)


def start(services: OperationServices, actor: Actor, repo_name: str, request: ManualRun) -> Queued:
    """Queues a run that the actor asks for. Raises NotFoundError, ForbiddenError and InvalidInputError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.WRITE)
        try:
            trigger = trigger_for(request, repo.default_branch, actor.name)
        except InvalidRequestError as error:
            raise InvalidInputError(str(error)) from None
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


def rerun(services: OperationServices, actor: Actor, repo_name: str, number: int) -> Queued:
    """Queues the run's trigger once more.

    Raises NotFoundError, ForbiddenError, and ConflictError while the run still goes on.
    """
    with transaction(services.engine) as session:
        _, run = run_numbered(session, actor, repo_name, number, Role.WRITE)
        if not run.state.final:
            raise ConflictError(f"Run {number} has not ended yet. Cancel it first, or wait.")
        queued = store.rerun(session, run.id)
        audit.record(session, actor, "run.rerun", _run(repo_name, number), f"as run {queued.number}")
    services.wake_workers(queued.job_id)
    return queued
