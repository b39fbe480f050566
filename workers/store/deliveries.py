"""Webhook deliveries: each is kept once, and makes at most one run."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Update, bindparam, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from pipelines.trigger import Trigger
from workers.db import now_ms
from workers.store.common import insert_for, insert_or, table
from workers.store.runs import queue_run
from workers.tables import Counter, Delivery, Run


class DeliveryState(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    NOTHING_TO_DO = "nothing_to_do"
    REFUSED = "refused"


@dataclass(frozen=True)
class NewDelivery:
    """A delivery with a right signature. ``state`` counts only where there is no trigger; ``reason`` is a sentence."""

    key: str
    event: str = ""
    body_bytes: int = 0
    trigger: Trigger | None = None
    state: DeliveryState = DeliveryState.NOTHING_TO_DO
    reason: str = ""


@dataclass(frozen=True)
class Receipt:
    """What a delivery led to, now or when it first came. ``job_id`` is to be rung after the commit, if there is one."""

    created: bool
    state: DeliveryState
    reason: str = ""
    run_id: int | None = None
    run_number: int | None = None
    job_id: int | None = None


def record_delivery(session: Session, repo_id: int, new: NewDelivery) -> Receipt:
    """Keeps the delivery and queues its run, or finds what the same delivery led to before: forges send twice."""
    state = new.state if new.trigger is None else DeliveryState.ACCEPTED
    connection = session.connection()
    keep, link = _keeping(connection.dialect.name)
    delivery = {
        "repo_id": repo_id,
        "key": new.key,
        "event": new.event,
        "state": state.value,
        "reason": new.reason,
        "body_bytes": new.body_bytes,
    }
    delivery_id = connection.execute(keep, delivery).scalar()
    if delivery_id is None:
        return _known(session, repo_id, new.key)
    if new.trigger is None:
        return Receipt(created=True, state=state, reason=new.reason)
    queued = queue_run(session, repo_id, new.trigger)
    connection.execute(link, {"delivery": delivery_id, "run": queued.run_id})
    return Receipt(
        created=True,
        state=state,
        reason=new.reason,
        run_id=queued.run_id,
        run_number=queued.number,
        job_id=queued.job_id,
    )


@cache
def _keeping(dialect: str) -> tuple[ReturningInsert[Any], Update]:
    deliveries = table(Delivery)
    insert = insert_for(dialect, Delivery).values(received_ms=now_ms())
    once = insert.on_conflict_do_nothing(index_elements=["repo_id", "key"])
    mine = deliveries.c.id == bindparam("delivery")
    return once.returning(deliveries.c.id), update(deliveries).where(mine).values(run_id=bindparam("run"))


def _known(session: Session, repo_id: int, key: str) -> Receipt:
    query = (
        select(Delivery.state, Delivery.reason, Delivery.run_id, Run.number)
        .outerjoin(Run, Run.id == Delivery.run_id)
        .where(Delivery.repo_id == repo_id, Delivery.key == key)
    )
    state, reason, run_id, number = session.execute(query).one()
    return Receipt(created=False, state=DeliveryState(state), reason=reason, run_id=run_id, run_number=number)


def bump_counter(session: Session, name: str) -> None:
    """Adds one to the counter of this name."""
    insert = insert_or(session, Counter).values(name=name, value=1)
    session.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": table(Counter).c.value + 1}))


def counters(session: Session) -> dict[str, int]:
    """All counters that were ever bumped."""
    return {row.name: row.value for row in session.scalars(select(Counter))}
