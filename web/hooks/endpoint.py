"""Receives webhooks: verifies the signature, stores delivery and run in one transaction, wakes workers, and answers.

Deliveries that arrive while a transaction runs go into the next one: ``handle_batch`` handles many at a time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, cast

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from structlog.contextvars import bind_contextvars

from web.hooks.batching import Batcher
from web.operations.incoming import Rules, rows_of
from web.services import Services
from workers import store
from workers.access.trust import UntrustedRuns
from workers.db.session import persist, reading
from workers.forges import FORGES, BadPayloadError
from workers.forges.form import json_of
from workers.forges.kept_payload import kept_payload
from workers.secrets.vault import hook_place
from workers.store import DeliveryState, NewDelivery, Receipt

REFUSED_COUNTER = "hooks_refused"
UNKNOWN_COUNTER = "hooks_unknown"
NOT_HERE = "There is no such repository here, or the delivery is not signed with its secret."

_FULL_DISK_S_MAX = 1.0
_NOT_SIGNED = (
    "The delivery is not signed with this webhook's secret. `headway repo hook {name}` makes a new one, to be entered "
    "on the forge."
)
_INT_MAX = 2**63 - 1  # of a column in the database
_BATCH_MAX = 64  # deliveries in one transaction: while it runs, SQLite lets no other connection write


@dataclass(frozen=True)
class IncomingDelivery:
    """A delivery as it arrived, for the repository ``name``; or why its body was not read, and how large it is."""

    name: str
    headers: Mapping[str, str]
    body: bytes = b""
    too_large: str = ""
    announced_bytes: int = 0


@dataclass(frozen=True)
class _Target:
    """A repository's rules and webhook secret. An unknown name gets repository 0, so that its check takes as long."""

    repo_id: int
    rules: Rules
    secret: str


@dataclass(frozen=True)
class _Verified:
    """A delivery with a valid signature: the rows to store, and what is wrong with its payload, if anything."""

    repo_id: int
    rows: Sequence[NewDelivery]
    error: BadPayloadError | None = None


_DELIVERY_HEADERS = ("x-github-delivery", "x-gitea-delivery", "x-gitlab-event-uuid", "x-request-uuid")
_DELIVERY_CHARS_MAX = 64
_NOT_STORED = "not_stored"
_VERDICT_OF: Mapping[int, str] = {202: "run", 200: "no_new_run", 400: "refused", 404: "not_verified", 413: "too_large"}
VERDICTS = (*_VERDICT_OF.values(), _NOT_STORED)
"""What became of a delivery, in the words of the metric."""

DeliveryBatcher = Batcher[IncomingDelivery, Response]


def make_batcher(services: Services, dummy_secret: str) -> DeliveryBatcher:
    """Handles all deliveries of one application. The sealed ``dummy_secret`` stands in for unknown repositories."""
    return Batcher(partial(handle_batch, services, dummy_secret), batch_max=_BATCH_MAX)


async def receive(request: Request) -> Response:
    """Receives one delivery for the repository that the path names."""
    # The forge's own name for it, not signed: for the log alone.
    if given := next((text for name in _DELIVERY_HEADERS if (text := request.headers.get(name))), ""):
        bind_contextvars(delivery=given[:_DELIVERY_CHARS_MAX])
    name, handle = request.path_params["name"], cast("DeliveryBatcher", request.app.state.deliveries)
    try:
        delivery = IncomingDelivery(name, request.headers, await request.body())
    except HTTPException as error:
        announced = int(request.headers.get("content-length", "0"))
        delivery = IncomingDelivery(name, request.headers, too_large=error.detail, announced_bytes=announced)
    verdicts = cast("Counter[str]", request.app.state.verdicts)
    try:
        answer = await handle(delivery)
    except Exception:
        verdicts[_NOT_STORED] += 1
        raise
    verdicts[_VERDICT_OF[answer.status_code]] += 1
    return answer


# A route of Starlette: FastAPI's would look for parameters and fields first, which takes as long as storing a delivery.
route = Route("/hooks/{name:path}", receive, methods=["POST"], include_in_schema=False)


def handle_batch(services: Services, dummy_secret: str, deliveries: Sequence[IncomingDelivery]) -> list[Response]:
    """Verifies all, stores and queues the verified ones in one transaction, wakes workers, and answers each."""
    targets = _targets(services, {delivery.name for delivery in deliveries}, dummy_secret)
    aimed = [(delivery, targets.get(delivery.name, targets[""])) for delivery in deliveries]
    checked = [_check(delivery, target) for delivery, target in aimed]
    rows = [(verified.repo_id, row) for verified in checked if verified for row in verified.rows]

    def record(session: Session) -> Sequence[Receipt | None]:
        receipts = store.record_deliveries(session, rows)
        if None in checked:
            store.bump_counter(session, REFUSED_COUNTER, checked.count(None))
            refused = [pair for pair, verified in zip(aimed, checked, strict=True) if verified is None]
            _note_refused(session, refused)
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


def _note_refused(session: Session, refused: Sequence[tuple[IncomingDelivery, _Target]]) -> None:
    """Leaves a row at each repository; of unknown ones a count, which takes as long: time must not tell which exist."""
    newest = {(target.repo_id, bool(delivery.too_large)): delivery for delivery, target in refused}
    for (repo_id, too_large), delivery in sorted(newest.items(), key=itemgetter(0)):
        if not repo_id:
            store.bump_counter(session, UNKNOWN_COUNTER)
        elif too_large:
            store.note_refused(
                session, repo_id, store.TOO_LARGE_KEY, delivery.too_large, min(delivery.announced_bytes, _INT_MAX)
            )
        else:
            reason = _NOT_SIGNED.format(name=delivery.name)
            store.note_refused(session, repo_id, store.NOT_SIGNED_KEY, reason, len(delivery.body))


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
    targets = {"": _Target(0, Rules(FORGES["generic"]), unseal(hook_place(0), dummy_secret))}
    for door in doors:
        rules = Rules(FORGES[door.forge], door.active, UntrustedRuns(door.untrusted_runs))
        targets[door.name] = _Target(door.repo_id, rules, unseal(hook_place(door.repo_id), door.sealed))
    return targets


def _check(delivery: IncomingDelivery, target: _Target) -> _Verified | None:
    """What to store of a delivery; None if its signature is wrong or the repository is unknown."""
    headers, body, forge = delivery.headers, delivery.body, target.rules.forge
    payload = json_of(headers, body)
    signed = forge.verify(headers, body, target.secret)
    if payload is not body:
        # GitHub signs the form, Gitea the JSON in it.
        signed = forge.verify(headers, payload, target.secret) or signed
    if not (signed and target.repo_id):
        return None
    first = NewDelivery(
        forge.delivery_key(headers, payload),
        body_bytes=len(body),
        payload=kept_payload(headers, body, target.secret),
    )
    rows, error = rows_of(target.rules, first, headers, payload)
    return _Verified(target.repo_id, rows, error)


def _answer_to(
    services: Services, delivery: IncomingDelivery, verified: _Verified | None, receipts: Sequence[Receipt]
) -> Response:
    """202 for a new run, 200 if no new run starts. No receipt: the repository was removed meanwhile."""
    if delivery.too_large:
        return _answer(delivery, 413, {"error": delivery.too_large}, delivery.too_large)
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
