"""Receives webhooks: verifies the signature, stores delivery and run in one transaction, wakes workers, and answers.

Deliveries that arrive while a transaction runs go into the next one: ``handle_batch`` handles many at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipelines.trigger import Trigger, skip_ci
from web.hooks.batching import Batcher
from web.services import Services
from workers import store
from workers.access.trust import Admission, UntrustedRuns, admission_when_queued, refusal, why_untrusted
from workers.db.session import persist, reading
from workers.forges import FORGES, BadPayloadError, Forge, NothingToDo, Parsed
from workers.secrets.vault import hook_place
from workers.store import DeliveryState, NewDelivery, Receipt

REFUSED_COUNTER = "hooks_refused"
NOT_HERE = "There is no such repository here, or the delivery is not signed with its secret."

_FULL_DISK_S_MAX = 1.0
_BATCH_MAX = 64  # deliveries in one transaction: while it runs, SQLite lets no other connection write


@dataclass(frozen=True)
class IncomingDelivery:
    """A delivery as it arrived, for the repository ``name``."""

    name: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Target:
    """A repository's forge and webhook secret. An unknown name gets repository 0, so that its check takes as long."""

    repo_id: int
    forge: Forge
    secret: str
    active: bool = True
    policy: UntrustedRuns = UntrustedRuns.APPROVE


@dataclass(frozen=True)
class _Verified:
    """A delivery with a valid signature: the rows to store, and what is wrong with its payload, if anything."""

    repo_id: int
    rows: Sequence[NewDelivery]
    error: BadPayloadError | None = None


DeliveryBatcher = Batcher[IncomingDelivery, Response]


def make_batcher(services: Services, dummy_secret: str) -> DeliveryBatcher:
    """Handles all deliveries of one application. The sealed ``dummy_secret`` stands in for unknown repositories."""
    return Batcher(partial(handle_batch, services, dummy_secret), batch_max=_BATCH_MAX)


async def receive(request: Request) -> Response:
    """Receives one delivery for the repository that the path names."""
    delivery = IncomingDelivery(request.path_params["name"], request.headers, await request.body())
    return await cast("DeliveryBatcher", request.app.state.deliveries)(delivery)


# A route of Starlette: FastAPI's would look for parameters and fields first, which takes as long as storing a delivery.
route = Route("/hooks/{name:path}", receive, methods=["POST"], include_in_schema=False)


def handle_batch(services: Services, dummy_secret: str, deliveries: Sequence[IncomingDelivery]) -> list[Response]:
    """Verifies all, stores and queues the verified ones in one transaction, wakes workers, and answers each."""
    targets = _targets(services, {delivery.name for delivery in deliveries}, dummy_secret)
    checked = [_check(delivery, targets.get(delivery.name, targets[""])) for delivery in deliveries]
    rows = [(verified.repo_id, row) for verified in checked if verified for row in verified.rows]

    def record(session: Session) -> Sequence[Receipt | None]:
        receipts = store.record_deliveries(session, rows)
        if None in checked:
            store.bump_counter(session, REFUSED_COUNTER, checked.count(None))
        return receipts

    # The same delivery is stored once, however often. On a full disk there is room again at once, or it takes longer.
    receipts = persist(services.engine, record, patience_s=0, full_disk_s=_FULL_DISK_S_MAX)
    _wake_workers(services, [receipt for receipt in receipts if receipt])
    stored = iter(receipts)
    answers: list[Response] = []
    for delivery, verified in zip(deliveries, checked, strict=True):
        own = [next(stored) for _ in verified.rows] if verified else []
        answers.append(_answer_to(services, delivery, verified, [receipt for receipt in own if receipt]))
    return answers


def _wake_workers(services: Services, receipts: Sequence[Receipt]) -> None:
    if job_ids := [receipt.job_id for receipt in receipts if receipt.job_id is not None]:
        services.wake_workers(*job_ids)
    for run_id in (run_id for receipt in receipts for run_id in receipt.superseded):
        services.live.publish_cancel(run_id)


def _targets(services: Services, names: set[str], dummy_secret: str) -> dict[str, _Target]:
    """The targets of the known names; under the empty name the target for unknown ones."""
    with reading(services.engine) as session:
        doors = store.hook_targets(session, names)
    unseal = services.vault.unseal
    targets = {"": _Target(0, FORGES["generic"], unseal(hook_place(0), dummy_secret))}
    for door in doors:
        secret = unseal(hook_place(door.repo_id), door.sealed)
        targets[door.name] = _Target(
            door.repo_id, FORGES[door.forge], secret, door.active, UntrustedRuns(door.untrusted_runs)
        )
    return targets


def _check(delivery: IncomingDelivery, target: _Target) -> _Verified | None:
    """What to store of a delivery; None if its signature is wrong or the repository is unknown."""
    signed = target.forge.verify(delivery.headers, delivery.body, target.secret)
    if not (signed and target.repo_id):
        return None
    key, size = target.forge.delivery_key(delivery.headers, delivery.body), len(delivery.body)
    try:
        parsed = target.forge.parse(delivery.headers, delivery.body)
    except BadPayloadError as error:
        refused = NewDelivery(key=key, body_bytes=size, state=DeliveryState.REFUSED, reason=error.sentence)
        return _Verified(target.repo_id, [refused], error)
    return _Verified(target.repo_id, _rows(target, key, parsed, size))


def _rows(target: _Target, key: str, parsed: Parsed, size: int) -> list[NewDelivery]:
    """The rows to store of a delivery: one for each trigger, because a row leads to one run at most."""
    if not target.active:
        parsed = NothingToDo("The repository is switched off in Headway.")
    if isinstance(parsed, NothingToDo):
        return [NewDelivery(key=key, body_bytes=size, reason=parsed.reason)]
    rows: list[NewDelivery] = []
    for trigger in parsed:
        own_key = f"{key}#{len(rows)}" if rows else key
        rows.append(_row(NewDelivery(own_key, trigger.event.value, size, trigger), trigger, target.policy))
    return rows


def _row(new: NewDelivery, trigger: Trigger, policy: UntrustedRuns) -> NewDelivery:
    if skip_ci(trigger):
        return replace(new, trigger=None, reason=f"The commit message of {trigger.ref} asks to skip CI.")
    admitted = admission_when_queued(trigger, policy)
    if admitted is Admission.REFUSE:
        why = refusal(why_untrusted(trigger, on_branch=True))
        return replace(new, trigger=None, reason=f"Not run: {why}.")
    return replace(new, held=admitted is Admission.HOLD)


def _answer_to(
    services: Services, delivery: IncomingDelivery, verified: _Verified | None, receipts: Sequence[Receipt]
) -> Response:
    """202 for a new run, 200 if no new run starts. No receipt: the repository was removed meanwhile."""
    if verified is None or not receipts:
        return _answer(delivery, 404, {"error": NOT_HERE}, NOT_HERE)
    if verified.error:
        sentence = verified.error.sentence
        return _answer(delivery, 400, {"error": sentence, "field": verified.error.field}, sentence)
    runs = [
        {"run": receipt.run_number, "url": services.settings.run_url(delivery.name, receipt.run_number)}
        for receipt in receipts
        if receipt.run_number is not None
    ]
    if not runs:
        if receipts[0].state is DeliveryState.REFUSED:
            return _answer(delivery, 400, {"error": receipts[0].reason}, receipts[0].reason)
        return _answer(delivery, 200, {"nothing_to_do": receipts[0].reason}, receipts[0].reason)
    status = 202 if any(receipt.job_id is not None for receipt in receipts) else 200
    text = "\n".join(f"run {run['run']}: {run['url']}" for run in runs)
    return _answer(delivery, status, {**runs[0], **({"runs": runs} if len(runs) > 1 else {})}, text)


def _answer(delivery: IncomingDelivery, status: int, content: dict[str, Any], text: str) -> Response:
    """JSON, or one line of text for a shell hook that accepts only text."""
    if delivery.headers.get("accept", "").startswith("text/plain"):
        return PlainTextResponse(text + "\n", status)
    return JSONResponse(content, status)
