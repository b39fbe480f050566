"""What people ask of runs and secrets, the same from the API and from the pages."""

import re
from collections.abc import Sequence
from contextlib import suppress

from fastapi import HTTPException
from redis import RedisError

from pipelines.state import State
from pipelines.trigger import Event
from web.find import repo_named, run_numbered
from web.services import Services
from workers import store
from workers.db import transaction
from workers.store import Queued
from workers.vault import secret_place

_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def cancel(services: Services, name: str, number: int, by: str) -> State:
    """Asks a run to stop; its state right after. Raises HTTPException 404."""
    with transaction(services.engine) as session:
        _, run = run_numbered(session, name, number)
        result = store.request_cancel(session, run.id, by)
    # Without Redis the worker finds the request when it renews its lease.
    with suppress(RedisError):
        services.live.nudge_cancel(run.id)
        services.live.changed(run.id)
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
