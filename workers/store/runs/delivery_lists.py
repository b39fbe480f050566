"""Deliveries that were recorded: listed, looked up, and with what is kept of their payloads."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session

from workers.db.delivery_states import DeliveryKind, DeliveryState
from workers.db.models import Delivery, DeliveryPayload, Run
from workers.store.runs.deliveries import Payload

ListedDelivery = tuple[Delivery, int | None]
"""A delivery, and the number of its run, if it led to one."""


def newest_deliveries(session: Session, repo_id: int, limit: int) -> Sequence[ListedDelivery]:
    """The newest deliveries that the forge has sent to the repository."""
    return _listed(session, limit, Delivery.repo_id == repo_id, Delivery.kind == DeliveryKind.WEBHOOK)


def deliveries_of(
    session: Session, repo_id: int, before: int | None, limit: int, state: DeliveryState | None = None
) -> Sequence[ListedDelivery]:
    """The repository's deliveries, the newest first. ``before``: those behind the delivery of this id.

    ``state``: only these. A delivery that comes again may move to the front.
    """
    conditions = [Delivery.repo_id == repo_id]
    if state is not None:
        conditions.append(Delivery.state == state.value)
    if before is not None:
        last = select(Delivery.received_ms).where(Delivery.id == before, Delivery.repo_id == repo_id)
        received_ms = session.scalar(last)
        # It may have been deleted meanwhile: older ones have smaller ids.
        behind = tuple_(Delivery.received_ms, Delivery.id) < (received_ms, before)
        conditions.append(Delivery.id < before if received_ms is None else behind)
    return _listed(session, limit, *conditions)


def _listed(session: Session, limit: int, *conditions: ColumnElement[bool]) -> Sequence[ListedDelivery]:
    query = select(Delivery, Run.number).outerjoin(Run, Run.id == Delivery.run_id).where(*conditions)
    rows = session.execute(query.order_by(Delivery.received_ms.desc(), Delivery.id.desc()).limit(limit))
    return [(delivery, number) for delivery, number in rows]


def delivery_with_id(session: Session, repo_id: int, delivery_id: int) -> ListedDelivery | None:
    """The repository's delivery of this id."""
    found = _listed(session, 1, Delivery.repo_id == repo_id, Delivery.id == delivery_id)
    return found[0] if found else None


def delivery_keyed(session: Session, repo_id: int, key: str) -> ListedDelivery | None:
    """The repository's delivery of this key."""
    found = _listed(session, 1, Delivery.repo_id == repo_id, Delivery.key == key)
    return found[0] if found else None


def payload_of(session: Session, delivery: Delivery) -> Payload | None:
    """What is kept of the delivery's payload; None where nothing is."""
    kept = session.get(DeliveryPayload, (delivery.repo_id, delivery.payload_key)) if delivery.payload_key else None
    return Payload(kept.headers, kept.body) if kept else None
