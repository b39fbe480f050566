"""Rows by the names and numbers that a request gives. Each function raises NotFoundError where there is none."""

from itertools import groupby

from sqlalchemy.orm import Session

from web.operations.errors import NotFoundError
from workers import store
from workers.db.models import Cron, Job, Repo, Run, Step, User
from workers.store import StepPlace


def repo_named(session: Session, name: str) -> Repo:
    """The repository of this name."""
    repo = store.repo_by_name(session, name)
    if repo is None:
        raise NotFoundError(f"There is no repository named {name} here.")
    return repo


def run_numbered(session: Session, name: str, number: int) -> tuple[Repo, Run]:
    """The repository and its run of this number."""
    repo = repo_named(session, name)
    run = store.run_by_number(session, repo.id, number)
    if run is None:
        raise NotFoundError(f"{name} has no run {number}.")
    return repo, run


def run_with_id(session: Session, run_id: int) -> Run:
    """The run with this id, which counts over all repositories."""
    run = store.run_by_id(session, run_id)
    if run is None:
        raise NotFoundError(f"There is no run {run_id} here.")
    return run


def cron_named(session: Session, name: str, cron_name: str) -> tuple[Repo, Cron]:
    """The repository and its cron of this name."""
    repo = repo_named(session, name)
    cron = store.cron_named(session, repo.id, cron_name)
    if cron is None:
        raise NotFoundError(f"{name} has no cron named {cron_name}.")
    return repo, cron


def step_with_id(session: Session, step_id: int) -> StepPlace:
    """The step with this id, its job, its run and its repository."""
    place = store.step_place(session, step_id)
    if place is None:
        raise NotFoundError(f"There is no step {step_id} here.")
    return place


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
