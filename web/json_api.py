"""What all calls of the JSON API share: they need a login or a token, and errors are ``{"error": sentence}``."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from web.security.auth import current_user


class ErrorSchema(BaseModel):
    """The body of every response with status 400 or more."""

    error: str = Field(description="A sentence: what is wrong, and what to do.")


_ERRORS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorSchema} for status in (401, 403, 404, 409, 422)}

RowId = Annotated[int, Path(ge=1, le=2**53)]
RunNumber = Annotated[int, Path(ge=1, le=2**53)]


def make_router(*more_errors: int) -> APIRouter:
    """A router for calls below ``/api``, which may also answer with the statuses ``more_errors``."""
    more: dict[int | str, dict[str, Any]] = {status: {"model": ErrorSchema} for status in more_errors}
    return APIRouter(prefix="/api", dependencies=[Depends(current_user)], responses=_ERRORS | more)
