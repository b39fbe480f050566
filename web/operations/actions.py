"""What people ask of runs, crons and secrets, the same from the API, the pages and the command line."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from fastapi import HTTPException
from redis import RedisError
from sqlalchemy import Engine

from pipelines.state import State
from pipelines.trigger import Event
from web.operations.lookup import cron_named, repo_named, run_numbered
from web.services import Services
from workers import store
from workers.db.models import Cron
from workers.db.session import db_now_ms, transaction
from workers.secrets.vault import secret_place
from workers.store import Queued
from workers.triggers import crons
from workers.triggers.crons import NewCron
from workers.triggers.manual import ManualRun, trigger_for


class Desk(Protocol):
    """What starts runs needs of whoever was asked: the server, or one command."""

    @property
    def engine(self) -> Engine:
        """The database."""

    @property
    def ring(self) -> Callable[[int], object]:
        """Wakes a worker for a job."""


_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def cancel(services: Services, name: str, number: int, by: str) -> State:
    """Asks a run to stop; its state right after. Raises HTTPException 404."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, name, number)
        result = store.request_cancel(session, run.id, by)
    # Without Redis the worker finds the request when it renews its lease.
    with suppress(RedisError):
        services.live.publish_cancel(run.id)
        services.live.changed(run.id)
    for job_id in result.ready_job_ids:
        services.ring(job_id)
    return result.state


def rerun(services: Services, name: str, number: int) -> Queued:
    """The run's trigger once more. Raises HTTPException 404, and 409 while the run still goes on."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, name, number)
        if not run.state.final:
            raise HTTPException(409, f"Run {number} has not ended yet. Cancel it first, or wait.")
        queued = store.rerun(session, run.id)
    services.ring(queued.job_id)
    return queued


def start(desk: Desk, name: str, asked: ManualRun, by: str) -> Queued:
    """Queues a run of what was asked for. Raises HTTPException 404 and InvalidRequestError."""
    with transaction(desk.engine) as session:
        repo = repo_named(session, name)
        queued = store.queue_run(session, repo.id, trigger_for(asked, repo.default_branch, by))
    desk.ring(queued.job_id)
    return queued


def put_cron(desk: Desk, name: str, new: NewCron) -> Cron:
    """Adds or changes a repository's cron. Raises HTTPException 404 and InvalidRequestError."""
    with transaction(desk.engine) as session:
        return crons.put_cron(session, repo_named(session, name).id, new, db_now_ms(session))


def switch_cron(desk: Desk, name: str, cron_name: str, *, on: bool) -> Cron:
    """Switches a cron on or off. Raises HTTPException 404."""
    with transaction(desk.engine) as session:
        repo, cron = cron_named(session, name, cron_name)
        new = NewCron(cron.name, cron.expression, cron.zone, cron.branch, cron.inputs, enabled=on)
        return crons.put_cron(session, repo.id, new, db_now_ms(session))


def run_cron(desk: Desk, name: str, cron_name: str, by: str) -> Queued:
    """Starts a cron's run now, whether it is switched on or off. Raises HTTPException 404."""
    with transaction(desk.engine) as session:
        repo, cron = cron_named(session, name, cron_name)
        queued = crons.run_cron(session, cron, repo, by)
    desk.ring(queued.job_id)
    return queued


def drop_cron(desk: Desk, name: str, cron_name: str) -> None:
    """Removes a cron; its runs stay. Raises HTTPException 404."""
    with transaction(desk.engine) as session:
        repo, cron = cron_named(session, name, cron_name)
        store.drop_cron(session, repo.id, cron.name)


def set_newest_wins(services: Services, name: str, events: Sequence[Event]) -> None:
    """Newer runs of these events end older ones. Raises HTTPException 404, and 422 for events that never do."""
    with transaction(services.engine) as session:
        try:
            store.set_newest_wins(session, repo_named(session, name).id, events)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None


def put_secret(services: Services, name: str, secret: str, value: str, events: Sequence[Event] | None) -> None:
    """Seals and keeps a repository's secret. Raises HTTPException 404 and 422."""
    if not _SECRET_NAME.fullmatch(secret):
        raise HTTPException(422, "A secret's name consists of letters, digits and _ . - and begins with a letter or _.")
    with transaction(services.engine) as session:
        repo = repo_named(session, name)
        sealed = services.vault.seal(secret_place(repo.id, secret), value)
        store.put_secret(session, repo.id, secret, sealed, events)


def drop_secret(services: Services, name: str, secret: str) -> None:
    """Removes a repository's secret. Raises HTTPException 404."""
    with transaction(services.engine) as session:
        repo = repo_named(session, name)
        if not store.drop_secret(session, repo.id, secret):
            raise HTTPException(404, f"{name} has no secret named {secret}.")
