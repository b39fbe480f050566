"""The page of the queue: all jobs that wait, why, and when they probably start."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from web.operations.queue.listing import count_queue, list_queue
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep
from workers.store.jobs.queued_jobs import COUNTED_MAX

JOBS_ON_A_PAGE = 30
LABELS_SHOWN_MAX = 20

router = APIRouter(dependencies=[Depends(current_user)], include_in_schema=False)


@router.get("/queue")
def queue_page(
    request: Request,
    services: ServicesDep,
    user: CurrentUser,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """The oldest jobs first, a page at a time."""
    found = list_queue(services, user, after, JOBS_ON_A_PAGE)
    counts = count_queue(services, user)
    return page(
        request,
        "queue.html",
        user=user,
        found=found,
        counts=counts,
        counted=sum(counts.waits.values()),
        counted_max=COUNTED_MAX,
        labels=counts.labels[:LABELS_SHOWN_MAX],
        more_labels=max(0, len(counts.labels) - LABELS_SHOWN_MAX),
        after=after,
        now=found.now_ms,
    )
