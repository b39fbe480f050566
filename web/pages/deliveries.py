"""The pages of a repository's webhook deliveries: the list, and one with its headers and payload."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from web.operations import deliveries
from web.operations.errors import ConflictError
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import Services, ServicesDep
from web.urls import repo_path
from workers.db.delivery_states import DeliveryState
from workers.db.session import db_now_ms, reading

DELIVERIES_ON_A_PAGE = 50
PAYLOAD_CHARS_SHOWN = 200_000

DeliveryId = Annotated[int, Path(ge=1, le=2**53)]

router = APIRouter(include_in_schema=False, dependencies=[Depends(current_user)])


@router.get("/repos/{name:path}/deliveries")
def deliveries_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    name: str,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    state: DeliveryState | None = None,
) -> Response:
    """The deliveries, the newest first."""
    repo, found = deliveries.list_deliveries(services, user, name, before, DELIVERIES_ON_A_PAGE + 1, state)
    shown = found[:DELIVERIES_ON_A_PAGE]
    return page(
        request,
        "deliveries.html",
        user=user,
        repo=repo,
        deliveries=shown,
        states=tuple(DeliveryState),
        only=state,
        before=before,
        older=shown[-1][0].id if len(found) > DELIVERIES_ON_A_PAGE else None,
        now=_now(services),
    )


@router.get("/repos/{name:path}/deliveries/{delivery_id}")
def delivery_page(
    request: Request, services: ServicesDep, user: CurrentUser, name: str, delivery_id: DeliveryId
) -> Response:
    """One delivery."""
    return _delivery_page(request, services, user, name, delivery_id)


@router.post("/repos/{name:path}/deliveries/{delivery_id}/replay")
def replay_delivery(
    request: Request, services: ServicesDep, user: CurrentUser, name: str, delivery_id: DeliveryId
) -> Response:
    """Replays the delivery, and shows the new one. Why that is not possible is explained on the page."""
    try:
        made, _ = deliveries.replay(services, user, name, delivery_id)
    except ConflictError as error:
        return _delivery_page(request, services, user, name, delivery_id, error=str(error))
    return RedirectResponse(f"{repo_path(name)}/deliveries/{made.id}", 303)


def _delivery_page(
    request: Request, services: Services, user: CurrentUser, name: str, delivery_id: int, *, error: str = ""
) -> Response:
    shown = deliveries.show(services, user, name, delivery_id)
    payload = _readable(shown.payload)
    return page(
        request,
        "delivery.html",
        status=409 if error else 200,
        user=user,
        shown=shown,
        repo=shown.repo,
        delivery=shown.delivery,
        payload=payload[:PAYLOAD_CHARS_SHOWN],
        is_cut=len(payload) > PAYLOAD_CHARS_SHOWN,
        error=error,
        now=_now(services),
    )


def _readable(payload: str) -> str:
    """JSON with line breaks; anything else as it is."""
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return payload


def _now(services: Services) -> int:
    with reading(services.engine) as session:
        return db_now_ms(session)
