"""What a request names, from the database, or a refusal that says what is not there."""

from functools import cache
from itertools import groupby
from zlib import crc32

from fastapi import HTTPException
from sqlalchemy.orm import Session

from workers import store
from workers.db.models import Cron, Job, Repo, Run, Step
from workers.store import StepPlace


def repo_named(session: Session, name: str) -> Repo:
    """The repository. Raises HTTPException 404."""
    repo = store.repo_by_name(session, name)
    if repo is None:
        raise HTTPException(404, f"There is no repository named {name} here.")
    return repo


def run_numbered(session: Session, name: str, number: int) -> tuple[Repo, Run]:
    """The repository and its run. Raises HTTPException 404."""
    repo = repo_named(session, name)
    run = store.run_by_number(session, repo.id, number)
    if run is None:
        raise HTTPException(404, f"{name} has no run {number}.")
    return repo, run


def cron_named(session: Session, name: str, cron_name: str) -> tuple[Repo, Cron]:
    """The repository and its cron. Raises HTTPException 404."""
    repo = repo_named(session, name)
    cron = store.cron_named(session, repo.id, cron_name)
    if cron is None:
        raise HTTPException(404, f"{name} has no cron named {cron_name}.")
    return repo, cron


def step_numbered(session: Session, step_id: int) -> StepPlace:
    """The step with all it belongs to. Raises HTTPException 404."""
    place = store.step_place(session, step_id)
    if place is None:
        raise HTTPException(404, f"There is no step {step_id} here.")
    return place


def jobs_with_steps(session: Session, run_id: int) -> list[tuple[Job, list[Step]]]:
    """The run's jobs in order, each with its steps."""
    steps = {
        job: list(of_job) for job, of_job in groupby(store.steps_of_run(session, run_id), lambda step: step.job_id)
    }
    return [(job, steps.get(job.id, [])) for job in store.jobs_of(session, run_id)]


def in_order(jobs: list[tuple[Job, list[Step]]]) -> list[tuple[Job, list[Step]]]:
    """Jobs after those that they need, else as they are numbered."""
    needs = {job.name: job.needs for job, _ in jobs}

    @cache
    def depth(name: str) -> int:
        return 1 + max(map(depth, needs.get(name, ())), default=0)

    return sorted(jobs, key=lambda each: depth(each[0].name))


def version_of(run: Run, jobs: list[tuple[Job, list[Step]]]) -> str:
    """A text that changes whenever a run's page would read differently, its logs aside."""
    seen: list[tuple[object, ...]] = [(run.state, run.started_ms, run.cancel_requested_ms, run.sentence, run.title)]
    for job, steps in jobs:
        seen.append((job.state, job.attempt, job.message, job.host))
        seen += [(step.state, step.started_ms, step.attempt, step.message, repr(step.facts)) for step in steps]
    return f"{crc32(repr(seen).encode()):08x}"


def version_of_recent(recent: list[tuple[Run, Repo]], repos: int, idle: set[int]) -> str:
    """A text that changes whenever the front page would read differently."""
    seen: list[object] = [repos, *((run.id, run.state, run.started_ms, run.id in idle) for run, _ in recent)]
    return f"{crc32(repr(seen).encode()):08x}"
