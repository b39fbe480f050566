"""Shells in running steps: who may open one, and what the audit log says of it."""

from dataclasses import dataclass

from pipelines.state import State
from web.operations import audit
from web.operations.errors import ConflictError, ForbiddenError, NotFoundError
from web.operations.lookup import repo_named, step_with_id
from web.operations.runs.runs import untrusted_because
from web.security.access import Actor
from web.security.auth import still_valid
from web.services import OperationServices
from workers.db.models import Run, Step
from workers.db.roles import Role
from workers.db.session import reading, transaction

SWITCHED_OFF = "This server opens no shells in running steps: HEADWAY_STEP_SHELLS is false."
WITHOUT_CONTAINER = frozenset({"build", "push"})


@dataclass(frozen=True)
class ShellPlace:
    """A step into which a shell may be opened now: by its id, and by its number in an attempt at its job."""

    step_id: int
    job_id: int
    attempt: int
    step: int
    target: str


def needed_role(run: Run) -> Role:
    """Write on the repository. Of an untrusted run admin: what runs there was written by others."""
    return Role.ADMIN if untrusted_because(run) else Role.WRITE


def can_have_shell(step: Step) -> bool:
    """Whether the step runs now, in a container."""
    return step.state is State.RUNNING and step.kind not in WITHOUT_CONTAINER


def check_may_open(services: OperationServices, actor: Actor, step_id: int) -> None:
    """Raises NotFoundError, and ForbiddenError where the actor may open no shell in this step, running or not."""
    with reading(services.engine) as session:
        place = step_with_id(session, actor, step_id)
        repo_named(session, actor, place.repo.name, needed_role(place.run))
    if not services.settings.step_shells:
        raise ForbiddenError(SWITCHED_OFF)


def shell_place(services: OperationServices, actor: Actor, step_id: int) -> ShellPlace:
    """Where the worker is to open the shell. Raises as ``check_may_open``, and ConflictError unless it runs."""
    check_may_open(services, actor, step_id)
    with reading(services.engine) as session:
        found = step_with_id(session, actor, step_id)
        if found.step.state is not State.RUNNING:
            url = services.settings.run_url(found.repo.name, found.run.number)
            sentence = f"The step {found.step.name} does not run now, so there is no shell to open in it."
            raise ConflictError(f"{sentence}{_hint(found.step, url)}")
        if found.step.kind in WITHOUT_CONTAINER:
            raise ConflictError(f"The step {found.step.name} is a {found.step.kind}, which has no container.")
        target = f"{found.repo.name} #{found.run.number}: {found.step.name}"
        return ShellPlace(step_id, found.job.id, found.job.attempt, found.step.number, target)


def _hint(step: Step, url: str) -> str:
    """How to look into a step that has failed."""
    if step.state is not State.FAILED:
        return ""
    return (
        f" It has failed. To look into it, run it on your computer: headway run --like {url} --keep-on-failure, "
        "and then headway shell."
    )


def may_go_on(services: OperationServices, actor: Actor, place: ShellPlace) -> bool:
    """Whether a login that has opened a shell could still do so: it, its role and the step may have ended."""
    with reading(services.engine) as session:
        now = still_valid(session, actor)
    if now is None:
        return False
    try:
        check_may_open(services, now, place.step_id)
    except (NotFoundError, ForbiddenError):
        return False
    return True


def note_opened(services: OperationServices, actor: Actor, place: ShellPlace) -> None:
    """Adds the entry of a shell that is about to be opened."""
    with transaction(services.engine) as session:
        audit.record(session, actor, "shell.open", place.target)


def note_closed(services: OperationServices, actor: Actor, place: ShellPlace, seconds: float, why: str) -> None:
    """Adds the entry of its end. What was typed and shown is recorded nowhere."""
    with transaction(services.engine) as session:
        audit.record(session, actor, "shell.close", place.target, f"after {seconds:.0f} s: {why}")
