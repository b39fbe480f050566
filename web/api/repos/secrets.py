"""Secrets, as JSON: their names only."""

from pydantic import BaseModel, ConfigDict, Field

from pipelines.trigger import Event
from web.api.schemas import Schema
from web.json_api import make_router
from web.operations.repos import secrets
from web.security.auth import CurrentUser
from web.services import ServicesDep
from workers.access.secret_limits import SECRET_BYTES_MAX

router = make_router()


class SecretSchema(Schema):
    """A secret without its value."""

    name: str
    events: list[Event]
    created_ms: int
    updated_ms: int


class SecretValue(BaseModel):
    """A new value. Without ``events``, runs of all events but pull requests get a new secret."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: str = Field(description=f"1 to {SECRET_BYTES_MAX:,} bytes in UTF-8.")
    events: list[Event] | None = None


@router.get("/repos/{name:path}/secrets")
def list_secrets(services: ServicesDep, user: CurrentUser, name: str) -> list[SecretSchema]:
    """The names of a repository's secrets. The API never returns a value."""
    return [SecretSchema.model_validate(info) for info in secrets.list_secrets(services, user, name)]


@router.put("/repos/{name:path}/secrets/{secret_name}", status_code=204)
def put_secret(services: ServicesDep, user: CurrentUser, name: str, secret_name: str, new: SecretValue) -> None:
    """Adds or replaces a secret."""
    secrets.put(services, user, name, secret_name, new.value, new.events)


@router.delete("/repos/{name:path}/secrets/{secret_name}", status_code=204)
def delete_secret(services: ServicesDep, user: CurrentUser, name: str, secret_name: str) -> None:
    """Removes a secret."""
    secrets.remove(services, user, name, secret_name)
