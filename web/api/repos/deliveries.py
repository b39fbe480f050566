"""Webhook deliveries, as JSON."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from web.api.schemas import Schema
from web.json_api import RowId, make_router
from web.operations import deliveries
from web.operations.deliveries import ShownDelivery
from web.security.auth import CurrentUser
from web.services import ServicesDep
from workers.db.delivery_states import DeliveryKind, DeliveryState
from workers.db.models import Delivery

router = make_router()


class DeliverySchema(Schema):
    """A delivery, and what came of it."""

    id: int
    kind: DeliveryKind = Field(description="`webhook`, `replay` of one, or `found`: a push whose webhook did not come.")
    state: DeliveryState = Field(description="The verdict.")
    reason: str = Field(description="Why it started no run; empty where it did.")
    event: str
    ref: str
    sha: str
    received_ms: int
    body_bytes: int
    run: int | None = Field(description="The number of the run that it led to.")
    repeats: int | None = Field(description="The id of the delivery that a replay repeats.")
    replayed_by: str


class DeliveryDetail(DeliverySchema):
    """A delivery with what is kept of it."""

    headers: dict[str, str] = Field(description="Those that may hold a secret without their values.")
    payload: str
    missing: str = Field(description="Why headers and payload are not there; empty where they are.")


@router.get("/repos/{name:path}/deliveries")
def list_deliveries(
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 30,
    state: DeliveryState | None = None,
) -> list[DeliverySchema]:
    """A repository's deliveries, the newest first. ``before``: only those behind this one, for the next page.

    ``state``: only those with this verdict.
    """
    _, found = deliveries.list_deliveries(services, user, name, before, limit, state)
    return [DeliverySchema.model_validate(_fields(delivery, run)) for delivery, run in found]


@router.get("/repos/{name:path}/deliveries/{delivery_id}")
def get_delivery(services: ServicesDep, user: CurrentUser, name: str, delivery_id: RowId) -> DeliveryDetail:
    """A delivery with its headers and payload."""
    return _detail(deliveries.show(services, user, name, delivery_id))


@router.post("/repos/{name:path}/deliveries/{delivery_id}/replay", status_code=202)
def replay_delivery(services: ServicesDep, user: CurrentUser, name: str, delivery_id: RowId) -> DeliverySchema:
    """Handles the payload again, as a new delivery. It starts a run also where the first one did."""
    return DeliverySchema.model_validate(_fields(*deliveries.replay(services, user, name, delivery_id)))


def _fields(delivery: Delivery, run: int | None) -> dict[str, object]:
    own = {name: getattr(delivery, name) for name in DeliverySchema.model_fields if hasattr(delivery, name)}
    return own | {"run": run, "repeats": delivery.repeats_id}


def _detail(shown: ShownDelivery) -> DeliveryDetail:
    kept: dict[str, object] = {"headers": shown.headers, "payload": shown.payload, "missing": shown.missing}
    return DeliveryDetail.model_validate(_fields(shown.delivery, shown.run) | kept)
