"""Tokens of forges, as JSON: whose they are and for which host."""

from pydantic import BaseModel, ConfigDict, Field

from web.api.schemas import Schema
from web.json_api import make_router
from web.operations.repos import forge_tokens
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class ForgeTokenSchema(Schema):
    """A token without its value. ``place`` is the repository, ``team/*`` or ``*``."""

    place: str
    host: str
    api_url: str


class ForgeTokenValue(BaseModel):
    """A new token. ``host`` is for an owner's; ``api_url`` is for administrators, where the API is elsewhere."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    token: str = Field(max_length=4096)
    host: str = Field(default="", max_length=300)
    api_url: str = Field(default="", max_length=1000)


@router.get("/repos/{name:path}/settings/forge-tokens")
def list_forge_tokens(services: ServicesDep, user: CurrentUser, name: str) -> list[ForgeTokenSchema]:
    """The tokens of an owner, or the one that is used for a repository. The API never returns a value."""
    return [ForgeTokenSchema.model_validate(info) for info in forge_tokens.list_tokens(services, user, name)]


@router.put("/repos/{name:path}/settings/forge-tokens", status_code=204)
def put_forge_token(services: ServicesDep, user: CurrentUser, name: str, new: ForgeTokenValue) -> None:
    """Sets the token of a repository, or of an owner for a forge."""
    forge_tokens.put(services, user, name, new.token, new.host, new.api_url)


@router.delete("/repos/{name:path}/settings/forge-tokens", status_code=204)
def delete_forge_token(services: ServicesDep, user: CurrentUser, name: str, host: str = "") -> None:
    """Removes it."""
    forge_tokens.remove(services, user, name, host)
