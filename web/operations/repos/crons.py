"""Adds, switches, runs and removes crons."""

from collections.abc import Iterable, Mapping, Sequence

from web.operations import audit
from web.operations.errors import InvalidInputError
from web.operations.lookup import cron_named, repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers import store
from workers.db.models import Cron, Repo, Run
from workers.db.roles import Role
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


def list_crons(
    services: OperationServices, actor: Actor, repo_name: str
) -> tuple[Repo, Sequence[tuple[Cron, Run | None]]]:
    """The repository, and its crons by name, each with the run that it started last. Raises NotFoundError."""
    with reading(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.READ)
        return repo, store.crons_of(session, repo.id)


def put(services: OperationServices, actor: Actor, repo_name: str, new: NewCron) -> Cron:
    """Adds a cron, or replaces the one of that name. Raises NotFoundError, ForbiddenError and InvalidInputError."""
    with transaction(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.ADMIN)
        old = store.cron_named(session, repo.id, new.name)
        before, inputs = _in_words(old), dict(old.inputs) if old else {}
        try:
            cron = crons.put_cron(session, repo.id, new, db_now_ms(session), by_admin=actor.administers)
        except InvalidRequestError as error:
            raise InvalidInputError(str(error)) from None
        detail = ", ".join(filter(None, (audit.change(before, _in_words(cron)), _changed_inputs(inputs, cron.inputs))))
        audit.record(session, actor, "cron.set", f"{repo_name} {cron.name}", detail)
        return cron


def _changed_inputs(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Which inputs changed, without their values, which may hold anything."""
    kinds = (
        ("added", sorted(new.keys() - old.keys())),
        ("changed", sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        ("removed", sorted(old.keys() - new.keys())),
    )
    said = "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)
    return f"inputs: {said}" if said else ""


def _in_words(cron: Cron | None) -> str:
    """A cron without the values of its inputs, which may hold anything."""
    if cron is None:
        return ""
    state = "off" if cron.next_ms is None else "on"
    vouched = " with inputs that an administrator set" if cron.inputs and cron.inputs_by_admin else ""
    return f"{cron.expression} {cron.zone} {cron.branch or 'default branch'} {state}{vouched}"


def switch(services: OperationServices, actor: Actor, repo_name: str, cron_name: str, *, on: bool) -> Cron:
    """Switches a cron on or off. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo, cron = cron_named(session, actor, repo_name, cron_name, Role.ADMIN)
        before = _in_words(cron)
        new = NewCron(cron.name, cron.expression, cron.zone, cron.branch, cron.inputs, enabled=on)
        # Not ``by_admin``: who switches a cron on has not looked at its inputs.
        cron = crons.put_cron(session, repo.id, new, db_now_ms(session))
        audit.record(session, actor, "cron.set", f"{repo_name} {cron.name}", audit.change(before, _in_words(cron)))
        return cron


def run_now(services: OperationServices, actor: Actor, repo_name: str, cron_name: str) -> Queued:
    """Starts a cron's run now, whether it is switched on or off. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo, cron = cron_named(session, actor, repo_name, cron_name, Role.WRITE)
        queued = crons.run_cron(session, cron, repo, actor.name)
        audit.record(session, actor, "run.start", f"{repo_name} #{queued.number}", f"cron {cron.name}")
    services.wake_workers(queued.job_id)
    return queued


def remove(services: OperationServices, actor: Actor, repo_name: str, cron_name: str) -> None:
    """Removes a cron; its runs stay. Raises NotFoundError and ForbiddenError."""
    with transaction(services.engine) as session:
        repo, cron = cron_named(session, actor, repo_name, cron_name, Role.ADMIN)
        before = _in_words(cron)
        store.drop_cron(session, repo.id, cron.name)
        audit.record(session, actor, "cron.remove", f"{repo_name} {cron_name}", before)
