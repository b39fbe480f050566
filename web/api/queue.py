"""The queue, as JSON: the jobs of all repositories that wait."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from web.api.schemas import Schema
from web.json_api import make_router
from web.operations.queue.listing import list_queue
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class QueuedJobSchema(Schema):
    """A job that waits."""

    id: int
    repo: str
    run: int = Field(description="The number of its run.")
    title: str = Field(description="Its workflow, and the values of its matrix cell.")
    labels: dict[str, str] = Field(description="What it asks of a worker.")
    created_ms: int
    waits_for: str = Field(description="Why it waits, and what would let it start.")
    starts_in_ms: int | None = Field(
        description="When it probably starts, from the usual times of earlier jobs and the workers that run now."
    )
    no_estimate: str = Field(description="Why there is no estimate; empty where there is one.")


@router.get("/queue/jobs")
def list_queued_jobs(
    response: Response,
    services: ServicesDep,
    user: CurrentUser,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
) -> list[QueuedJobSchema]:
    """All jobs that wait, the oldest first. ``after``: those behind this id. The header ``Link`` has the next page.

    ``starts_in_ms`` is an estimate; ``no_estimate`` says why there is none.
    """
    found = list_queue(services, user, after, limit)
    if found.next_after is not None:
        response.headers["link"] = f'</api/queue/jobs?limit={limit}&after={found.next_after}>; rel="next"'
    return [QueuedJobSchema.model_validate(each) for each in found.entries]
