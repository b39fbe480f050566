"""The settings in force, as JSON."""

import os

from pydantic import Field

from web.api.schemas import Schema
from web.json_api import make_router
from web.operations.settings_in_force import Source, list_settings
from web.security.auth import CurrentUser
from web.services import ServicesDep

router = make_router()


class SettingSchema(Schema):
    """A setting by the name of its variable."""

    name: str
    value: str = Field(description="As text, without logins of addresses; of a secret only `set` or `not set`.")
    source: Source
    meaning: str


@router.get("/settings")
def list_settings_in_force(services: ServicesDep, user: CurrentUser) -> list[SettingSchema]:
    """The settings that the web process has read, and where each comes from: environment, file or default."""
    return [SettingSchema.model_validate(each) for each in list_settings(services, user, os.environ)]
