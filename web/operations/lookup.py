"""Rows by the names and numbers that a request gives, for an actor who may see or change them.

Requests and commands reach rows through these functions alone, so that no operation can forget to ask for a role. Each
function raises NotFoundError where there is no such row.
"""

from itertools import groupby

from sqlalchemy.orm import Session

from web.operations.errors import ForbiddenError, NotFoundError
from web.security import access
from web.security.access import Actor
from workers import store
from workers.db.models import Artifact, Cron, Job, Repo, Run, Step, User
from workers.db.roles import Role
from workers.retention_policy import RetentionPolicy
from workers.store import StepPlace
from workers.store.artifacts import artifact_by_id
from workers.store.repos.names import repo_by_former_name
from workers.store.repos.retention import own_values


def repo_named(session: Session, actor: Actor, name: str, needed: Role) -> Repo:
    """The repository of this name, for something that needs the role ``needed``.

    Raises NotFoundError also where the actor has no role on it: a request does not tell that it exists. Raises
    ForbiddenError where the actor sees it, but has a lower role. A former name leads to the repository, too.
    """
    repo = store.repo_by_name(session, name) or repo_by_former_name(session, name)
    role = access.role_on(session, actor, repo) if repo else None
    if repo is None or role is None:
        raise NotFoundError(f"There is no repository named {name} here.")
    if not role.includes(needed):
        raise ForbiddenError(_lower_role(actor, name, role, needed))
    return repo


def _lower_role(actor: Actor, name: str, role: Role, needed: Role) -> str:
    if not actor.scope.role_max.includes(needed):
        return (
            f"This needs the role {needed.value} on {name}; a token of the scope {actor.scope.value} is for less. Make "
            "one with another scope."
        )
    return (
        f"This needs the role {needed.value} on {name}; you have the role {role.value}. "
        f"Who has the role admin on it can give you another."
    )


def check_administrator(actor: Actor) -> None:
    """Raises ForbiddenError unless the actor may administrate the server."""
    if not actor.administers:
        hint = " and a token with the scope admin" if actor.is_admin else ""
        raise ForbiddenError(f"Only an administrator{hint} may do this.")


def run_numbered(
    session: Session, actor: Actor, name: str, number: int, needed: Role, server: RetentionPolicy | None = None
) -> tuple[Repo, Run]:
    """The repository and its run of this number, under the same conditions as ``repo_named``.

    With the ``server``'s limits, the sentence about a run that was removed says how long runs are kept.
    """
    repo = repo_named(session, actor, name, needed)
    run = store.run_by_number(session, repo.id, number)
    if run is None and number <= repo.last_number:
        raise NotFoundError(_removed(session, repo, number, server or RetentionPolicy()))
    if run is None:
        raise NotFoundError(f"{name} has no run {number}.")
    return repo, run


def _removed(session: Session, repo: Repo, number: int, server: RetentionPolicy) -> str:
    policy = server.within(own_values(session, repo.id))
    limits = [
        *([f"after {policy.run_days} days"] if policy.run_days else []),
        *([f"when there are more than {policy.run_count} of them"] if policy.run_count else []),
    ]
    when = f" {' or '.join(limits)}" if limits else " by retention"
    return f"{repo.name} has no run {number} any more: old runs are removed{when}."


def run_with_id(session: Session, actor: Actor, run_id: int) -> Run:
    """The run with this id, which counts over all repositories, if the actor sees its repository."""
    run = store.run_by_id(session, run_id)
    repo = store.repo_by_id(session, run.repo_id) if run else None
    if run is None or repo is None or not access.may(session, actor, repo, Role.READ):
        raise NotFoundError(f"There is no run {run_id} here.")
    return run


def cron_named(session: Session, actor: Actor, name: str, cron_name: str, needed: Role) -> tuple[Repo, Cron]:
    """The repository and its cron of this name, under the same conditions as ``repo_named``."""
    repo = repo_named(session, actor, name, needed)
    cron = store.cron_named(session, repo.id, cron_name)
    if cron is None:
        raise NotFoundError(f"{name} has no cron named {cron_name}.")
    return repo, cron


def step_with_id(session: Session, actor: Actor, step_id: int) -> StepPlace:
    """The step with this id, its job, its run and its repository, if the actor sees that."""
    place = store.step_place(session, step_id)
    if place is None or not access.may(session, actor, place.repo, Role.READ):
        raise NotFoundError(f"There is no step {step_id} here.")
    return place


def artifact_with_id(session: Session, actor: Actor, artifact_id: int) -> Artifact:
    """The artifact with this id, if the actor sees its repository."""
    artifact = artifact_by_id(session, artifact_id)
    run = store.run_by_id(session, artifact.run_id) if artifact else None
    repo = store.repo_by_id(session, run.repo_id) if run else None
    if artifact is None or repo is None or not access.may(session, actor, repo, Role.READ):
        raise NotFoundError(f"There is no artifact {artifact_id} here; it may have expired.")
    return artifact


def user_named(session: Session, name: str) -> User:
    """The user of this name."""
    user = store.user_by_name(session, name)
    if user is None:
        raise NotFoundError(f"There is no user named {name}. headway user add {name} makes one.")
    return user


def jobs_with_steps(session: Session, run_id: int) -> list[tuple[Job, list[Step]]]:
    """The run's jobs in order, each with its steps."""
    steps = {
        job: list(of_job) for job, of_job in groupby(store.steps_of_run(session, run_id), lambda step: step.job_id)
    }
    return [(job, steps.get(job.id, [])) for job in store.jobs_of(session, run_id)]
