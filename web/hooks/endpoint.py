"""Webhooks in: checked, kept, queued in one transaction, and answered before any work begins.

Deliveries that come while a transaction runs share the next one: ``take`` deals with many at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from fastapi import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipelines.trigger import skip_ci
from web.hooks.batching import Together
from web.services import Services
from workers import store
from workers.db.session import reading, transaction
from workers.forges import FORGES, BadPayloadError, Forge, NothingToDo, Parsed
from workers.secrets.vault import hook_place
from workers.store import DeliveryState, NewDelivery, Receipt

REFUSED_COUNTER = "hooks_refused"
NOT_HERE = "There is no such repository here, or the delivery is not signed with its secret."

_TOGETHER_MAX = 64  # deliveries in one transaction, for while it runs nobody else writes to SQLite


@dataclass(frozen=True)
class Sent:
    """A delivery as it came, to the repository ``name``."""

    name: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Target:
    """Where a delivery goes. Repository 0 is nobody's: a delivery to an unknown name is checked like any other."""

    repo_id: int
    forge: Forge
    secret: str
    active: bool = True


@dataclass(frozen=True)
class _Genuine:
    """A delivery with a right signature: the rows to keep, and what is wrong with its payload, if anything."""

    repo_id: int
    rows: Sequence[NewDelivery]
    error: BadPayloadError | None = None


Hooks = Together[Sent, Response]


def hooks_of(services: Services, nobodys_secret: str) -> Hooks:
    """The way in for all deliveries of one application. ``nobodys_secret`` is sealed, like those of repositories."""
    return Together(partial(take, services, nobodys_secret), items_max=_TOGETHER_MAX)


async def receive(request: Request) -> Response:
    """Takes one delivery of the forge of the repository that the path names."""
    sent = Sent(request.path_params["name"], request.headers, await request.body())
    return await cast("Hooks", request.app.state.hooks)(sent)


# A plain route: FastAPI's would look for parameters and fields first, which takes as long as storing a delivery.
route = Route("/hooks/{name:path}", receive, methods=["POST"], include_in_schema=False)


def take(services: Services, nobodys_secret: str, deliveries: Sequence[Sent]) -> list[Response]:
    """Checks all, keeps and queues the genuine ones in one transaction, wakes workers, and answers each."""
    targets = _targets(services, {sent.name for sent in deliveries}, nobodys_secret)
    checked = [_check(sent, targets.get(sent.name, targets[""])) for sent in deliveries]
    rows = [(genuine.repo_id, row) for genuine in checked if genuine for row in genuine.rows]
    with transaction(services.engine) as session:
        receipts = store.record_deliveries(session, rows)
        if None in checked:
            store.bump_counter(session, REFUSED_COUNTER, checked.count(None))
    _tell_workers(services, [receipt for receipt in receipts if receipt])
    kept = iter(receipts)
    answers: list[Response] = []
    for sent, genuine in zip(deliveries, checked, strict=True):
        mine = [next(kept) for _ in genuine.rows] if genuine else []
        answers.append(_answer_to(services, sent, genuine, [receipt for receipt in mine if receipt]))
    return answers


def _tell_workers(services: Services, receipts: Sequence[Receipt]) -> None:
    if job_ids := [receipt.job_id for receipt in receipts if receipt.job_id is not None]:
        services.ring(*job_ids)
    for run_id in (run_id for receipt in receipts for run_id in receipt.superseded):
        services.live.publish_cancel(run_id)


def _targets(services: Services, names: set[str], nobodys_secret: str) -> dict[str, _Target]:
    """The targets of those names that are known; under the empty name nobody's."""
    with reading(services.engine) as session:
        doors = store.hook_targets(session, names)
    unseal = services.vault.unseal
    targets = {"": _Target(0, FORGES["generic"], unseal(hook_place(0), nobodys_secret))}
    for door in doors:
        secret = unseal(hook_place(door.repo_id), door.sealed)
        targets[door.name] = _Target(door.repo_id, FORGES[door.forge], secret, door.active)
    return targets


def _check(sent: Sent, target: _Target) -> _Genuine | None:
    """What is to be kept of a delivery; None where the sender does not know the secret."""
    genuine = target.forge.verify(sent.headers, sent.body, target.secret)
    if not (genuine and target.repo_id):
        return None
    key, size = target.forge.delivery_key(sent.headers, sent.body), len(sent.body)
    try:
        parsed = target.forge.parse(sent.headers, sent.body)
    except BadPayloadError as error:
        refused = NewDelivery(key=key, body_bytes=size, state=DeliveryState.REFUSED, reason=error.sentence)
        return _Genuine(target.repo_id, [refused], error)
    return _Genuine(target.repo_id, _rows(target, key, parsed, size))


def _rows(target: _Target, key: str, parsed: Parsed, size: int) -> list[NewDelivery]:
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


def _answer_to(services: Services, sent: Sent, genuine: _Genuine | None, receipts: Sequence[Receipt]) -> Response:
    """202 for a new run, 200 where nothing new starts. Without a receipt the repository went away meanwhile."""
    if genuine is None or not receipts:
        return _answer(sent, 404, {"error": NOT_HERE}, NOT_HERE)
    if genuine.error:
        sentence = genuine.error.sentence
        return _answer(sent, 400, {"error": sentence, "field": genuine.error.field}, sentence)
    runs = [
        {"run": receipt.run_number, "url": services.settings.run_url(sent.name, receipt.run_number)}
        for receipt in receipts
        if receipt.run_number is not None
    ]
    if not runs:
        if receipts[0].state is DeliveryState.REFUSED:
            return _answer(sent, 400, {"error": receipts[0].reason}, receipts[0].reason)
        return _answer(sent, 200, {"nothing_to_do": receipts[0].reason}, receipts[0].reason)
    status = 202 if any(receipt.job_id is not None for receipt in receipts) else 200
    text = "\n".join(f"run {run['run']}: {run['url']}" for run in runs)
    return _answer(sent, status, {**runs[0], **({"runs": runs} if len(runs) > 1 else {})}, text)


def _answer(sent: Sent, status: int, content: dict[str, Any], text: str) -> Response:
    """JSON, or one line for a hook in a shell that asks for it."""
    if sent.headers.get("accept", "").startswith("text/plain"):
        return PlainTextResponse(text + "\n", status)
    return JSONResponse(content, status)
