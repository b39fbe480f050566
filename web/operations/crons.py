"""Adds, switches, runs and removes crons."""

from collections.abc import Iterable, Sequence

from web.operations.errors import InvalidInputError
from web.operations.lookup import cron_named, repo_named
from web.services import OperationServices
from workers import store
from workers.db.models import Cron, Repo, Run
from workers.db.session import db_now_ms, reading, transaction
from workers.store import Queued
from workers.triggers import crons
from workers.triggers.crons import NewCron
from workers.triggers.manual import InvalidRequestError, inputs_from


def cron_request(name: str, expression: str, zone: str, branch: str, input_lines: Iterable[str]) -> NewCron:
    """A cron as a form or a command asks for it: inputs are lines NAME=VALUE. Raises InvalidInputError."""
    try:
        return NewCron(name, expression, zone, branch, inputs_from(input_lines))
    except InvalidRequestError as error:
        raise InvalidInputError(str(error)) from None


def list_crons(services: OperationServices, repo_name: str) -> tuple[Repo, Sequence[tuple[Cron, Run | None]]]:
    """The repository, and its crons by name, each with the run that it started last. Raises NotFoundError."""
    with reading(services.engine) as session:
        repo = repo_named(session, repo_name)
        return repo, store.crons_of(session, repo.id)


def put(services: OperationServices, repo_name: str, new: NewCron) -> Cron:
    """Adds a cron, or replaces the one of that name. Raises NotFoundError and InvalidInputError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, repo_name)
        try:
            return crons.put_cron(session, repo.id, new, db_now_ms(session))
        except InvalidRequestError as error:
            raise InvalidInputError(str(error)) from None


def switch(services: OperationServices, repo_name: str, cron_name: str, *, on: bool) -> Cron:
    """Switches a cron on or off. Raises NotFoundError."""
    with transaction(services.engine) as session:
        repo, cron = cron_named(session, repo_name, cron_name)
        new = NewCron(cron.name, cron.expression, cron.zone, cron.branch, cron.inputs, enabled=on)
        return crons.put_cron(session, repo.id, new, db_now_ms(session))


def run_now(services: OperationServices, repo_name: str, cron_name: str, by: str) -> Queued:
    """Starts a cron's run now, whether it is switched on or off. Raises NotFoundError."""
    with transaction(services.engine) as session:
        repo, cron = cron_named(session, repo_name, cron_name)
        queued = crons.run_cron(session, cron, repo, by)
    services.wake_workers(queued.job_id)
    return queued


def remove(services: OperationServices, repo_name: str, cron_name: str) -> None:
    """Removes a cron; its runs stay. Raises NotFoundError."""
    with transaction(services.engine) as session:
        repo, cron = cron_named(session, repo_name, cron_name)
        store.drop_cron(session, repo.id, cron.name)
