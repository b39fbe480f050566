"""``/api/openapi.json``: the description of the JSON API."""

from typing import Any

from fastapi import Request

from web.json_api import make_router

router = make_router()


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """The API's OpenAPI document."""
    return dict(request.app.openapi())
