"""Webhooks in: checked, kept, queued in one transaction, and answered before any work begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pipelines.trigger import skip_ci
from web.services import Services, services_of
from web.urls import run_url
from workers import store
from workers.db import reading, transaction
from workers.forges import FORGES, BadPayloadError, Forge, NothingToDo, Parsed
from workers.store import DeliveryState, NewDelivery, Receipt
from workers.vault import hook_place

REFUSED_COUNTER = "hooks_refused"
NOT_HERE = "There is no such repository here, or the delivery is not signed with its secret."

router = APIRouter()


@dataclass(frozen=True)
class _Target:
    """Where a delivery goes. Repository 0 is nobody's: a delivery to an unknown name is checked like any other."""

    repo_id: int
    forge: Forge
    sealed: str
    active: bool = True


def slots_for(services: Services) -> CapacityLimiter:
    """How many deliveries are dealt with at the same time; the others wait for their turn, in order.

    SQLite lets one writer in and makes the others try again later and later: a queue of our own is fair, and faster.
    """
    return CapacityLimiter(1 if services.engine.dialect.name == "sqlite" else 8)


@router.post("/hooks/{name:path}", status_code=202, include_in_schema=False)
async def receive(name: str, request: Request) -> Response:
    """Takes one delivery of the forge of repository ``name``."""
    body = await request.body()
    state = request.app.state
    work = partial(take, services_of(request), name, request.headers, body, state.nobodys_hook_secret)
    return await to_thread.run_sync(work, limiter=state.hook_slots)


def take(services: Services, name: str, headers: Mapping[str, str], body: bytes, nobodys_secret: str) -> Response:
    """Checks, keeps and queues one delivery; the answer wakes a worker after it was sent."""
    target = _target(services, name, nobodys_secret)
    secret = services.vault.unseal(hook_place(target.repo_id), target.sealed)
    genuine = target.forge.verify(headers, body, secret)
    if not (genuine and target.repo_id):
        with transaction(services.engine) as session:
            store.bump_counter(session, REFUSED_COUNTER)
        return _answer(headers, 404, {"error": NOT_HERE}, NOT_HERE)
    key = target.forge.delivery_key(headers, body)
    try:
        parsed: Parsed = target.forge.parse(headers, body)
    except BadPayloadError as error:
        refused = NewDelivery(key=key, body_bytes=len(body), state=DeliveryState.REFUSED, reason=error.sentence)
        with transaction(services.engine) as session:
            store.record_delivery(session, target.repo_id, refused)
        return _answer(headers, 400, {"error": error.sentence, "field": error.field}, error.sentence)
    with transaction(services.engine) as session:
        receipts = [
            store.record_delivery(session, target.repo_id, new) for new in _deliveries(target, key, parsed, len(body))
        ]
    return _receipt(services, name, headers, receipts)


def _target(services: Services, name: str, nobodys: str) -> _Target:
    with reading(services.engine) as session:
        repo = store.repo_by_name(session, name)
    if repo is None or not repo.hook_secret_sealed:
        return _Target(0, FORGES["generic"], nobodys)
    return _Target(repo.id, FORGES[repo.forge], repo.hook_secret_sealed, repo.active)


def _deliveries(target: _Target, key: str, parsed: Parsed, size: int) -> list[NewDelivery]:
    """What is kept of a delivery: one row for each trigger, for a row leads to one run at most."""
    if not target.active:
        parsed = NothingToDo("The repository is switched off in Headway.")
    if isinstance(parsed, NothingToDo):
        return [NewDelivery(key=key, body_bytes=size, reason=parsed.reason)]
    rows: list[NewDelivery] = []
    for trigger in parsed:
        own_key = f"{key}#{len(rows)}" if rows else key
        if skip_ci(trigger):
            reason = f"The commit message of {trigger.ref} asks to skip CI."
            rows.append(NewDelivery(own_key, trigger.event.value, size, reason=reason))
        else:
            rows.append(NewDelivery(own_key, trigger.event.value, size, trigger))
    return rows


def _receipt(services: Services, name: str, headers: Mapping[str, str], receipts: list[Receipt]) -> Response:
    """202 for a new run, 200 where nothing new starts. Workers are woken after the answer, which Redis cannot delay."""
    runs = [
        {"run": receipt.run_number, "url": run_url(services.settings, name, receipt.run_number)}
        for receipt in receipts
        if receipt.run_number is not None
    ]
    if not runs:
        if receipts[0].state is DeliveryState.REFUSED:
            return _answer(headers, 400, {"error": receipts[0].reason}, receipts[0].reason)
        return _answer(headers, 200, {"nothing_to_do": receipts[0].reason}, receipts[0].reason)
    jobs = [receipt.job_id for receipt in receipts if receipt.job_id is not None]
    text = "\n".join(f"run {run['run']}: {run['url']}" for run in runs)
    answer = _answer(headers, 202 if jobs else 200, {**runs[0], **({"runs": runs} if len(runs) > 1 else {})}, text)
    answer.background = BackgroundTask(_ring, services, jobs)
    return answer


def _ring(services: Services, jobs: list[int]) -> None:
    for job in jobs:
        services.ring(job)


def _answer(headers: Mapping[str, str], status: int, content: dict[str, Any], text: str) -> Response:
    """JSON, or one line for a hook in a shell that asks for it."""
    if headers.get("accept", "").startswith("text/plain"):
        return PlainTextResponse(text + "\n", status)
    return JSONResponse(content, status)
