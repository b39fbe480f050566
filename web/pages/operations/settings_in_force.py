"""The page of the settings in force, and where each comes from."""

import os

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from web.operations.settings_in_force import Source, list_settings
from web.pages.templates import page
from web.security.auth import CurrentUser, current_user
from web.services import ServicesDep

router = APIRouter(dependencies=[Depends(current_user)], include_in_schema=False)


@router.get("/settings")
def settings_in_force_page(request: Request, services: ServicesDep, user: CurrentUser) -> Response:
    """Those that were set come first."""
    found = list_settings(services, user, os.environ)
    given = [each for each in found if each.source is not Source.DEFAULT]
    others = [each for each in found if each.source is Source.DEFAULT]
    return page(request, "settings_in_force.html", user=user, given=given, others=others)
