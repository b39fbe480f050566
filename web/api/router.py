"""What all calls of the JSON API share: they need a login or a token, and errors are ``{"error": sentence}``."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from web.api.schemas import ErrorSchema
from web.security.auth import current_user

_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorSchema} for status in (401, 403, 404, 409, 422)}

RowId = Annotated[int, Path(ge=1, le=2**53)]
RunNumber = Annotated[int, Path(ge=1, le=2**53)]


def make_router() -> APIRouter:
    """A router for calls below ``/api``."""
    return APIRouter(prefix="/api", dependencies=[Depends(current_user)], responses=_ERRORS)
