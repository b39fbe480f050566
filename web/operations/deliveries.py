"""A repository's webhook deliveries: listed, shown with their payloads, and replayed."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from web.operations import audit
from web.operations.errors import ConflictError, NotFoundError
from web.operations.incoming import Rules, rows_of
from web.operations.lookup import repo_named
from web.security.access import Actor
from web.services import OperationServices
from workers.access.trust import UntrustedRuns
from workers.db.delivery_states import DeliveryKind, DeliveryState
from workers.db.models import Delivery, Repo
from workers.db.roles import Role
from workers.db.session import reading, transaction
from workers.forges import FORGES
from workers.forges.form import json_of
from workers.forges.kept_payload import body_of
from workers.store import NewDelivery
from workers.store.runs import delivery_lists
from workers.store.runs.deliveries import (
    PAYLOAD_DAYS,
    PAYLOADS_OF_REPO_BYTES_MAX,
    PAYLOADS_OF_REPO_MAX,
    Payload,
    Repetition,
    record_deliveries,
)
from workers.store.runs.delivery_lists import ListedDelivery

_UNREAD = "It was refused unread: nothing of it is kept, and it cannot be replayed."
_FOUND = "No webhook brought it: Headway found this push itself. Start a run of it by hand instead."
_GONE = (
    f"Its headers and payload are not kept any more: that is for {PAYLOAD_DAYS} days, and for the newest "
    f"{PAYLOADS_OF_REPO_MAX} of a repository, {PAYLOADS_OF_REPO_BYTES_MAX // 1024**2} MiB at most. Push again, have "
    "the forge send it again, or start a run by hand."
)


@dataclass(frozen=True)
class ShownDelivery:
    """A delivery with the number of its run, and what is kept of it; or ``missing`` says why nothing is."""

    repo: Repo
    delivery: Delivery
    run: int | None
    headers: dict[str, str]
    payload: str
    missing: str


def list_deliveries(
    services: OperationServices,
    actor: Actor,
    repo_name: str,
    before: int | None,
    limit: int,
    state: DeliveryState | None = None,
) -> tuple[Repo, Sequence[ListedDelivery]]:
    """The newest deliveries, those behind the one with the id ``before``. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        repo = repo_named(session, actor, repo_name, Role.ADMIN)
        return repo, delivery_lists.deliveries_of(session, repo.id, before, limit, state)


def show(services: OperationServices, actor: Actor, repo_name: str, delivery_id: int) -> ShownDelivery:
    """One delivery with its headers and payload. Raises NotFoundError and ForbiddenError."""
    with reading(services.engine) as session:
        repo, delivery, run = _with_id(session, actor, repo_name, delivery_id)
        payload = delivery_lists.payload_of(session, delivery)
    headers = dict(payload.headers) if payload else {}
    text = body_of(payload).decode(errors="replace") if payload else ""
    return ShownDelivery(repo, delivery, run, headers, text, "" if payload else _why_missing(delivery))


def replay(services: OperationServices, actor: Actor, repo_name: str, delivery_id: int) -> ListedDelivery:
    """Handles the payload of a delivery again, as a new delivery: returned with the number of its run, if it has one.

    Raises NotFoundError, ForbiddenError, and ConflictError where its payload is not there.
    """
    with transaction(services.engine) as session:
        repo, old, _ = _with_id(session, actor, repo_name, delivery_id)
        payload = delivery_lists.payload_of(session, old)
        if payload is None:
            raise ConflictError(f"Delivery {delivery_id} cannot be replayed. {_why_missing(old)}")
        rows = _rows(repo, old, payload, actor)
        receipts = [each for each in record_deliveries(session, [(repo.id, row) for row in rows]) if each]
        made = delivery_lists.delivery_keyed(session, repo.id, rows[0].key)
        if made is None:
            raise NotFoundError(f"There is no repository named {repo_name} here.")
        runs = ", ".join(f"run {each.run_number}" for each in receipts if each.run_number is not None) or "no run"
        target = f"{repo_name} delivery {delivery_id}"
        audit.record(session, actor, "delivery.replay", target, f"as delivery {made[0].id}: {runs}")
    # Workers of runs that it supersedes learn of that when they renew their leases.
    services.wake_workers(*(each.job_id for each in receipts if each.job_id is not None))
    return made


def _with_id(session: Session, actor: Actor, repo_name: str, delivery_id: int) -> tuple[Repo, Delivery, int | None]:
    repo = repo_named(session, actor, repo_name, Role.ADMIN)
    found = delivery_lists.delivery_with_id(session, repo.id, delivery_id)
    if found is None:
        raise NotFoundError(f"{repo_name} has no delivery {delivery_id}.")
    return repo, *found


def _rows(repo: Repo, old: Delivery, payload: Payload, actor: Actor) -> list[NewDelivery]:
    first = NewDelivery(
        # Random: a sender chooses the keys of its deliveries, and must not be able to take this one before.
        f"{old.payload_key}~replay-{secrets.token_hex(8)}",
        body_bytes=old.body_bytes,
        kind=DeliveryKind.REPLAY,
        repeats=Repetition(old.id, old.payload_key, old.run_id, old.event, old.ref, actor.name),
    )
    rules = Rules(FORGES[repo.forge], repo.active, UntrustedRuns(repo.untrusted_runs))
    body = body_of(payload)
    rows, _ = rows_of(rules, first, payload.headers, json_of(payload.headers, body))
    return rows


def _why_missing(delivery: Delivery) -> str:
    if delivery.kind == DeliveryKind.FOUND:
        return _FOUND
    return _GONE if delivery.payload_key else _UNREAD
