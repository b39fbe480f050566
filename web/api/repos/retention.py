"""How long a repository's runs, logs and deliveries are kept, as JSON."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from web.api.schemas import Schema
from web.json_api import make_router
from web.operations.repos import retention
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class RetentionValues(BaseModel):
    """The repository's own values. Null, or left out: the server's value counts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    log_days: int | None = None
    run_days: int | None = None
    run_count: int | None = None
    delivery_days: int | None = None
    delivery_count: int | None = None


class RetentionSchema(Schema):
    """The repository's own values, the server's limits, and what counts: the smaller ones. 0: no limit."""

    own: RetentionValues
    server: dict[str, int]
    counts: dict[str, int] = Field(description="What counts for the repository.")


@router.get("/repos/{name:path}/settings/retention")
def get_retention(services: ServicesDep, user: CurrentUser, name: str) -> RetentionSchema:
    """How long the repository's runs, logs and deliveries are kept."""
    own, server = retention.own_retention(services, user, name), services.settings.retention
    return RetentionSchema(own=RetentionValues(**own), server=asdict(server), counts=asdict(server.within(own)))


@router.put("/repos/{name:path}/settings/retention")
def put_retention(services: ServicesDep, user: CurrentUser, name: str, new: RetentionValues) -> RetentionSchema:
    """Sets all of the repository's own values."""
    retention.set_retention(services, user, name, new.model_dump())
    return get_retention(services, user, name)
