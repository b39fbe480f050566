"""All settings of a repository, as JSON, and its name."""

from pydantic import BaseModel, ConfigDict, Field

from web.api.schemas import Schema
from web.json_api import make_router
from web.operations.repos import addresses, repo_details
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class RepoName(BaseModel):
    """A repository's new name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=1000)


class RenamedSchema(Schema):
    """A repository's name, and the address of its webhook. ``taken_from`` had the name before, or is empty."""

    name: str
    hook_url: str
    taken_from: str


@router.get("/repos/{name:path}/settings")
def get_settings(services: ServicesDep, user: CurrentUser, name: str) -> dict[str, str]:
    """What is set of the repository, in words; of logins, tokens and secrets only whether they are."""
    return dict(repo_details.details(services, user, name))


@router.put("/repos/{name:path}/settings/name")
def put_name(services: ServicesDep, user: CurrentUser, name: str, new: RepoName) -> RenamedSchema:
    """Gives the repository another name; addresses with the old one lead to it still. For administrators."""
    return RenamedSchema.model_validate(addresses.rename(services, user, name, new.name))
