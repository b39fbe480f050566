"""Starts, cancels and re-runs runs."""

from collections.abc import Iterable

from pipelines.state import State
from web.operations.errors import ConflictError, InvalidInputError
from web.operations.lookup import repo_named, run_numbered
from web.services import OperationServices, Services
from workers import store
from workers.access.trust import Admission, UntrustedRuns, admission_when_queued, why_untrusted
from workers.db.models import Run
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


def start(services: OperationServices, repo_name: str, request: ManualRun, by: str) -> Queued:
    """Queues a run that the user ``by`` asks for. Raises NotFoundError and InvalidInputError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, repo_name)
        try:
            trigger = trigger_for(request, repo.default_branch, by)
        except InvalidRequestError as error:
            raise InvalidInputError(str(error)) from None
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
        repo, run = run_numbered(session, repo_name, number)
        if not run.state.final:
            raise ConflictError(f"Run {number} has not ended yet. Cancel it first, or wait.")
        admitted = admission_when_queued(store.trigger_of(run), UntrustedRuns(repo.untrusted_runs))
        queued = store.rerun(session, run.id, held=admitted is Admission.HOLD)
    services.wake_workers(queued.job_id)
    return queued


def approve(services: OperationServices, repo_name: str, number: int, by: str) -> None:
    """Lets an untrusted run go on, and the others of the same commit and author. Raises NotFoundError, ConflictError.

    The caller has checked that ``by`` is a maintainer of the repository.
    """
    with transaction(services.engine) as session:
        _, run = run_numbered(session, repo_name, number)
        try:
            job_ids = store.approve(session, run.id, by)
        except store.NotHeldError:
            raise ConflictError(f"Run {number} does not wait for approval.") from None
    services.wake_workers(*job_ids)


def reject(services: OperationServices, repo_name: str, number: int, by: str) -> None:
    """Cancels a run that waits for approval. Raises NotFoundError, ConflictError."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, repo_name, number)
        if not run.held or run.state.final:
            raise ConflictError(f"Run {number} does not wait for approval.")
        store.request_cancel(session, run.id, by)


def untrusted_because(run: Run) -> str:
    """Why the run is untrusted, as far as it is known. Before a worker has asked git, that is only about forks."""
    return why_untrusted(store.trigger_of(run), on_branch=run.on_branch is not False)
