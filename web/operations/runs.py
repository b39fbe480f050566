"""Starts, cancels and re-runs runs."""

from collections.abc import Iterable

from pipelines.state import State
from web.operations.errors import ConflictError, InvalidInputError
from web.operations.inputs import check_at_commit
from web.operations.lookup import repo_named, run_numbered
from web.services import OperationServices, Services
from workers import store
from workers.db.session import transaction
from workers.store import Queued
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
) -> ManualRun:
    """A run as a form or a command asks for it: inputs are lines NAME=VALUE, and a target makes it a deployment."""
    try:
        inputs = inputs_from(input_lines)
    except InvalidRequestError as error:
        raise InvalidInputError(str(error)) from None
    return ManualRun(branch, tag, commit, inputs, event_for(target), target, task, by_admin)


def start(services: OperationServices, repo_name: str, request: ManualRun, by: str) -> Queued:
    """Queues a run that the user ``by`` asks for. Raises NotFoundError and InvalidInputError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, repo_name)
        try:
            trigger = trigger_for(request, repo.default_branch, by)
        except InvalidRequestError as error:
            raise InvalidInputError(str(error)) from None
        check_at_commit(session, repo.id, trigger)
        queued = store.queue_run(session, repo.id, trigger)
    services.wake_workers(queued.job_id)
    return queued


def cancel(services: Services, repo_name: str, number: int, by: str) -> State:
    """Asks a run to stop; its state right after. Raises NotFoundError."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, repo_name, number)
        result = store.request_cancel(session, run.id, by)
    # If Redis does not answer, the worker finds the request when it renews its lease.
    services.live.publish_cancel(run.id)
    services.live.changed(run.id)
    services.wake_workers(*result.ready_job_ids)
    return result.state


def rerun(services: OperationServices, repo_name: str, number: int) -> Queued:
    """Queues the run's trigger once more. Raises NotFoundError, and ConflictError while the run still goes on."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, repo_name, number)
        if not run.state.final:
            raise ConflictError(f"Run {number} has not ended yet. Cancel it first, or wait.")
        queued = store.rerun(session, run.id)
    services.wake_workers(queued.job_id)
    return queued
